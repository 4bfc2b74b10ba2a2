#!/bin/sh
# 02-02, 02-03, 02-04 and 01-04 in one command, for those who needn't see the parts. Without
# -y it shows what it would do and asks. It takes an administrator's token.
set -eu
: "${NOMAD_ADDR:=http://127.0.0.1:4646}"

harvest setup -cluster "${CLUSTER:-lab}" -nomad-address "$NOMAD_ADDR" -mount "${MOUNT:-jwt-nomad}" \
	-kv kv -policy "${POLICY:-nomad-workloads}" -y

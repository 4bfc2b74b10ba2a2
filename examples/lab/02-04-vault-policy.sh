#!/bin/sh
# The policy of those tokens, with the mount's accessor filled in. A policy is for one
# mount: another mount has another accessor, and wants one of its own (POLICY).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mount=${MOUNT:-jwt-nomad}

vault auth list
accessor=$(vault read -field accessor "sys/auth/$mount")
sed "s/AUTH_METHOD_ACCESSOR/$accessor/g" "$here/02-04-policy.hcl" |
	vault policy write "${POLICY:-nomad-workloads}" -

#!/bin/sh
# Makes the mount trust what Nomad publishes. Run it after 02-02, which made the mount and
# a token that may do this and nothing else; then from cron, or let `harvest watch` do it.
# It reads
#   CLUSTER  the cluster's name beside its keys in Vault (lab)
#   MOUNT    the mount (jwt-nomad)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${VAULT_ADDR:?say where Vault is}" "${NOMAD_ADDR:=http://127.0.0.1:4646}"
VAULT_TOKEN=$(cat "${STATE:-$here/state}/harvest.token")
export VAULT_TOKEN

harvest sync -cluster "${CLUSTER:-lab}" -nomad-address "$NOMAD_ADDR" -mount "${MOUNT:-jwt-nomad}"

#!/bin/sh
# The mount whose keys harvest keeps: for a Vault that doesn't reach Nomad, a Nomad behind
# mTLS, or several clusters on one mount. It is left without keys, trusting nobody;
# 01-04 brings them, with the token made here, which may read and update the mount's
# configuration and nothing else.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
state=${STATE:-$here/state}
mount=${MOUNT:-jwt-nomad}
mkdir -p "$state"

vault auth enable -path "$mount" jwt

harvest policy -mount "$mount" >"$state/harvest-policy.hcl"
cat "$state/harvest-policy.hcl"
vault policy write harvest "$state/harvest-policy.hcl"
vault token create -orphan -policy harvest -no-default-policy -period 24h -field token >"$state/harvest.token"
echo "The token for harvest is in $state/harvest.token"

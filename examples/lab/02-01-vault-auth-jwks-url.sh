#!/bin/sh
# The mount that fetches Nomad's keys itself. Where Vault reaches Nomad this is all there
# is to do: prefer it. Vault asks for the keys while it takes this configuration, so it
# fails here where it can't. JWKS_ADDR is Nomad as Vault sees it.
set -eu
: "${NOMAD_ADDR:=http://127.0.0.1:4646}"
mount=${MOUNT:-jwt-nomad-url}

vault auth enable -path "$mount" jwt
vault write "auth/$mount/config" - <<EOF
{
  "jwks_url": "${JWKS_ADDR:-$NOMAD_ADDR}/.well-known/jwks.json",
  "jwt_supported_algs": ["RS256", "EdDSA"],
  "default_role": "nomad-workloads"
}
EOF

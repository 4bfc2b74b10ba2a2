#!/bin/sh
# Shows what Nomad publishes: its OIDC discovery document and its key set. Neither takes a
# token, with ACLs on either: they hold nothing secret.
set -eu
: "${NOMAD_ADDR:=http://127.0.0.1:4646}"

curl -fsS "$NOMAD_ADDR/.well-known/openid-configuration"
echo
curl -fsS "$NOMAD_ADDR/.well-known/jwks.json"
echo

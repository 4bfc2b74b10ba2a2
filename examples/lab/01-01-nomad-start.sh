#!/bin/sh
# Starts a dev agent in the foreground, on loopback: server and client in one, its state
# in memory. More -config files may follow as arguments. It reads
#   VAULT_ADDR  Vault's address
#   ISSUER      which 01-00 file (01-00-nomad-server-oidc.hcl)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${VAULT_ADDR:?say where Vault is}"

exec nomad agent -dev -bind 127.0.0.1 \
	-config "$here/${ISSUER:-01-00-nomad-server-oidc.hcl}" \
	-config "$here/01-01-nomad-agent.hcl" \
	-vault-address "$VAULT_ADDR" \
	"$@"

#!/bin/sh
# BEFORE: how the keys went into Vault by hand, with curl, jq and npm's pem-jwk. It is kept
# to show what goes wrong with it: e2e/before_after_test.go runs each case on real servers,
# and docs/migrate.md tells them. Don't use it; 01-04-harvest.sh is what to run instead.
# It needs curl, jq, pem-jwk (npm install -g pem-jwk), openssl and vault, and reads
#   NOMAD_ADDRS  one agent of each cluster (http://127.0.0.1:4646)
#   MOUNT        the mount (jwt-nomad)
#   PKIX=1       converts what pem-jwk prints, which Vault refuses as it is
#   ONE=1        writes the keys as one string, and not as a list
set -eu
: "${VAULT_ADDR:?say where Vault is}"
config=auth/${MOUNT:-jwt-nomad}/config
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

pem() {
	if [ -n "${PKIX:-}" ]; then
		pem-jwk | openssl rsa -RSAPublicKey_in -pubout
	else
		pem-jwk
	fi
}

n=0
for address in ${NOMAD_ADDRS:-http://127.0.0.1:4646}; do
	curl -s "$address/.well-known/jwks.json" | jq -c '.keys[]' >"$dir/keys"
	while read -r key; do
		n=$((n + 1))
		printf '%s' "$key" | pem >"$dir/$n.pem"
	done <"$dir/keys"
done

if [ -n "${ONE:-}" ]; then
	cat "$dir"/*.pem >"$dir/all"
	vault write "$config" jwt_validation_pubkeys="@$dir/all"
else
	for file in "$dir"/*.pem; do
		if [ -e "$file" ]; then jq -Rs . "$file"; fi
	done | jq -s '{jwt_validation_pubkeys: .}' | vault write "$config" -
fi

#!/bin/sh
# Verifies the job (the stand-in) in three ways. It reads the secret from Vault as an
# administrator to compare, and prints no password.
set -eu

alloc=$(nomad job allocs -t '{{range .}}{{if eq .ClientStatus "running"}}{{.ID}} {{end}}{{end}}' mongo)
alloc=${alloc%% *}
[ -n "$alloc" ] || { echo "no allocation of mongo is running" >&2; exit 1; }
password=$(vault kv get -mount kv -field root_password default/mongo/config)

echo "# A query with the root password:"
printf %s "$password" | nomad alloc exec -i=true -t=false "$alloc" /bin/sh -c 'sh "$NOMAD_TASK_DIR/query"'

echo "# A query with another is refused:"
if printf wrong | nomad alloc exec -i=true -t=false "$alloc" /bin/sh -c 'sh "$NOMAD_TASK_DIR/query"' 2>&1; then
	echo "a wrong password was taken" >&2
	exit 1
fi

echo "# The identity that Nomad put into the job, for Vault:"
identity=$(nomad job inspect -t '{{range (index (index .TaskGroups 0).Tasks 0).Identities}}{{.Name}} for {{.Audience}}{{end}}' mongo)
echo "$identity"
[ "$identity" = 'vault_default for [vault.io]' ]

echo "# The environment that the task read from Vault:"
nomad alloc exec -i=false -t=false "$alloc" /bin/sh -c 'cat "$NOMAD_SECRETS_DIR/env"' | {
	right=
	while IFS='=' read -r name value; do
		if [ "$name" = MONGO_INITDB_ROOT_PASSWORD ]; then
			[ "$value" = "$password" ] && right=yes
			value='(as in Vault)'
		fi
		[ -z "$name" ] || echo "$name=$value"
	done
	[ -n "$right" ] || { echo "the password isn't the one in Vault" >&2; exit 1; }
}

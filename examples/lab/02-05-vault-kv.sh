#!/bin/sh
# A KV engine of version 2, and the database's root password in it, from PASSWORD_FILE or
# made up here. It goes in by stdin: a command line is for everybody on the machine to read.
set -eu

vault secrets enable -path kv -version 2 kv
if [ -n "${PASSWORD_FILE:-}" ]; then
	printf %s "$(cat "$PASSWORD_FILE")"
else
	printf %s "$(LC_ALL=C tr -dc a-zA-Z0-9 </dev/urandom | head -c 32)"
fi | vault kv put -mount kv default/mongo/config root_password=-

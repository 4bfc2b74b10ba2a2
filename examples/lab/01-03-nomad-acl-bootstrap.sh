#!/bin/sh
# Bootstraps Nomad's ACLs. The management token goes to a file that only its owner reads,
# not to the terminal or a command line. Afterwards: export NOMAD_TOKEN="$(cat state/nomad.token)"
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
state=${STATE:-$here/state}
mkdir -p "$state"

# Nomad bootstraps once: an old token isn't overwritten by the error of a second try.
if [ -e "$state/nomad.token" ]; then
	echo "$state/nomad.token is there already" >&2
	exit 1
fi
nomad acl bootstrap -json >"$state/nomad-bootstrap.json" || {
	rm -f "$state/nomad-bootstrap.json"
	exit 1
}
sed -n 's/.*"SecretID": *"\([^"]*\)".*/\1/p' "$state/nomad-bootstrap.json" >"$state/nomad.token"
rm "$state/nomad-bootstrap.json"
[ -s "$state/nomad.token" ]
echo "The management token is in $state/nomad.token"

#!/bin/sh
# The role that tasks log in with. POLICY names the policy that its tokens get: the one
# that 02-04 writes, by the same name.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

sed "s/POLICY/${POLICY:-nomad-workloads}/" "$here/02-03-role.json" |
	vault write "auth/${MOUNT:-jwt-nomad}/role/nomad-workloads" -

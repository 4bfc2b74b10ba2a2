#!/bin/sh
# The walk-through from nothing: starts a Vault and a Nomad with ACLs on free loopback ports
# and in a directory of its own, takes every step, and ends and removes all that again, also when
# a step fails and on Ctrl-C. They are those of the PATH, or those that make lab built.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$here"

# have NAME: it is on the PATH, or in the lab's cache and put there.
have() {
	command -v "$1" >/dev/null && return
	version=$(awk -v m="github.com/hashicorp/$1" '$1 == "require" { sub(/^require[ \t]+/, "") } $1 == m && $2 ~ /^v/ { print substr($2, 2); exit }' "$root/internal/lab/$1/go.mod")
	dir=${XDG_CACHE_HOME:-$HOME/.cache}/harvest-lab/$1-$version
	[ -x "$dir/$1" ] || { echo "no $1 on the PATH or in $dir: run make lab" >&2; exit 1; }
	PATH=$PATH:$dir
}
have vault
have nomad
have harvest 2>/dev/null || { echo "no harvest on the PATH: make -C examples/lab configure-all builds it" >&2; exit 1; }

# What the caller's shell says about other servers isn't for these.
for name in $(env | sed -n 's/^\(VAULT_[A-Z_]*\|NOMAD_[A-Z_]*\|AWS_CA_BUNDLE\)=.*/\1/p'); do
	unset "$name"
done

vault_pid='' nomad_pid='' job=''
lab=$(mktemp -d "${TMPDIR:-/tmp}/harvest-walk-XXXXXX")

# finish ends the task before the agent, whose executor would outlive it.
finish() {
	code=$?
	trap - EXIT
	trap '' INT TERM HUP
	[ "$code" = 0 ] || [ ! -s "$lab/nomad.log" ] || { echo "# The end of Nomad's log:"; tail -n 5 "$lab/nomad.log"; } >&2
	if [ -n "$job" ]; then
		nomad job stop -purge -detach mongo >/dev/null 2>&1 || true
		await 'every allocation has ended' ended >/dev/null || true
		nomad system gc >/dev/null 2>&1 || true
	fi
	for pid in $nomad_pid $vault_pid; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	# A Nomad that runs as root mounts the tasks' secrets in memory.
	if [ -r /proc/mounts ]; then
		awk -v d="$lab/" 'index($2, d) == 1 { print $2 }' /proc/mounts | while read -r at; do umount "$at" || true; done
	fi
	rm -rf "$lab"
	[ "$code" = 0 ] && echo "# The servers are ended and their directory is removed."
	exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# await WHAT COMMAND…: runs it until it succeeds, for at most a minute.
await() {
	what=$1
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		for pid in $vault_pid $nomad_pid; do
			kill -0 "$pid" 2>/dev/null || { echo "a server ended while waiting: $what" >&2; return 1; }
		done
		[ "$tries" -lt 120 ] || { echo "gave up waiting: $what" >&2; return 1; }
		sleep 0.5
	done
}

ended() { [ -z "$(nomad operator api /v1/allocations | grep -E '"ClientStatus": ?"(running|pending)"')" ]; }
published() { curl -fsS "$NOMAD_ADDR/.well-known/jwks.json" | grep -q '"kid"'; }
eligible() { nomad node status -self -t '{{.Status}} vault {{index .Attributes "vault.version"}} {{index .Attributes "driver.raw_exec"}}' | grep -q '^ready vault [0-9].* 1$'; }

# port NAME sets it to a port that nobody listens on, below those that systems give out.
port() {
	while :; do
		p=$((12000 + $(od -An -N2 -tu2 /dev/urandom) % 8000))
		code=0
		curl -s -o /dev/null -m 2 "http://127.0.0.1:$p" || code=$?
		[ "$code" = 7 ] && break
	done
	eval "$1=$p"
}

# serve LOG COMMAND…: in the background and a session of its own, so that Ctrl-C reaches this
# script first.
serve() {
	log=$1
	shift
	if command -v setsid >/dev/null; then
		set -- setsid "$@"
	fi
	"$@" >"$log" 2>&1 </dev/null &
}

step() {
	echo
	echo "### $*"
	file=$1
	shift
	env "$@" sh "./$file"
}

HOME=$lab STATE=$lab/state TMPDIR=$lab
export PATH HOME STATE TMPDIR
mkdir "$STATE"
port vault_port
port http
port rpc
port serf

VAULT_DEV_ROOT_TOKEN_ID=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export VAULT_DEV_ROOT_TOKEN_ID VAULT_ADDR="http://127.0.0.1:$vault_port" NOMAD_ADDR="http://127.0.0.1:$http"
echo "# Vault at $VAULT_ADDR, Nomad at $NOMAD_ADDR"
serve "$lab/vault.log" vault server -dev -dev-no-store-token -dev-listen-address="127.0.0.1:$vault_port"
vault_pid=$!
VAULT_TOKEN=$VAULT_DEV_ROOT_TOKEN_ID
unset VAULT_DEV_ROOT_TOKEN_ID
await 'Vault answers' vault status

cat >"$lab/own.hcl" <<EOF
ports {
  http = $http
  rpc  = $rpc
  serf = $serf
}
server {
  oidc_issuer = "$NOMAD_ADDR"
}
client {
  state_dir = "$lab/client"
  alloc_dir = "$lab/alloc"
}
disable_update_check = true
EOF
serve "$lab/nomad.log" sh ./01-01-nomad-start.sh -config "$lab/own.hcl"
nomad_pid=$!
export VAULT_TOKEN
await 'Nomad publishes a key' published

step 01-02-nomad-oidc-jwks.sh
step 01-03-nomad-acl-bootstrap.sh
NOMAD_TOKEN=$(cat "$STATE/nomad.token")
export NOMAD_TOKEN

step 02-01-vault-auth-jwks-url.sh
step 02-03-vault-role.sh MOUNT=jwt-nomad-url POLICY=nomad-workloads-url
step 02-04-vault-policy.sh MOUNT=jwt-nomad-url POLICY=nomad-workloads-url

step 02-02-vault-auth-static-keys.sh
step 01-04-harvest.sh
step 02-03-vault-role.sh
step 02-04-vault-policy.sh
step 02-05-vault-kv.sh
step 02-06-harvest-setup.sh MOUNT=jwt-nomad-setup POLICY=nomad-workloads-setup

await 'the node is ready and has found Vault' eligible
job=mongo
step 03-01-nomad-job.sh
step 03-02-nomad-job-test.sh

echo
echo "# A task of Nomad read its secret from Vault, by a key that harvest brought there."

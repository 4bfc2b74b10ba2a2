#!/bin/sh
# Runs the job and returns when it is healthy: its task has logged in to Vault and its
# template has read the secret. JOB is the job's file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

nomad job run "${JOB:-$here/03-01-mongo.nomad.hcl}"

#!/bin/sh
# Measures pgseal against what it replaces, and writes docs/benchmarks.md: tests/bench.sh [ROUNDS]
set -eu
cd "$(dirname "$0")/.."

tests/provision/needs.sh 15
tests/provision/system.sh certtool
# For what is measured in a container. It is stopped afterwards, unless it ran before.
if ! tests/provision/docker.sh answers; then
    trap 'tests/provision/docker.sh down >/dev/null 2>&1 || :' EXIT
fi
tests/provision/docker.sh postgres:16-alpine compose-v2
docker=$(cd "${PGSEAL_TEST_CACHE:-target/servers}/docker" && pwd -P)
export DOCKER_HOST="unix://$docker/docker.sock" DOCKER_CONFIG="$docker/config"
cargo build --release --locked --package pgseal
proof=${CARGO_TARGET_DIR:-target}/proof.tsv
cargo bench --locked --package pgseal-conf --bench proof >"$proof"
python3 -B tests/bench.py "${CARGO_TARGET_DIR:-target}/release/pgseal" "${1:-7}" "$proof"

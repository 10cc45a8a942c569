#!/bin/sh
# Measures pgseal against what it replaces, and writes docs/benchmarks.md: tests/bench.sh [ROUNDS]
set -eu
cd "$(dirname "$0")/.."

tests/provision/needs.sh 15
cargo build --release --locked --package pgseal
proof=${CARGO_TARGET_DIR:-target}/proof.tsv
cargo bench --locked --package pgseal-conf --bench proof >"$proof"
exec python3 -B tests/bench.py "${CARGO_TARGET_DIR:-target}/release/pgseal" "${1:-7}" "$proof"

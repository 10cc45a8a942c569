#!/bin/sh
# Fuzzes each target under fuzz/ for PGSEAL_FUZZ_SECONDS (60): tests/fuzz.sh [TARGET…]
# cargo-fuzz and a nightly toolchain are needed; cargo-fuzz is built into target/tools when it is absent.
set -eu
cd "$(dirname "$0")/.."

[ -d fuzz/fuzz_targets ] || { echo "there are no targets under fuzz/fuzz_targets" >&2 && exit 1; }
rustc +nightly --version >/dev/null 2>&1 || {
    echo "fuzzing needs a nightly toolchain: rustup toolchain install nightly --profile minimal" >&2
    exit 1
}
PATH=$PWD/target/tools/bin:$PATH
command -v cargo-fuzz >/dev/null 2>&1 || cargo install --quiet --locked --root target/tools cargo-fuzz

seconds=${PGSEAL_FUZZ_SECONDS:-60}
# Word splitting is meant.
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list)
for target in "$@"; do
    echo "fuzz: $target, $seconds s"
    work=$PWD/target/fuzz/$target
    log=$work/log
    mkdir -p "$work/corpus" "$work/artifacts"
    fuzz/seeds.sh "$target" "$work/seeds"
    # What is found goes to the first directory; the others are only read.
    set -- "$work/corpus" "$work/seeds"
    [ ! -d "fuzz/seeds/$target" ] || set -- "$@" "$PWD/fuzz/seeds/$target"
    rm -f "$log.failed"
    {
        cargo +nightly fuzz run --target-dir target/fuzz/build "$target" "$@" -- -max_total_time="$seconds" \
            -timeout=20 -artifact_prefix="$work/artifacts/" -print_final_stats=1 -verbosity=0 2>&1 ||
            echo "$?" >"$log.failed"
    } | tee "$log"
    [ ! -e "$log.failed" ] || { echo "fuzz: $target failed; the lines above name the input" >&2 && exit 1; }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    [ -n "$runs" ] || { echo "fuzz: $target did not come to its end" >&2 && exit 1; }
    if [ -n "${PGSEAL_EVIDENCE:-}" ]; then
        printf 'fuzz target %s finds nothing\t%s\n' "$target" "$runs" >>"$PGSEAL_EVIDENCE/fuzz.tsv"
    fi
done

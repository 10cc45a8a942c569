#!/bin/sh
# Runs the tests with full counts on all versions, then the fuzzers, and writes docs/evidence/soak-DATE.md when all held:
# tests/soak.sh [RUNNER-ARGUMENT…], such as -E 'test(hba)' for a part, which the evidence then says.
# PGSEAL_TEST_SEED repeats a run.
set -eu
cd "$(dirname "$0")/.."

now=$(date -u +%Y-%m-%dT%H%MZ)
seed=${PGSEAL_TEST_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
work=$PWD/target/soak/$now
mkdir -p "$work/evidence"
rm -rf target/catalogue
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || commit="$commit, with changes that are not committed"
echo "soak: PGSEAL_TEST_SEED=$seed"

PGSEAL_TEST_SEED=$seed
PROPTEST_RNG_SEED=$seed
PROPTEST_CASES=${PROPTEST_CASES:-20000}
PGSEAL_EVIDENCE=$work/evidence
export PGSEAL_TEST_SEED PROPTEST_RNG_SEED PROPTEST_CASES PGSEAL_EVIDENCE

started=$(date +%s)
{
    status=0
    tests/test.sh soak "$@" || status=$?
    if [ "$status" = 0 ] && [ -d fuzz/fuzz_targets ]; then tests/fuzz.sh || status=$?; fi
    echo "$status" >"$work/status"
} 2>&1 | tee "$work/log"
status=$(cat "$work/status")
[ "$status" = 0 ] || {
    echo "soak: failed; repeat it with PGSEAL_TEST_SEED=$seed make soak" >&2
    exit "$status"
}
seconds=$(($(date +%s) - started))
# Each finding was brought about, named, and not named where all is well.
if [ $# = 0 ] && ! grep -qE '^([0-9]+) of \1 findings\.$' target/catalogue/README.md; then
    echo "soak: failed; these findings were not seen named and gone:" >&2
    grep 'no scenario of this run' target/catalogue/README.md >&2 || :
    exit 1
fi

evidence=docs/evidence/soak-$now.md
mkdir -p docs/evidence
{
    echo "# Soak of $now"
    echo
    echo "| | |"
    echo "|---|---|"
    echo "| commit | $commit |"
    [ $# = 0 ] || echo "| only | \`$*\` |"
    echo "| seed | $seed (\`PGSEAL_TEST_SEED=$seed make soak\`) |"
    echo "| cases of each property | $PROPTEST_CASES |"
    echo "| duration | $((seconds / 60)) min $((seconds % 60)) s |"
    echo "| system | $(uname -sm), $(getconf _NPROCESSORS_ONLN) processors, $(rustc --version) |"
    # nextest's closing line, or those of cargo test.
    sed 's/\x1b\[[0-9;]*m//g' "$work/log" | grep -E '^ +Summary \[|^test result: ok\. [1-9]' | sed 's/^ *\(.*\)$/| result | \1 |/'
    echo
    echo "| promise | held, times |"
    echo "|---|---:|"
    find "$work/evidence" -name '*.tsv' -exec cat {} + | awk -F '\t' '
        { held[$1] += $2 }
        END { for (promise in held) printf "| %s | %d |\n", promise, held[promise] }' | sort
    # What doctor and scan said of each finding, where scenarios of it have run.
    [ ! -f target/catalogue/README.md ] || { echo && sed '1s/^/#/' target/catalogue/README.md; }
} >"$evidence"
echo "soak: $evidence"

#!/bin/sh
# Fetches what the tests need and runs them: tests/test.sh test|all|soak [RUNNER-ARGUMENT…]
set -eu
cd "$(dirname "$0")/.."

depth=${1:-test}
[ $# = 0 ] || shift
# As tests/harness/depth.rs has them.
case $depth in
test) servers="15 18" contained="16" profile=default ;;
all) servers="14 15 16 17 18" contained=$servers profile=all ;;
soak) servers="12 13 14 15 16 17 18" contained=$servers profile=soak ;;
*) echo "the depth is test, all or soak, not $depth" >&2 && exit 2 ;;
esac
PGSEAL_TEST_DEPTH=$depth
PGSEAL_TEST_CACHE=${PGSEAL_TEST_CACHE:-$PWD/target/servers}
export PGSEAL_TEST_DEPTH PGSEAL_TEST_CACHE

# Word splitting is meant.
# shellcheck disable=SC2086
tests/provision/needs.sh $servers nossl 18mlkem
# Scenarios with a network of their own ask it for one.
tests/provision/system.sh ip
# A scan is shown a pooler.
tests/provision/system.sh pgbouncer
# Certificates are judged by GnuTLS and Java, too.
tests/provision/system.sh certtool javac jdbc
# What libpq makes of connection strings is asked of libpq.
tests/provision/psycopg2.sh
# Reports are read by the programs that they are written for.
tests/provision/judges.sh
# What is handed out for drivers is run by them: a few of them below depth all.
tests/provision/drivers.sh python
[ "$depth" = test ] || tests/provision/system.sh ruby-pg php-pgsql dbd-pg psqlodbc lib-pq
[ "$depth" = test ] || tests/provision/drivers.sh frameworks node prisma go rust

# Scenarios with containers have a docker of their own. It is stopped afterwards, unless it ran before.
if ! tests/provision/docker.sh answers; then
    trap 'tests/provision/docker.sh down >/dev/null 2>&1 || :' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
fi
images=
for version in $contained; do
    images="$images postgres:$version-alpine postgres:$version"
done
# The others do without it.
# shellcheck disable=SC2086
tests/provision/docker.sh $images compose-v1 compose-v2 ||
    echo "the lines above say why scenarios with containers are going to fail" >&2

# Scenarios wait for servers about half of their time.
NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$((($(nproc) * 3 + 1) / 2))}
export NEXTEST_TEST_THREADS

# With the feature cargo builds pgseal-faulty beside pgseal, for the scenarios that kill it or have the disk refuse.
# First the examples of the documentation: the closing line is to be that of the tests.
cargo test --workspace --locked --doc
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --features pgseal/faults --profile "$profile" "$@"
else
    cargo test --workspace --locked --features pgseal/faults --no-fail-fast --lib --bins --tests "$@"
fi

#!/bin/sh
# Brings psycopg2, whose parse_dsn is libpq's own PQconninfoParse, into $PGSEAL_TEST_CACHE (default: target/servers).
#   tests/provision/psycopg2.sh
# CACHE/psycopg2/python names the Python that it is for. What is present costs nothing.
set -eu

package=psycopg2-binary==2.9.13
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
cache=${PGSEAL_TEST_CACHE:-$here/../../target/servers}
from=
[ ! -r "$cache/psycopg2/.from" ] || read -r from <"$cache/psycopg2/.from"
[ "$from" != "$package" ] || exit 0

# A python3 that has pip: the one in PATH may lack it where the system's own does not.
python() {
    for one in python3 /usr/bin/python3; do
        "$one" -m pip --version >/dev/null 2>&1 && { "$one" -c 'import sys; print(sys.executable)'; return; }
    done
    return 1
}
"$here/system.sh" python3 pip
python=$(python) || { echo "psycopg2: there is no Python with pip" >&2 && exit 1; }

mkdir -p "$cache"
temp=$cache/.fetch-psycopg2.$$
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary=:all: \
    --target "$temp/tree" "$package" >&2 || { echo "psycopg2: could not fetch $package with pip; the lines above say why" >&2 && exit 1; }
PYTHONPATH=$temp/tree "$python" -c 'import psycopg2' || { echo "psycopg2: $package does not run on this system" >&2 && exit 1; }
printf '%s\n' "$python" >"$temp/tree/python"
printf '%s\n' "$package" >"$temp/tree/.from"
chmod -R u+rwX,go+rX,go-w "$temp/tree"
rm -rf "$cache/psycopg2"
mv "$temp/tree" "$cache/psycopg2"
echo "psycopg2: fetched, $package" >&2

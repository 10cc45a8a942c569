#!/bin/sh
# Brings drivers of other languages, which run what `pgseal client` hands out for them, into $PGSEAL_TEST_CACHE/drivers
# (default: target/servers/drivers).
#   tests/provision/drivers.sh GROUP…
# GROUP is one of: python (psycopg, asyncpg), frameworks (SQLAlchemy, Django, pyodbc for psqlODBC), node (node-postgres,
# postgres.js, Sequelize, TypeORM, Knex, Drizzle). What is present costs nothing. Those that the system packages come by
# system.sh: ruby-pg, php-pgsql, dbd-pg, psqlodbc, lib-pq.
set -eu

case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
cache=${PGSEAL_TEST_CACHE:-$here/../../target/servers}

packages() { # group
    case $1 in
    python) echo psycopg==3.3.9 psycopg-binary==3.3.9 typing_extensions==4.16.0 asyncpg==0.32.0 ;;
    frameworks) echo SQLAlchemy==2.1.9 greenlet==3.5.6 Django==5.2.19 asgiref==3.13.0 sqlparse==0.6.1 pyodbc==5.5.0 ;;
    node) echo pg@8.23.1 postgres@3.4.9 sequelize@6.37.8 typeorm@1.1.1 knex@3.3.0 drizzle-orm@0.45.4 ;;
    *) echo "there is no group of drivers called $1" >&2 && return 1 ;;
    esac
}

temp=
trap '[ -z "$temp" ] || rm -rf "$temp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for group in "$@"; do
    wanted=$(packages "$group")
    from=
    [ ! -r "$cache/drivers/$group/.from" ] || read -r from <"$cache/drivers/$group/.from"
    [ "$from" != "$wanted" ] || continue
    mkdir -p "$cache/drivers"
    temp=$cache/drivers/.fetch-$group.$$
    mkdir "$temp"
    # Word splitting is meant.
    # shellcheck disable=SC2086
    case $group in
    node)
        "$here/system.sh" node npm
        npm install --prefix "$temp" --ignore-scripts --no-audit --no-fund --no-save --save-exact --loglevel=error $wanted >&2
        ;;
    *)
        # The Python that psycopg2 is for is the one that runs them all.
        "$here/psycopg2.sh"
        read -r python <"$cache/psycopg2/python"
        "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
            --only-binary=:all: --target "$temp" $wanted >&2
        ;;
    esac || { echo "drivers: could not fetch $wanted; the lines above say why" >&2 && exit 1; }
    printf '%s\n' "$wanted" >"$temp/.from"
    chmod -R u+rwX,go+rX,go-w "$temp"
    rm -rf "${cache:?}/drivers/$group"
    mv "$temp" "$cache/drivers/$group"
    temp=
    echo "drivers: fetched $wanted" >&2
done

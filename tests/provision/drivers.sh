#!/bin/sh
# Brings drivers of other languages, which run what `pgseal client` hands out for them, into $PGSEAL_TEST_CACHE/drivers
# (default: target/servers/drivers).
#   tests/provision/drivers.sh GROUP…
# GROUP is one of: python (psycopg, asyncpg), frameworks (SQLAlchemy, Django, pyodbc for psqlODBC), node (node-postgres,
# postgres.js, Sequelize, TypeORM, Knex, Drizzle), prisma, go (pgx, as Debian has it), rust (tokio-postgres, sqlx). What is present
# costs nothing. Those that the system packages come by system.sh: ruby-pg, php-pgsql, dbd-pg, psqlodbc, lib-pq.
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
    prisma) echo prisma@7.10.0 @prisma/client@7.10.0 @prisma/adapter-pg@7.10.0 pg@8.23.1 ;;
    # As packages they would bring a hundred others along that building pgx does not want.
    go) printf 'golang-github-jackc-%s-dev ' pgx-v4 pgconn pgio pgpassfile pgproto3-v2 pgservicefile pgtype chunkreader-v2 &&
        echo golang-golang-x-crypto-dev golang-golang-x-text-dev ;;
    # What one compiler built another cannot read.
    rust) echo "$(cksum <"$here/drivers-rust/Cargo.lock") $(rustc --version)" ;;
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
    prisma)
        "$here/system.sh" node npm
        npm install --prefix "$temp" --ignore-scripts --no-audit --no-fund --no-save --save-exact --loglevel=error $wanted >&2
        printf '%s\n' 'generator client {' 'provider = "prisma-client-js"' '}' 'datasource db {' 'provider = "postgresql"' '}' \
            'model Thing {' 'id Int @id' '}' >"$temp/schema.prisma"
        # Its command line would download an engine that migrates schemas, which nothing here wants.
        (cd "$temp" && PRISMA_SCHEMA_ENGINE_BINARY=$(command -v node) CHECKPOINT_DISABLE=1 \
            node node_modules/prisma/build/index.js generate --schema schema.prisma >&2)
        ;;
    go)
        "$here/system.sh" lib-pq
        mkdir "$temp/packages"
        (cd "$temp/packages" && apt-get -q download $wanted >&2) &&
            for package in "$temp/packages"/*.deb; do dpkg-deb -x "$package" "$temp" || exit 1; done && rm -r "$temp/packages"
        ;;
    rust)
        cargo build --quiet --locked --manifest-path "$here/drivers-rust/Cargo.toml" --target-dir "$temp/target" >&2 &&
            mv "$temp/target/debug/deps" "$temp/deps" && rm -r "$temp/target" &&
            printf '%s\n' "$(rustc --print sysroot)/bin/rustc" >"$temp/rustc"
        ;;
    *)
        # The Python that psycopg2 is for is the one that runs them all.
        "$here/psycopg2.sh"
        read -r python <"$cache/psycopg2/python"
        "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
            --only-binary=:all: --target "$temp" $wanted >&2
        ;;
    esac || { echo "drivers: could not fetch the group $group; the lines above say why" >&2 && exit 1; }
    printf '%s\n' "$wanted" >"$temp/.from"
    chmod -R u+rwX,go+rX,go-w "$temp"
    rm -rf "${cache:?}/drivers/$group"
    mv "$temp" "$cache/drivers/$group"
    temp=
    echo "drivers: fetched $group ($wanted)" >&2
done

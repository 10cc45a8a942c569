#!/bin/sh
# A sealed PostgreSQL from nothing: installs a server when there is none, builds pgseal, runs `pgseal up` on a free port,
# shows that psql with verify-full gets in and plaintext does not, and removes it all. Ends 0 when all of it held.
set -eu
cd "$(dirname "$0")/.."
# Nothing of the caller's own PostgreSQL settings is to matter here.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGSSLMODE PGSSLROOTCERT \
    PGSSLCERT PGSSLKEY PGOPTIONS PGDATA

step() { printf '\n$ %s\n' "$*"; }
fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# Whether any user can pass through every directory on the way.
open_to_all() {
    dir=$1
    while [ -n "$(find "$dir" -prune -perm -001)" ]; do
        [ "$dir" != / ] || return 0
        dir=$(dirname "$dir")
    done
    return 1
}

tests/provision/system.sh server
# Homebrew keeps its psql out of the way.
for bin in /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /home/linuxbrew/.linuxbrew/opt/postgresql*/bin; do
    if [ -x "$bin/psql" ]; then PATH=$PATH:$bin; fi
done

target=${CARGO_TARGET_DIR:-target}
step cargo build --release
cargo build --release --locked --package pgseal
mkdir -p "$target/demo"
target=$(cd "$target" && pwd -P)
pgseal=$target/release/pgseal

# As root the server runs as another user, who must be able to reach its directory.
if [ "$(id -u)" != 0 ] || open_to_all "$target/demo"; then
    place=$(mktemp -d "$target/demo/XXXXXX")
else
    place=$(mktemp -d /tmp/pgseal-demo.XXXXXX)
fi
chmod 755 "$place"
sealed=$place/pgseal
clean() {
    [ ! -d "$sealed" ] || "$pgseal" down "$sealed" --remove --yes >/dev/null 2>&1 || :
    # What pgseal could not remove stays, and so does the server's way to it.
    [ -d "$sealed" ] || rm -rf "$place"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step pgseal up "$sealed" -p 0
"$pgseal" up "$sealed" -p 0

step pgseal status "$sealed"
"$pgseal" status "$sealed"

# A second up changes nothing, proves again, and says as JSON where to connect.
facts=$("$pgseal" up "$sealed" --format json)
fact() { printf '%s\n' "$facts" | tr -d '\n' | sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p'; }
uri=$(fact uri)
PGPASSFILE=$(fact passfile)
export PGPASSFILE
case $uri in
*sslmode=verify-full*) ;;
*) fail "pgseal up --format json gave no verify-full URI: $facts" ;;
esac

query="SELECT 'encrypted: ' || ssl || ', ' || version || ', ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
step psql "'$uri'"
psql -X -w -A -t "$uri" -c "$query" || fail "psql with verify-full was not let in"

plain=$(printf '%s' "$uri" | sed 's/sslmode=verify-full/sslmode=disable/')
step psql "'$plain'"
if answer=$(psql -X -w -A -t "$plain" -c "$query" 2>&1); then
    fail "psql with sslmode=disable was let in: $answer"
fi
printf '%s\n' "$answer"
case $answer in
*pg_hba.conf*) ;;
*) fail "psql with sslmode=disable failed, but not because it was refused" ;;
esac

step pgseal down "$sealed" --remove --yes
"$pgseal" down "$sealed" --remove --yes
[ ! -e "$sealed" ] || fail "$sealed is still there"

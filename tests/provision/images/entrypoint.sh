#!/bin/bash
# The entrypoint of the stand-in images: written for the tests, and held to what users of the official image rely on.
# Settings come from the environment (POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, each also as …_FILE;
# POSTGRES_INITDB_ARGS, POSTGRES_INITDB_WALDIR, POSTGRES_HOST_AUTH_METHOD). They matter on an empty data directory only.
# Not -u: scripts of the user's are read into this one.
set -Eeo pipefail

scripts=/docker-entrypoint-initdb.d
run=/var/run/postgresql

fail() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

# A setting, or else what the file of NAME_FILE holds, or else a default. Exported: the server's environment has it, too.
setting() { # name default
    local name=$1 file=$1_FILE value=$2
    if [ -n "${!name:-}" ]; then
        [ -z "${!file:-}" ] || fail "both $name and $file are set (but are exclusive)"
        value=${!name}
    elif [ -n "${!file:-}" ]; then
        value=$(<"${!file}")
    fi
    export "$name=$value"
    unset "$file"
}

# Whether the server is only asked something about itself, which needs no data.
asks_only() { # word…
    local word
    for word; do
        case $word in
        -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

# The directories, as root also their owner. A volume that came with another owner is taken over.
directories() {
    local root=no dirs=("$PGDATA")
    [ "$(id -u)" != 0 ] || root=yes
    mkdir -p "$PGDATA" "$run" || :
    # Under --user they may be somebody else's; then it is for initdb and postgres to say so.
    chmod 700 "$PGDATA" 2>/dev/null || :
    chmod 3775 "$run" 2>/dev/null || :
    if [ -n "$POSTGRES_INITDB_WALDIR" ]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 700 "$POSTGRES_INITDB_WALDIR" 2>/dev/null || :
        dirs+=("$POSTGRES_INITDB_WALDIR")
    fi
    [ $root = no ] || find "${dirs[@]}" "$run" ! -user postgres -exec chown postgres {} +
}

# From 18 on data lies in a directory of its major version. Data, or a volume, where it lay before is not passed over.
refuse_older_place() {
    [ "$PG_MAJOR" -ge 18 ] || return 0
    local old=/var/lib/postgresql/data where=
    [ ! -s /var/lib/postgresql/PG_VERSION ] || where=/var/lib/postgresql
    [ ! -s $old/PG_VERSION ] || where=$old
    [ "$PGDATA" = $old ] || ! grep -q " $old " /proc/self/mountinfo || where="$old (unused mount/volume)"
    [ -z "$where" ] || fail "in 18+, these images keep the data in $PGDATA; counter to that, there appears to be PostgreSQL data in: $where"
}

refuse_without_password() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        fail "Database is uninitialized and superuser password is not specified.
       Set POSTGRES_PASSWORD to a non-empty value, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in."
    fi
    if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
        echo 'WARNING: POSTGRES_HOST_AUTH_METHOD is trust: anyone who reaches the port gets in without a password' >&2
    fi
}

# initdb wants a name for its uid. Under --user with one that has none, a library lends it the name postgres.
initialize() {
    local library=/usr/lib/libnss_wrapper.so lent=() files=
    if ! getent passwd "$(id -u)" >/dev/null; then
        files=$(mktemp -d)
        echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$files/passwd"
        echo "postgres:x:$(id -g):" >"$files/group"
        lent=(env "LD_PRELOAD=$library" "NSS_WRAPPER_PASSWD=$files/passwd" "NSS_WRAPPER_GROUP=$files/group")
    fi
    local words=()
    # The arguments are quoted as in a shell.
    eval "words=($POSTGRES_INITDB_ARGS)"
    [ -z "$POSTGRES_INITDB_WALDIR" ] || words=(--waldir "$POSTGRES_INITDB_WALDIR" "${words[@]}")
    "${lent[@]}" initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${words[@]}"
    [ -z "$files" ] || rm -rf "$files"
}

# initdb lets in the container itself; this line lets in everybody else.
let_hosts_in() { # the server's arguments
    local method=$POSTGRES_HOST_AUTH_METHOD
    [ -n "$method" ] || method=$(postgres -C password_encryption "$@")
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# psql on the socket of the server that is only there for setting up.
ask() { # psql's arguments
    PGHOST='' PGHOSTADDR='' \
        psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc "$@"
}

make_database() {
    local found
    found=$(ask --dbname postgres --set db="$POSTGRES_DB" --tuples-only <<<"SELECT 1 FROM pg_database WHERE datname = :'db';")
    [ -n "$found" ] || ask --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
}

# What users put into the directory, in the order of the names: a script that may be executed is, another is read in.
run_scripts() {
    local file
    for file in "$scripts"/*; do
        case $file in
        *.sh)
            printf '%s: running %s\n' "$0" "$file"
            # shellcheck disable=SC1090
            if [ -x "$file" ]; then "$file"; else . "$file"; fi
            ;;
        *.sql) printf '%s: running %s\n' "$0" "$file"; ask --dbname "$POSTGRES_DB" -f "$file" ;;
        *.sql.gz) printf '%s: running %s\n' "$0" "$file"; gunzip -c "$file" | ask --dbname "$POSTGRES_DB" ;;
        *.sql.xz) printf '%s: running %s\n' "$0" "$file"; xzcat "$file" | ask --dbname "$POSTGRES_DB" ;;
        "$scripts/*") ;;
        *) printf '%s: ignoring %s\n' "$0" "$file" ;;
        esac
    done
}

# Sets an empty data directory up, by a server that listens on its socket only but has all of the caller's arguments.
set_up() { # the server's arguments
    refuse_without_password
    # Before anything is made: unreadable scripts would leave a database that looks complete.
    ls "$scripts" >/dev/null
    initialize
    let_hosts_in "$@"
    # Also for what the scripts ask: initdb may have been told not to trust the socket.
    export PGPASSWORD="${PGPASSWORD:-$POSTGRES_PASSWORD}"
    pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")" -w start
    make_database
    run_scripts
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

if [ $# = 0 ] || [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "$1" = postgres ] && ! asks_only "$@"; then
    # Secrets in files are read before the step down: they may be root's.
    setting POSTGRES_PASSWORD ''
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS ''
    : "${POSTGRES_INITDB_WALDIR:=}" "${POSTGRES_HOST_AUTH_METHOD:=}"
    directories
    [ "$(id -u)" != 0 ] || exec gosu postgres "${BASH_SOURCE[0]}" "$@"
    if [ -s "$PGDATA/PG_VERSION" ]; then
        printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
        refuse_older_place
        set_up "${@:2}"
    fi
fi
exec "$@"

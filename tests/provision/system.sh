#!/bin/sh
# Installs what is missing through the system's own package manager, and nothing when nothing is missing.
#   tests/provision/system.sh NEED…
# NEED is one of: server (a PostgreSQL server, any version, and psql), postgresql-15, openssl, python3, jq, pip, npm, ip (of iproute2),
# pgbouncer, dockerd, docker (its client), certtool (of GnuTLS), javac (a JDK), jdbc (PostgreSQL's driver for it), cmark-gfm
# (GitHub's Markdown), chromium,
# node; the drivers ruby-pg, php-pgsql, dbd-pg, psqlodbc, lib-pq (with Go), each with what runs it.
# No PostgreSQL cluster is created or started by it.
set -eu

say() { printf '%s\n' "$*" >&2; }

# Homebrew keeps versioned programs out of the way.
for bin in /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /home/linuxbrew/.linuxbrew/opt/postgresql*/bin; do
    if [ -x "$bin/psql" ]; then PATH=$PATH:$bin; fi
done

# A server in any place where `pgseal up` looks for one.
server_present() {
    for dir in ${PGSEAL_PG_BIN:+"$PGSEAL_PG_BIN"} /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /home/linuxbrew/.linuxbrew/opt/postgresql*/bin; do
        [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && return 0
    done
    command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1
}

present() {
    case $1 in
    server) server_present && command -v psql >/dev/null 2>&1 ;;
    postgresql-15) [ -x /usr/lib/postgresql/15/bin/postgres ] && command -v psql >/dev/null 2>&1 ;;
    jdbc) [ -e /usr/share/java/postgresql.jar ] ;;
    ruby-pg) ruby -e 'require "pg"' >/dev/null 2>&1 ;;
    php-pgsql) php -r 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);' >/dev/null 2>&1 ;;
    dbd-pg) perl -MDBD::Pg -e 1 >/dev/null 2>&1 ;;
    # The manager of drivers, which comes with isql, is not what the driver itself asks for.
    psqlodbc) command -v isql >/dev/null 2>&1 && odbcinst -q -d 2>/dev/null | grep -q 'PostgreSQL Unicode' ;;
    lib-pq) command -v go >/dev/null 2>&1 && [ -d /usr/share/gocode/src/github.com/lib/pq ] ;;
    pip) python3 -m pip --version >/dev/null 2>&1 || /usr/bin/python3 -m pip --version >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

manager() {
    for one in apt-get dnf yum apk pacman zypper brew; do
        command -v "$one" >/dev/null 2>&1 && { echo "$one"; return; }
    done
    return 1
}

# The packages that fill a need, as the manager names them.
packages() { # manager need
    case $1:$2 in
    apt-get:server) echo postgresql postgresql-client ;;
    apt-get:postgresql-15) echo postgresql-15 postgresql-client-15 ;;
    brew:server) echo postgresql@18 ;;
    apk:server | pacman:server) [ "$1" = apk ] && echo postgresql postgresql-client || echo postgresql ;;
    *:server) echo postgresql-server postgresql ;;
    *:postgresql-15) return 1 ;;
    apt-get:jdbc) echo libpostgresql-jdbc-java ;;
    dnf:jdbc | yum:jdbc) echo postgresql-jdbc ;;
    apt-get:node) echo nodejs ;;
    apt-get:php-pgsql) echo php-cli php-pgsql ;;
    apt-get:dbd-pg) echo libdbd-pg-perl ;;
    apt-get:psqlodbc) echo odbc-postgresql odbcinst unixodbc ;;
    apt-get:lib-pq) echo golang-go golang-github-lib-pq-dev ;;
    apt-get:ruby-pg) echo ruby-pg ;;
    *:ruby-pg | *:php-pgsql | *:dbd-pg | *:psqlodbc | *:lib-pq) return 1 ;;
    *:node) echo nodejs ;;
    apt-get:javac) echo default-jdk-headless ;;
    dnf:javac | yum:javac) echo java-devel ;;
    apt-get:certtool) echo gnutls-bin ;;
    dnf:certtool | yum:certtool | apk:certtool) echo gnutls-utils ;;
    pacman:python3) echo python ;;
    brew:python3 | brew:pip) echo python ;;
    apk:pip) echo py3-pip ;;
    pacman:pip) echo python-pip ;;
    *:pip) echo python3-pip ;;
    brew:npm) echo node ;;
    zypper:npm) echo npm-default ;;
    dnf:ip | yum:ip) echo iproute ;;
    *:ip) echo iproute2 ;;
    apt-get:dockerd | apt-get:docker) echo docker.io ;;
    dnf:dockerd | yum:dockerd | dnf:docker | yum:docker) echo moby-engine ;;
    *:dockerd) echo docker ;;
    *) echo "$2" ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif [ -t 0 ]; then sudo "$@"
    else sudo -n "$@"
    fi
}

# Debian starts a cluster on port 5432 when a server is installed, unless told not to. What we tell it is taken back afterwards.
quiet=/etc/postgresql-common/createcluster.d/pgseal.conf
apt_install() {
    as_root mkdir -p "${quiet%/*}"
    echo 'create_main_cluster = false' | as_root tee "$quiet" >/dev/null
    trap 'as_root rm -f "$quiet"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update >&2 || say "apt-get update failed; trying with the package lists at hand"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" >&2
}

install() { # manager package…
    tool=$1
    shift
    case $tool in
    apt-get) apt_install "$@" ;;
    dnf | yum) as_root "$tool" -q -y install "$@" >&2 ;;
    apk) as_root apk add --quiet "$@" >&2 ;;
    pacman) as_root pacman -Sy --noconfirm --needed "$@" >&2 ;;
    zypper) as_root zypper --non-interactive --quiet install "$@" >&2 ;;
    brew) brew install --quiet "$@" >&2 ;;
    esac
}

missing=
for need in "$@"; do
    present "$need" || missing="$missing $need"
done
[ -n "$missing" ] || exit 0

tool=$(manager) || {
    say "missing:$missing, and no package manager that this script knows (apt-get, dnf, yum, apk, pacman, zypper, brew); install them by hand"
    exit 1
}
wanted=
for need in $missing; do
    wanted="$wanted $(packages "$tool" "$need")" || {
        say "$tool has no package for $need"
        exit 1
    }
done
# Word splitting is meant from here on: these are lists of package names.
# shellcheck disable=SC2086
if [ "$tool" != brew ] && [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
    say "missing:$missing; you are not root and there is no sudo. As root, run: $tool install$wanted"
    exit 1
fi
say "installing$wanted by $tool"
# shellcheck disable=SC2086
install "$tool" $wanted || {
    say "could not install$wanted by $tool; the lines above say why. As root, run: $tool install$wanted"
    exit 1
}
for need in $missing; do
    present "$need" || {
        say "$tool installed$wanted, but $need is still not to be found"
        exit 1
    }
done

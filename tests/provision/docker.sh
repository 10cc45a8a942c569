#!/bin/sh
# A docker of the tests' own, and what they start in it.
#   tests/provision/docker.sh NAME…     starts it where it does not run, and brings what is missing
#   tests/provision/docker.sh answers   whether it runs
#   tests/provision/docker.sh down      stops it, unless a test is using it
#   tests/provision/docker.sh remove    stops it and removes all that it keeps
# NAME is an image, postgres:MAJOR or postgres:MAJOR-alpine, or compose-v1 or compose-v2.
# All lies in docker/ of $PGSEAL_TEST_CACHE (default: target/servers): the socket is docker.sock, compose v1 the program
# compose-v1/docker-compose, compose v2 a plugin of the client where DOCKER_CONFIG is config. The system's own docker,
# its images and its firewall are not touched.
set -eu

here=$(cd "$(dirname "$0")" && pwd -P)
cache=${PGSEAL_TEST_CACHE:-$here/../../target/servers}
mkdir -p "$cache/docker/config"
cache=$(cd "$cache" && pwd -P)
docker=$cache/docker
PGSEAL_TEST_CACHE=$cache
DOCKER_HOST=unix://$docker/docker.sock
DOCKER_CONFIG=$docker/config
export PGSEAL_TEST_CACHE DOCKER_HOST DOCKER_CONFIG
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION DOCKER_DEFAULT_PLATFORM

# Where ordinary users do not look.
PATH=$PATH:/usr/sbin:/sbin
export PATH

say() { printf 'docker: %s\n' "$*" >&2; }

# What the images are made of and Debian has, unpacked here and not installed: one of them would replace the system's own.
tools() {
    [ ! -e "$docker/tools" ] || return 0
    rm -rf "$docker/tools.half"
    "$here/docker-packages.sh" "$docker/tools.half" alone busybox-static gosu libnss-wrapper
    mv "$docker/tools.half" "$docker/tools"
}

# The images that are not there, or were made from something else than what is here now.
outdated() { # image…
    # With none of them there it prints nothing, and what it prints of others is wanted all the same.
    have=$(docker image inspect --format '{{join .RepoTags " "}} {{index .Config.Labels "pgseal.tests.inputs"}}' "$@" 2>/dev/null || :)
    python3 "$here/images/archive.py" "$cache" inputs "$@" | while read -r image inputs; do
        printf '%s\n' "$have" | grep -qxF "$image $inputs" || printf '%s\n' "$image"
    done
}

images() { # image…
    missing=$(outdated "$@")
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    python3 "$here/images/archive.py" "$cache" build $missing | docker load --quiet >/dev/null || {
        say "could not load" $missing
        say "dockerd needs root who may mount; in a container, start that with docker run --privileged"
        return 1
    }
    # A pipe tells of its end only.
    # shellcheck disable=SC2086
    [ -z "$(outdated $missing)" ] || { say "could not make" $missing; return 1; }
    # Those whose names went to the new ones.
    docker image prune --force --filter label=pgseal.tests.inputs >/dev/null
    # shellcheck disable=SC2086
    say "made" $missing
}

case ${1:-} in
"") say "nothing was asked for; the first lines of $0 say what there is" && exit 2 ;;
answers | down | remove) exec "$here/docker-daemon.sh" "$docker" "$1" ;;
esac

wanted=
majors=
composes=
for name in "$@"; do
    case $name in
    compose-v[12]) composes="$composes $name" ;;
    postgres:*)
        major=${name#postgres:}
        major=${major%-alpine}
        # Two flavours are of one server.
        case "$majors " in
        *" $major "*) ;;
        *) majors="$majors $major" ;;
        esac
        wanted="$wanted $name"
        ;;
    *) say "there is no $name; the first lines of $0 say what there is" && exit 2 ;;
    esac
done

# Two at once would do the same work twice.
exec 9>>"$docker/lock"
flock 9
"$here/system.sh" dockerd docker ip 9>&-
jobs=
for compose in $composes; do
    "$here/docker-compose.sh" "$docker" "${compose#compose-}" 9>&- &
    jobs="$jobs $!"
done
"$here/docker-daemon.sh" "$docker" up 9>&-
# shellcheck disable=SC2086
"$here/needs.sh" $majors 9>&-
tools
# shellcheck disable=SC2086
[ -z "$wanted" ] || images $wanted
failed=0
for job in $jobs; do
    wait "$job" || failed=1
done
exit "$failed"

#!/bin/sh
# Starts and stops the dockerd of the tests' own: tests/provision/docker-daemon.sh DIRECTORY up|up-mapped|answers|down|remove
# `up-mapped` is `up` with --userns-remap: root of its containers is nobody of this host. /etc/subuid and /etc/subgid
# stay as they are; where there are none, empty ones are made.
# All of it lies in DIRECTORY (absolute). Its containers have a bridge and addresses of their own; it makes no firewall
# rules and forwards nothing: what reaches a container is what was published for it, through a proxy on this host.
set -eu

docker=$1
verb=$2
socket=$docker/docker.sock
pidfile=$docker/docker.pid
# Users of the host for those of its containers, in the range that useradd gives its third account: some host may have one.
mapped=231072
# A bridge's name has at most 15 letters.
bridge=pgs$(printf '%s' "$docker" | cksum | cut -d ' ' -f 1)
# Seconds for a start or a stop.
patience=60

say() { printf 'docker: %s\n' "$*" >&2; }

if [ "$(id -u)" = 0 ]; then root=
elif [ -t 0 ]; then root=sudo
else root="sudo -n"
fi
as_root() { $root "$@"; }

answers() { docker --host "unix://$socket" version >/dev/null 2>&1; }

# The pid that a file names, if it is that program with that word: a pid may have gone to another since, or have ended
# without anybody to take note of it.
pid_in() { # file program word
    number=$(as_root cat "$1" 2>/dev/null) && [ -n "$number" ] || return 1
    [ "$(cat "/proc/$number/comm" 2>/dev/null)" = "$2" ] || return 1
    tr '\0' '\n' <"/proc/$number/cmdline" | grep -qxF -e "$3" || return 1
    echo "$number"
}

pid() { pid_in "$pidfile" dockerd "--pidfile=$pidfile"; }

# What a dockerd that was killed leaves would keep the next one waiting in vain. Containers are let be.
clear_away() {
    contained=$docker/exec/containerd
    ! left=$(pid_in "$contained/containerd.pid" containerd "$contained/containerd.toml") || as_root kill "$left"
    as_root rm -f "$pidfile" "$contained/containerd.pid"
}

# Tries something ten times a second, until it holds.
until_so() { # command…
    tries=$((patience * 10))
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}

fail_to_start() {
    said=$(tail -n 1 "$docker/log")
    say "dockerd does not run here: ${said:-it said nothing}"
    say "it needs root (or sudo) who may mount and make bridges; in a container, start that with docker run --privileged"
    say "all that it said is in $docker/log"
    exit 1
}

start() {
    [ "${#socket}" -le 90 ] || { say "$socket is too long for a socket; set PGSEAL_TEST_CACHE to a shorter path" && exit 1; }
    ! pid >/dev/null || {
        until_so answers || { say "the dockerd with the pid in $pidfile does not answer; end it, then try again" && exit 1; }
        return 0
    }
    clear_away
    ip link show "$bridge" >/dev/null 2>&1 || as_root ip link add name "$bridge" type bridge || {
        say "could not make the bridge $bridge; root needs the right to (CAP_NET_ADMIN; in a container, docker run --privileged)"
        exit 1
    }
    # /etc/docker/daemon.json is the system's.
    echo '{}' >"$docker/daemon.json"
    # Opened by whoever asks: those who run a test hold its lock.
    : >>"$docker/users"
    [ "$(id -u)" = 0 ] && group= || group="--group=$(id -g)"
    apart=
    remap=
    rm -f "$docker/sub"
    [ "$verb" = up ] || {
        # In a mount namespace of its own it finds our list of users in the place of the system's.
        for list in /etc/subuid /etc/subgid; do
            [ -e "$list" ] || as_root touch "$list"
        done
        echo "nobody:$mapped:65536" >"$docker/sub"
        # Root of the containers passes through, and cannot list it.
        chmod 711 "$docker"
        apart="unshare --mount"
        remap="--userns-remap=nobody:$(id -gn nobody)"
    }
    # The storage driver is the first that works here, as dockerd finds it: overlay2, vfs at last.
    # Not through as_root: a shell that waited for it would keep our output open.
    # shellcheck disable=SC2016,SC2086
    (exec $root setsid $apart sh -c 'log=$1; shift
        [ ! -e "$1/sub" ] || { mount --bind "$1/sub" /etc/subuid && mount --bind "$1/sub" /etc/subgid; } || exit 1
        shift; exec dockerd "$@" >"$log" 2>&1 </dev/null' sh "$docker/log" "$docker" \
        --config-file="$docker/daemon.json" --host="unix://$socket" --pidfile="$pidfile" --data-root="$docker/data" \
        --exec-root="$docker/exec" --containerd-namespace="$bridge" --containerd-plugins-namespace="$bridge-plugins" \
        --bridge="$bridge" --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --ip=127.0.0.1 \
        --log-level=warn $remap $group) >/dev/null 2>&1 &
    started=$!
    until_so answers_or_ended
    answers || fail_to_start
    say "started, pid $(cat "$pidfile")"
}

answers_or_ended() { answers || ! kill -0 "$started" 2>/dev/null; }

stop() {
    exec 8>>"$docker/users"
    flock -n 8 || { say "a test is using it; it stays" && exit 1; }
    ! daemon=$(pid) || {
        as_root kill "$daemon"
        until_so ended || { say "the dockerd with pid $daemon does not end" && exit 1; }
    }
    ! ip link show "$bridge" >/dev/null 2>&1 || as_root ip link delete "$bridge"
}

ended() { ! pid >/dev/null; }

case $verb in
up | up-mapped) answers || start ;;
answers) answers ;;
down) stop ;;
remove)
    stop
    as_root rm -rf --one-file-system "$docker"
    ;;
*) say "up, up-mapped, answers, down or remove, not $verb" && exit 2 ;;
esac

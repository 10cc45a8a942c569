//! A network of a scenario's own, in which every address is this host's: a client may come from anywhere, and nothing
//! leaves it. Mounts of its own. Knows how to make them, not what is done in there.

use std::fs;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::account::Account;
use super::process::run;

/// Runs something in a new network. Sockets and programs that it opens and starts are in there.
#[track_caller]
pub(crate) fn in_a_network_of_its_own<T: Send>(inside: impl FnOnce() -> T + Send) -> T {
    assert!(
        Account::current().is_root(),
        "only root can make a network of its own: run this scenario as root, as in a container"
    );
    // A network is a thread's, and what the thread starts inherits it.
    let ran = thread::scope(|scope| scope.spawn(|| enter().then(inside)).join());
    ran.unwrap_or_else(|panic| resume_unwind(panic)).expect("the network was made")
}

/// Runs something among mounts of its own: what it mounts is seen by what it starts, and gone afterwards.
#[track_caller]
pub(crate) fn among_mounts_of_its_own<T: Send>(inside: impl FnOnce() -> T + Send) -> T {
    assert!(
        Account::current().is_root(),
        "only root can mount anything: run this scenario as root, as in a container"
    );
    // As with networks: a thread's, and of what it starts.
    let ran = thread::scope(|scope| scope.spawn(|| apart().then(inside)).join());
    ran.unwrap_or_else(|panic| resume_unwind(panic)).expect("the mounts were parted")
}

fn apart() -> bool {
    unshare(CloneFlags::CLONE_NEWNS).unwrap_or_else(|e| {
        panic!(
            "could not have mounts of its own: {e}. Root needs CAP_SYS_ADMIN for it (docker run --privileged)"
        )
    });
    mount(&["--make-rprivate", "/"]);
    true
}

/// A folder that nobody can write any more, whoever they are.
#[track_caller]
pub(crate) fn make_read_only(folder: &Path) {
    let folder = folder.to_str().expect("a path of the tests is UTF-8");
    mount(&["--bind", folder, folder]);
    mount(&["-o", "remount,bind,ro", folder]);
}

/// The other way round.
#[track_caller]
pub(crate) fn make_writable(folder: &Path) {
    mount(&["-o", "remount,bind,rw", folder.to_str().expect("a path of the tests is UTF-8")]);
}

#[track_caller]
pub(super) fn mount(args: &[&str]) {
    let mut command = Command::new("mount");
    command.args(args);
    run(command, b"", Duration::from_secs(10)).succeeded();
}

const NONLOCAL: &str = "/proc/sys/net/ipv6/ip_nonlocal_bind";

fn enter() -> bool {
    unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|e| {
        panic!("could not make a network of its own: {e}. Root needs CAP_SYS_ADMIN for it (docker run --privileged)")
    });
    ip(&["link", "set", "lo", "up"]);
    ip(&["route", "add", "local", "0.0.0.0/0", "dev", "lo"]);
    ip(&["-6", "route", "add", "local", "::/0", "dev", "lo"]);
    // Being routed here is enough to bind an IPv4 address, not an IPv6 one. The file is the network's of who writes it.
    fs::write(NONLOCAL, "1").unwrap_or_else(|e| panic!("could not write {NONLOCAL}: {e}"));
    true
}

fn ip(args: &[&str]) {
    let mut command = Command::new("ip");
    command.args(args);
    let there = Command::new("ip").arg("-V").output().is_ok();
    assert!(
        there,
        "there is no program ip here: run `tests/provision/system.sh ip`, which installs iproute2"
    );
    run(command, b"", Duration::from_secs(10)).succeeded();
}

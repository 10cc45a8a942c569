//! `pgseal up` may be typed again at any time: it changes nothing that is right, starts what is stopped, and proves again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, kill_process};

use crate::harness::{
    Account, Install, NO, Pictured, Sealed, Signal, all_hold, all_hold_but, picture, record, versions,
};

/// Everything but what the server itself writes: its data, log and socket. Its configuration counts.
fn ours(server: &Sealed) -> BTreeMap<PathBuf, Pictured> {
    let configuration = ["postgresql.conf", "pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf"];
    let seen = picture(server.dir(), |path: &Path| {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match path.parent().and_then(Path::to_str) {
            Some("data") => configuration.contains(&file),
            Some("log" | "run") => false,
            _ => true,
        }
    });
    assert!(seen.len() > 20, "{:?}", seen.keys());
    // Their contents change under a running server, and so does the time of the directories.
    seen.into_iter()
        .filter(|(path, _)| !["data", "log", "run"].iter().any(|own| path == Path::new(own)))
        .collect()
}

#[test]
fn a_second_up_changes_no_byte_and_proves_again() {
    for version in versions() {
        let server = Sealed::of(*version);
        let (before, pid) = (ours(&server), server.pid());
        for _ in 0..2 {
            let again = server.up();
            all_hold(&again);
            let said = again.json();
            assert_eq!((&said["state"], said["pid"].as_u64()), (&"running".into(), pid.map(u64::from)));
            for same in ["dir", "port", "uri", "passfile", "ca_file", "service_file", "pg_version"] {
                assert_eq!(said[same], server.made()[same], "{same}");
            }
        }
        assert_eq!(ours(&server), before);
        assert_eq!(server.pid(), pid);
        record("a second up changes nothing", 2);
    }
}

#[test]
fn a_stopped_server_is_started_again_as_it_was() {
    for version in versions() {
        let server = Sealed::of(*version);
        server.sql("CREATE TABLE kept AS SELECT 42 AS answer");
        let (before, pid) = (ours(&server), server.pid());
        let down = server.pgseal().args(["down", "sealed", "--format", "json"]).run().succeeded();
        assert_eq!(down.json()["stopped_pid"].as_u64(), pid.map(u64::from));
        assert_eq!(server.pid(), None);
        assert_eq!(server.sandbox().living(), Vec::<u32>::new(), "nothing runs there any more");
        server.pgseal().args(["status", "sealed"]).run().ended(1).says("stopped");
        server.pgseal().args(["verify", "sealed"]).run().ended(3).complains("no server runs in");
        server.pgseal().args(["down", "sealed"]).run().succeeded().says("no server ran");

        let up = server.up();
        all_hold(&up);
        assert_eq!(up.json()["state"], "started");
        assert_ne!(server.pid(), pid);
        assert_eq!(ours(&server), before);
        assert_eq!(server.sql("SELECT answer FROM kept"), "42");
        server.pgseal().args(["status", "sealed"]).run().succeeded().says("running");
        record("a stopped server is started again", 1);
    }
}

#[test]
fn a_server_whose_postmaster_was_killed_is_started_again_at_once() {
    // Each version, and both accounts by turns.
    for (version, account) in versions().iter().zip([Account::ordinary(), Account::current()].iter().cycle())
    {
        let server = Sealed::with(&Install::of(*version), account, &[]);
        server.sql("CREATE TABLE kept AS SELECT 42 AS answer");
        let before = ours(&server);
        kill(&server);
        // At once: the postmaster's children are still on their way out, and its postmaster.pid is there.
        let up = server.up();
        all_hold(&up);
        assert_eq!(up.json()["state"], "started", "{up}");
        assert_eq!(ours(&server), before);
        assert_eq!(server.sql("SELECT answer FROM kept"), "42");
        record("a killed server is started again", 1);
    }
}

#[test]
fn what_a_person_changed_is_left_alone_by_a_second_up() {
    let server = Sealed::of(18);
    server.append_conf("work_mem = 5MB");
    server.prepend_hba("# a line of my own");
    server.reload();
    let (before, pid) = (ours(&server), server.pid());
    all_hold(&server.up());
    assert_eq!((ours(&server), server.pid()), (before, pid));
    assert_eq!(server.sql("SHOW work_mem"), "5MB");
}

/// A later up never stops or removes a server with data, whatever its proof says.
#[test]
fn a_later_up_that_proves_not_all_leaves_the_server_running() {
    let server = Sealed::of(15);
    server.prepend_hba("host all all 127.0.0.1/32 scram-sha-256");
    server.reload();
    let fallen =
        &[("plaintext-refused-ipv4", NO), ("no-plaintext-path", NO), ("sslmode-disable-refused", NO)];
    let (before, pid) = (ours(&server), server.pid());
    let up = server.up();
    all_hold_but(&up, fallen);
    assert_eq!(up.json()["state"], "running");
    assert_eq!((ours(&server), server.pid()), (before, pid));

    server.pgseal().args(["down", "sealed"]).run().succeeded();
    let up = server.up();
    all_hold_but(&up, fallen);
    assert_eq!(up.json()["state"], "started");
    assert!(server.is_ready() && server.pid().is_some());
}

/// PostgreSQL creates postmaster.pid empty: who looks at that very moment looks again.
#[test]
fn a_pid_file_that_is_just_being_written_is_waited_for() {
    let server = Sealed::of(15);
    let written = server.read("postmaster.pid");
    server.write("postmaster.pid", "");
    let up = server.pgseal().args(["up", "sealed", "--format", "json"]).start();
    std::thread::sleep(Duration::from_millis(200));
    server.write("postmaster.pid", &written);
    let up = up.wait(Duration::from_secs(30));
    all_hold(&up);
    assert_eq!(up.json()["state"], "running");
}

/// As the system's out-of-memory killer does it; returns when it is dead.
fn kill(server: &Sealed) {
    let number = server.pid().unwrap();
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    let running = || std::fs::read_link(format!("/proc/{number}/cwd")).is_ok();
    while running() {
        assert!(std::time::Instant::now() < end, "the postmaster was killed");
        std::thread::sleep(Duration::from_millis(1));
    }
}

//! A reload that the server refuses is told by its log alone. Whatever it is written in and whoever keeps it, its lines stand
//! among the reasons of the rollback, one a line; where it cannot be read, that is said, and changes nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use crate::harness::{
    Account, Contained, Living, Ran, Sandbox, images_in_turn, record, versions, versions_in_turn,
};

/// A policy whose curve no OpenSSL knows, and what the server says of it.
fn nonsense(sandbox: &Sandbox, version: u32) -> (String, &'static str) {
    let text = include_str!("../crates/pgseal/src/policy/intermediate.toml");
    let (from, to, said) = if version >= 18 {
        ("groups = [\"X25519\"", "groups = [\"nonsense\"", "could not set group names")
    } else {
        ("curve = \"prime256v1\"", "curve = \"nonsense\"", "unrecognized curve name")
    };
    assert!(text.contains(from));
    let path = sandbox.file_of(&Account::current(), "policy.toml", 0o644, &text.replace(from, to));
    (path.display().to_string(), said)
}

/// Rolled back, with every file as it was.
#[track_caller]
fn rolled_back(living: &Living, version: u32, by: &Account) -> (Ran, &'static str) {
    let before = living.kept_files();
    let (policy, said) = nonsense(living.sandbox(), version);
    let ran = living.secure(&["--policy", &policy], by).run().ended(4).complains("rolled back: ");
    assert_eq!(living.kept_files(), before, "{ran}");
    (ran, said)
}

/// The lines of the server's own among the reasons.
fn own_words(ran: &Ran) -> Vec<&str> {
    ran.stderr().lines().filter_map(|line| line.trim().strip_prefix("server log: ")).collect()
}

fn collected(version: u32, destination: &str) -> Living {
    let destination = format!("log_destination = '{destination}'\nlogging_collector = on");
    Living::set_up(version, |setup| setup.conf(&destination))
}

#[test]
fn whatever_the_log_is_written_in() {
    for version in versions() {
        for (nth, by) in Account::current_and_server().into_iter().enumerate() {
            let mut destinations = vec!["stderr", "csvlog"];
            if *version >= 15 {
                destinations.extend(["jsonlog", "csvlog,jsonlog"]);
            }
            for destination in destinations.into_iter().skip(nth).step_by(2) {
                let living = collected(*version, destination);
                let (ran, said) = rolled_back(&living, *version, &by);
                let words = own_words(&ran);
                assert!(words.iter().any(|line| line.contains(said)), "{destination}: {ran}");
                assert!(
                    words.iter().any(|line| line.contains("SSL configuration was not reloaded")),
                    "{ran}"
                );
                // Severity first, and no columns of a table.
                let is_told = |line: &str| line.contains("LOG: ") || line.contains("HINT: ");
                assert!(words.iter().all(|line| is_told(line) && !line.contains(",,")), "{ran}");
                record("why a change was rolled back is told in the server's own words", 1);
            }
        }
    }
}

#[test]
fn a_log_that_cannot_be_read_is_said_to_be_and_nothing_more() {
    for version in versions_in_turn(0) {
        let by = Account::current();
        let living = collected(version, "stderr");
        let log: PathBuf = living.data().join(living.sql("SELECT pg_current_logfile()"));
        if by.is_root() {
            chown(&log, Some(0), Some(0)).expect("we are root");
            fs::set_permissions(&log, Permissions::from_mode(0o600)).expect("it is ours");
        } else {
            fs::remove_file(&log).expect("it is ours");
        }
        let (ran, _) = rolled_back(&living, version, &by);
        assert!(own_words(&ran).is_empty(), "{ran}");
        ran.complains("the server's log could not be read: ").complains("nothing is changed");
        let syslog = Living::set_up(version, |setup| setup.conf("log_destination = 'syslog'"));
        let (ran, _) = rolled_back(&syslog, version, &by);
        ran.complains("the server's log could not be read: it goes to syslog");
        record("a log that cannot be read is said to be", 2);
    }
}

#[test]
fn a_containers_log_is_dockers() {
    for image in images_in_turn(0) {
        let contained = Contained::of(&image);
        let version: u32 = contained
            .sql("SELECT current_setting('server_version_num')::int / 10000")
            .parse()
            .expect("a number");
        let before = contained.files();
        let (policy, said) = nonsense(contained.sandbox(), version);
        let ran = contained.secure(&["--policy", &policy]).run().ended(4).complains("rolled back: ");
        assert!(own_words(&ran).iter().any(|line| line.contains(said)), "{ran}");
        assert_eq!(contained.files(), before, "{ran}");
        record("why a change in a container was rolled back is told in the server's own words", 1);
    }
}

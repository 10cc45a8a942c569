//! `postmaster.pid` is a claim that anybody who can write there may make. Whatever it says, no process is signalled but the
//! server of this very folder, and a server that pgseal did not start is not touched.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use crate::harness::{Account, Bystander, Install, Ran, Running, Sealed, picture, record};

const VERBS: [&[&str]; 5] = [&["up"], &["status"], &["verify"], &["down"], &["down", "--remove", "--yes"]];

/// What a stopped server's folder holds, without what starting it would change.
fn kept(sealed: &Sealed) -> bool {
    ["data/PG_VERSION", "ca/server-ca.key", "client/pgpass", "pgseal.toml"]
        .iter()
        .all(|file| sealed.at(file).symlink_metadata().is_ok())
}

/// Every verb on the folder as it is; none may change it.
#[track_caller]
fn every_verb_leaves_it(sealed: &Sealed, check: impl Fn(&[&str], Ran)) {
    let before = picture(sealed.dir(), |_| true);
    for verb in VERBS {
        let ran = sealed.pgseal().args(verb.to_vec()).arg("sealed").run();
        check(verb, ran);
        assert!(kept(sealed));
    }
    assert_eq!(before, picture(sealed.dir(), |_| true));
}

fn stopped(account: &Account) -> Sealed {
    let sealed = Sealed::with(&Install::of(15), account, &[]);
    sealed.pgseal().args(["down", "sealed"]).run().succeeded();
    sealed
}

#[test]
fn a_pid_that_no_server_can_have_is_refused_by_every_verb() {
    for account in Account::both() {
        let sealed = stopped(&account);
        for (text, said) in [
            ("1\n", "names process 1"),
            ("-1\n", "names process -1"),
            ("0\n", "names no process"),
            ("-4711\n/d\n0\n", "names process -4711"),
            ("2147483648\n", "names process 2147483648"),
            ("9223372036854775807\n", "no server can have"),
            ("", "does not begin with a number"),
            ("99999999999999999999\n", "does not begin with a number"),
            ("garbage \u{1b}[2J\n", "does not begin with a number"),
            ("\0\0\0\0", "does not begin with a number"),
            ("12a\n", "does not begin with a number"),
        ] {
            sealed.write("postmaster.pid", text);
            every_verb_leaves_it(&sealed, |_, ran| {
                let ran = ran.ended(3).complains(said).complains("postmaster.pid");
                assert!(!ran.stderr().contains('\u{1b}'), "{ran}");
            });
        }
        fs::remove_file(sealed.at("data/postmaster.pid")).unwrap();
        sealed.up().succeeded();
    }
}

#[test]
fn a_number_that_nobody_has_any_more_is_a_server_that_crashed() {
    for account in Account::both() {
        let sealed = stopped(&account);
        // Above any pid_max.
        sealed.write("postmaster.pid", "4194305\n/d\n1700000000\n5432\n");
        sealed.pgseal().args(["status", "sealed"]).run().ended(1).says("stopped");
        sealed.pgseal().args(["down", "sealed"]).run().succeeded().says("no server ran");
        sealed.up().succeeded();
    }
}

#[test]
fn a_postmaster_pid_that_is_no_small_file_is_neither_read_nor_followed() {
    for account in Account::both() {
        let sealed = stopped(&account);
        let file = sealed.at("data/postmaster.pid");
        let canary = sealed.sandbox().file_of(&Account::current(), "canary", 0o600, "-7 root only\n");
        let owner = sealed.account();
        let attacks: [(&str, &dyn Fn()); 5] = [
            ("larger than", &|| sealed.write("postmaster.pid", &"1\n".repeat(512 << 10))),
            ("Too many levels of symbolic links", &|| symlink(&canary, &file).unwrap()),
            ("Too many levels of symbolic links", &|| symlink("postmaster.pid", &file).unwrap()),
            ("not a regular file", &|| fs::create_dir(&file).map(|()| owner.own(&file)).unwrap()),
            ("not a regular file", &|| {
                let mut mkfifo = std::process::Command::new("mkfifo");
                assert!(mkfifo.arg(&file).status().unwrap().success());
                owner.own(&file);
                assert!(fs::symlink_metadata(&file).unwrap().file_type().is_fifo());
            }),
        ];
        for (said, attack) in attacks {
            attack();
            every_verb_leaves_it(&sealed, |_, ran| {
                ran.ended(3).complains(said).complains("postmaster.pid").never_mentions("root only");
            });
            if file.is_dir() { fs::remove_dir(&file).unwrap() } else { fs::remove_file(&file).unwrap() }
        }
        assert_eq!(fs::read_to_string(canary).unwrap(), "-7 root only\n");
        sealed.up().succeeded();
    }
}

#[test]
fn a_strangers_process_is_never_signalled() {
    let mut count = 0;
    for account in Account::both() {
        let sealed = stopped(&account);
        let owner = sealed.account();
        // Of the server's own user, elsewhere; of that user, in the data folder itself; of another user.
        let elsewhere = Bystander::new(&owner, Path::new("/"));
        let inside = Bystander::new(&owner, sealed.data());
        let others = Bystander::new(&Account::current(), Path::new("/"));
        let cases = [
            (&elsewhere, "works in another directory"),
            (&inside, "is no PostgreSQL server but"),
            (
                &others,
                if owner == Account::current() { "works in another directory" } else { "it belongs to" },
            ),
        ];
        for (bystander, why) in cases {
            let port = sealed.port();
            let text =
                format!("{}\n{}\n1700000000\n{port}\n/tmp\n127.0.0.1\n 1 1\nready\n", bystander.pid(), "/d");
            sealed.write("postmaster.pid", &text);
            every_verb_leaves_it(&sealed, |_, ran| {
                ran.ended(3)
                    .complains(&format!(
                        "names process {}, which is not this folder's server",
                        bystander.pid()
                    ))
                    .complains(why)
                    .complains("no process was signalled");
            });
            bystander.was_left_alone();
            count += 1;
        }
    }
    record("no stranger's process is signalled", count);
}

#[test]
fn a_server_of_another_folder_is_not_stopped_by_this_ones_verbs() {
    for account in Account::both() {
        let (sealed, other) = (stopped(&account), Sealed::with(&Install::of(15), &account, &[]));
        // The other server's own file, word for word.
        sealed.write("postmaster.pid", &other.read("postmaster.pid"));
        let pid = other.pid().unwrap();
        every_verb_leaves_it(&sealed, |_, ran| {
            ran.ended(3).complains("works in another directory");
        });
        assert_eq!(other.pid(), Some(pid));
        other.verify().succeeded();
    }
}

#[test]
fn a_server_that_somebody_else_started_is_looked_at_and_left() {
    for account in Account::both() {
        let sealed = stopped(&account);
        let install = Install::of(15);
        let mut pg_ctl = sealed.account().command(install.program("pg_ctl"), Path::new("/"));
        let port = crate::harness::Port::free();
        pg_ctl.current_dir("/").args(["start", "-w", "-s", "-l"]).arg(sealed.at("log/other.log"));
        pg_ctl.arg("-o").arg(format!("-p {}", port.number())).arg("-D").arg(sealed.data());
        Running::start(pg_ctl, b"").wait(Duration::from_secs(60)).succeeded();
        let pid = sealed.pid().unwrap();
        for verb in [&["up"][..], &["status"], &["verify"]] {
            let ran = sealed.pgseal().args(verb.to_vec()).arg("sealed").run();
            ran.ended(3)
                .complains("a server runs on")
                .complains("that pgseal did not start")
                .complains(&format!("it listens on port {}, not {}", port.number(), sealed.port()))
                .complains(&pid.to_string());
        }
        assert_eq!(sealed.pid(), Some(pid), "it was left running");
        // Who says `down` to this folder means whatever serves it.
        let down = sealed.pgseal().args(["down", "sealed"]).run().succeeded();
        assert!(down.stdout().contains(&format!("stopped, pid {pid}")), "{down}");
        sealed.up().succeeded();
    }
}

#[test]
fn a_server_whose_file_was_removed_is_not_said_to_be_stopped() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let pid = sealed.pid().unwrap();
        let text = sealed.read("postmaster.pid");
        fs::remove_file(sealed.data().join("postmaster.pid")).unwrap();
        for verb in ["status", "down"] {
            let ran = sealed.pgseal().args([verb, "sealed"]).run().ended(3);
            ran.complains("there is no such file, and yet postgres (pid")
                .complains("no process was signalled");
        }
        sealed.write("postmaster.pid", &text);
        assert_eq!(sealed.pid(), Some(pid), "it was left running");
        sealed.pgseal().args(["down", "sealed"]).run().succeeded();
    }
}

#[test]
fn a_data_folder_that_is_gone_is_said_to_be_gone() {
    for account in Account::both() {
        let sealed = stopped(&account);
        fs::remove_dir_all(sealed.data()).unwrap();
        sealed.pgseal().args(["status", "sealed"]).run().ended(1).says("stopped");
        sealed.pgseal().args(["verify", "sealed"]).run().ended(3).complains("no server runs");
        sealed.pgseal().args(["up", "sealed"]).run().ended(3).complains("No such file or directory");
        sealed.pgseal().args(["down", "--remove", "--yes", "sealed"]).run().succeeded();
        assert!(!sealed.dir().exists());
    }
}

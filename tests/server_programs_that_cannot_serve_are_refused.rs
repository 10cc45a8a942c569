//! What `--bindir`, `PGSEAL_PG_BIN` and the usual places lead to may be no PostgreSQL, one without SSL, one too old, or
//! somebody else's trap. It is refused before anything is written, and as root nothing is run that others could change.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Account, Install, Pgseal, Ran, Sandbox};

/// A folder with a `postgres` and an `initdb` that run this script, owned by `account`.
fn stand_in(sandbox: &Sandbox, account: &Account, name: &str, script: &str) -> PathBuf {
    let bin = sandbox.dir_of(account, name);
    for program in ["postgres", "initdb"] {
        sandbox.file_of(account, &format!("{name}/{program}"), 0o755, &format!("#!/bin/sh\n{script}\n"));
    }
    bin
}

/// Runs `up` with that `--bindir`; nothing may come of it.
#[track_caller]
fn refused(sandbox: &Sandbox, account: &Account, bindir: &Path) -> Ran {
    let pgseal = Pgseal::new(sandbox).by(account);
    let work = pgseal.work_dir();
    let ran = pgseal.args(["up", "-p", "0", "--bindir"]).arg(bindir).run().ended(3);
    assert_eq!(fs::read_dir(work).unwrap().count(), 0, "something was written by:\n{ran}");
    ran
}

#[test]
fn a_build_without_ssl_can_never_speak_tls() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        refused(&sandbox, &account, Install::without_ssl().bin())
            .complains("is built without SSL")
            .complains("--bindir");
    }
}

/// No release older than 12 runs on today's systems, so a script says that it is one.
#[test]
fn a_version_older_than_12_is_too_old() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        for version in
            ["postgres (PostgreSQL) 11.22", "postgres (PostgreSQL) 9.6.24", "postgres (PostgreSQL) 8beta1"]
        {
            let name = version.rsplit(' ').next().unwrap();
            let bin = stand_in(&sandbox, &Account::current(), name, &format!("echo '{version}'"));
            refused(&sandbox, &account, &bin)
                .complains(&format!("PostgreSQL {name}"))
                .complains("is too old");
        }
    }
}

#[test]
fn programs_that_are_none_are_said_to_be_so() {
    let account = Account::ordinary();
    let sandbox = Sandbox::new();
    let we = Account::current();
    let empty = sandbox.dir_of(&we, "empty");
    refused(&sandbox, &account, &empty).complains("could not find the program").complains("--bindir names");
    refused(&sandbox, &account, &sandbox.join("absent")).complains("could not find the program");
    let half = sandbox.dir_of(&we, "half");
    fs::copy(Install::of(15).program("postgres"), half.join("postgres")).unwrap();
    refused(&sandbox, &account, &half).complains("initdb");
    let silent = stand_in(&sandbox, &we, "silent", "exit 0");
    refused(&sandbox, &account, &silent).complains("--version printed no version");
    let babble = stand_in(&sandbox, &we, "babble", "printf '\\033[2Jwelcome\\n\\033]52;c;aGk=\\007'");
    let said = refused(&sandbox, &account, &babble).complains("printed no version");
    assert!(!said.stderr().contains(['\u{1b}', '\u{7}']), "{said}");
    let failing = stand_in(&sandbox, &we, "failing", "echo 'libssl.so.1.1: no such file' >&2; exit 127");
    refused(&sandbox, &account, &failing).complains("ended with status 127").complains("libssl.so.1.1");
    let killed = stand_in(&sandbox, &we, "killed", "kill -SEGV $$");
    refused(&sandbox, &account, &killed).complains("was ended by signal 11");
    let locked = stand_in(&sandbox, &we, "locked", "echo 15.1");
    fs::set_permissions(locked.join("postgres"), Permissions::from_mode(0o644)).unwrap();
    refused(&sandbox, &account, &locked).complains("Permission denied");
    let garbage = sandbox.dir_of(&we, "garbage");
    for program in ["postgres", "initdb"] {
        fs::write(garbage.join(program), [0x7f; 64]).unwrap();
        fs::set_permissions(garbage.join(program), Permissions::from_mode(0o755)).unwrap();
    }
    refused(&sandbox, &account, &garbage).complains("Exec format error");
}

#[test]
fn a_program_that_prints_without_end_costs_no_memory() {
    let sandbox = Sandbox::new();
    // 400 MB, and the shell that runs pgseal allows 300 MB of addresses.
    let flood =
        stand_in(&sandbox, &Account::current(), "flood", "head -c 400000000 /dev/zero; echo; echo 11.0");
    let ran = Pgseal::new(&sandbox)
        .by(&Account::ordinary())
        .through("ulimit -v 300000; exec \"$@\"")
        .args(["up", "-p", "0", "--bindir"])
        .arg(&flood)
        .limit(Duration::from_secs(60))
        .run();
    ran.ended(3).complains("PostgreSQL 11.0");
}

#[test]
fn an_initdb_that_fails_leaves_nothing_and_its_words_are_shown() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let real = Install::of(15);
        let bin = sandbox.dir_of(&Account::current(), "bin");
        let script = |what: &str| format!("#!/bin/sh\n{what}\n");
        let exec = format!("exec {} \"$@\"", real.program("postgres").display());
        sandbox.file_of(&Account::current(), "bin/postgres", 0o755, &script(&exec));
        // It reads the password, writes half a cluster with a hostile name in it, and gives up.
        let initdb = "cat >/dev/null; mkdir -p base/1; ln -s /etc base/etc; echo x >\"$(printf 'a\\nb')\"; \
                      echo 'initdb: error: \u{1b}[31mthe moon is full' >&2; exit 1";
        sandbox.file_of(&Account::current(), "bin/initdb", 0o755, &script(initdb));
        let said = refused(&sandbox, &account, &bin).complains("the moon is full").complains("removed again");
        assert!(!said.stderr().contains('\u{1b}'), "{said}");
        assert!(Path::new("/etc/passwd").exists());
    }
}

#[test]
fn where_no_server_is_installed_it_is_said_where_was_looked() {
    // In a mount namespace of its own, in which the usual places are empty. An ordinary user gets one with the help of a
    // user namespace, and then is that user again.
    let hide = "for place in /usr/lib/postgresql /usr/local/pgsql /opt/homebrew /usr/local/opt /home/linuxbrew; do \
                [ ! -d $place ] || mount -t tmpfs none $place; done; ";
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let run = if account.is_root() {
            format!("exec unshare -m sh -c '{hide} exec \"$@\"' sh \"$@\"")
        } else {
            let back = format!("unshare -U --map-user={0} --map-group={0}", account.uid());
            format!("exec unshare -Ur -m sh -c '{hide} exec {back} \"$@\"' sh \"$@\"")
        };
        let pgseal = Pgseal::new(&sandbox).by(&account).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        let work = pgseal.work_dir();
        let ran = pgseal.through(run).args(["up", "-p", "0"]).run();
        ran.ended(3)
            .complains("no PostgreSQL server programs (postgres, initdb) were found")
            .complains("/usr/lib/postgresql")
            .complains("apt-get install postgresql");
        assert_eq!(fs::read_dir(work).unwrap().count(), 0);
    }
}

#[test]
fn the_environment_may_name_the_programs_and_is_named_when_they_are_none() {
    let sandbox = Sandbox::new();
    let account = Account::ordinary();
    let up = || Pgseal::new(&sandbox).by(&account).args(["up", "-p", "0"]);
    up().env("PGSEAL_PG_BIN", "/nonexistent").run().ended(3).complains("PGSEAL_PG_BIN names /nonexistent");
    // --bindir wins, and an empty variable is none.
    up().env("PGSEAL_PG_BIN", "/nonexistent")
        .bindir(&Install::without_ssl())
        .run()
        .ended(3)
        .complains("without SSL");
    up().env("PGSEAL_PG_BIN", "").bindir(&Install::without_ssl()).run().ended(3).complains("without SSL");
}

#[test]
fn as_root_no_program_is_run_that_somebody_else_could_change() {
    let (we, other) = (Account::current(), Account::ordinary());
    let sandbox = Sandbox::new();
    let canary = sandbox.join("canary");
    let script = format!("id >>{}; echo 15.1", canary.display());
    let theirs = stand_in(&sandbox, &other, "theirs", &script);
    let open = stand_in(&sandbox, &we, "open", &script);
    fs::set_permissions(open.join("postgres"), Permissions::from_mode(0o775)).unwrap();
    let within = sandbox.dir_of(&other, "within");
    let deeper = stand_in(&sandbox, &we, "within/bin", &script);
    let linked = sandbox.dir_of(&we, "linked");
    for program in ["postgres", "initdb"] {
        std::os::unix::fs::symlink(theirs.join(program), linked.join(program)).unwrap();
    }
    assert!(within.exists());
    if !we.is_root() {
        // What an ordinary user runs is that user's business: the script is taken for a PostgreSQL, and is none.
        refused(&sandbox, &we, &theirs);
        return;
    }
    for bin in [&theirs, &open, &deeper, &linked] {
        refused(&sandbox, &we, bin).complains("refused to run").complains("as root");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        // Found by PATH they are passed over, with the reason, and pg_config there is not asked.
        sandbox.file_of(&other, "theirs/pg_config", 0o755, &format!("#!/bin/sh\n{script}\n"));
        let pgseal = Pgseal::new(&sandbox).env("PATH", path).args(["up", "-p", "1", "--listen", "192.0.2.1"]);
        pgseal.run().ended(3);
    }
    assert!(!canary.exists(), "{}", fs::read_to_string(canary).unwrap_or_default());
}

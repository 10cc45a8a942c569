//! `secure --confirm-within` takes itself back when nobody confirms in time: by a watcher of its own, which needs neither the
//! terminal nor whoever started it, and where the watcher has died by the next run of pgseal. Confirmed, it stays.

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

use crate::harness::{Account, Living, PASSWORD, Signal, Trace, record, versions};

const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The watchers of this server: pgseal's processes with its path among their arguments.
fn watchers(living: &Living) -> Vec<u32> {
    let path = living.data().display().to_string();
    let is_one = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.contains("--as-watcher") && words.contains(&path)
    };
    living.sandbox().living().into_iter().filter(is_one).collect()
}

fn history(living: &Living, by: &Account) -> String {
    living.verb("history", &[], by).run().succeeded().stdout().to_owned()
}

#[test]
fn unconfirmed_it_goes_back_by_itself() {
    for version in versions() {
        for by in Account::current_and_server() {
            let living = Living::of(*version);
            let before = living.kept_files();
            let words = ["--enforce", "--confirm-within", "2s"];
            living.secure(&words, &by).run().succeeded().says("undoes itself unless: pgseal confirm");
            until("the change takes itself back", || history(&living, &by).contains("  rolled back  "));
            assert_eq!(living.kept_files(), before);
            living.psql("disable").run("SELECT 1").succeeded();
            until("the watcher ends", || watchers(&living).is_empty());
            living.verb("confirm", &[], &by).run().ended(1).complains("no change of").complains("awaits");
            record("an unconfirmed change goes back by itself", 1);
        }
    }
}

#[test]
fn confirmed_it_stays() {
    for version in versions() {
        for by in Account::current_and_server() {
            let living = Living::of(*version);
            living.secure(&["--enforce", "--confirm-within", "1h"], &by).run().succeeded();
            let secured = living.kept_files();
            let waits = living.secure(&[], &by).run().ended(3).complains("awaits confirmation for another");
            waits.complains("pgseal confirm");
            living.verb("confirm", &[], &by).run().succeeded().says("stays");
            // It has nothing to watch any more.
            until("the watcher ends", || watchers(&living).is_empty());
            assert_eq!(living.kept_files(), secured);
            assert!(history(&living, &by).contains("  committed  "));
            living.psql("disable").run("SELECT 1").ended(2);
            living.verb("confirm", &[], &by).run().ended(1);
        }
    }
}

#[test]
fn it_can_be_undone_before_its_time() {
    let living = Living::of(18);
    let by = Account::current();
    let before = living.kept_files();
    living.secure(&["--enforce", "--confirm-within", "1h"], &by).run().succeeded();
    living.verb("undo", &[], &by).run().succeeded().says("the wire shows what it showed before");
    assert_eq!(living.kept_files(), before);
    until("the watcher ends", || watchers(&living).is_empty());
}

#[test]
fn with_the_watcher_killed_the_next_run_takes_it_back() {
    for version in versions() {
        for by in Account::current_and_server() {
            let living = Living::of(*version);
            let before = living.kept_files();
            living.secure(&["--enforce", "--confirm-within", "3s"], &by).run().succeeded();
            let secured = living.kept_files();
            for pid in watchers(&living) {
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid of a process");
                kill_process(pid, Signal::KILL).expect("the watcher can be killed");
            }
            until("the watcher is gone", || watchers(&living).is_empty());
            let waiting = |living: &Living| living.secure(&["--enforce"], &by).run();
            assert_eq!(living.kept_files(), secured, "nobody is there to take it back");
            until("its time passes", || waiting(&living).code() != Some(3));
            assert!(history(&living, &by).contains("  rolled back  "));
            // What the run was for came after that.
            living.psql("disable").run("SELECT 1").ended(2);
            living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
            assert_eq!(living.kept_files(), before);
        }
    }
}

#[test]
fn the_watcher_outlives_the_terminal_and_knows_no_password() {
    for by in Account::current_and_server() {
        let living = Living::of(15);
        let running = living.secure(&["--confirm-within", "1h"], &by).start();
        let pgseal = running.pid();
        running.wait(Duration::from_secs(60)).succeeded().says("awaiting confirmation");
        // What it starts bears its words until it has its own.
        until("there is one watcher", || watchers(&living).len() == 1);
        let watcher = watchers(&living)[0];
        let environment = fs::read(format!("/proc/{watcher}/environ")).expect("our own process");
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(!environment.contains(PASSWORD) && !environment.contains("PGPASSWORD"), "{environment}");
        // A session of its own: what ends a terminal's processes does not reach it.
        let stat = fs::read_to_string(format!("/proc/{watcher}/stat")).expect("our own process");
        let fields: Vec<&str> =
            stat.rsplit(')').next().expect("a name in parentheses").split_whitespace().collect();
        let (group, session) = (fields[2], fields[3]);
        assert_eq!((group, session), (watcher.to_string().as_str(), watcher.to_string().as_str()));
        assert_ne!(session, pgseal.to_string());
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
    }
}

#[test]
fn the_watcher_waits_where_another_command_is_at_work() {
    let living = Living::of(15);
    let by = Account::current();
    let before = living.kept_files();
    living.secure(&["--confirm-within", "1s"], &by).run().succeeded();
    // As a pgseal command holds it: flock(2) on the data directory.
    let lock = File::open(living.data()).expect("the data directory can be opened");
    until("the lock is had", || lock.try_lock().is_ok());
    thread::sleep(Duration::from_secs(2));
    drop(lock);
    until("the change takes itself back", || living.kept_files() == before);
    until("the watcher ends", || watchers(&living).is_empty());
}

#[test]
fn whoever_is_killed_before_the_end_is_taken_back_by_the_watcher() {
    let by = Account::current();
    for step in ["a stage is written", "a stage is proved"] {
        let living = Living::of(15);
        let before = living.kept_files();
        let trace = Trace::new(living.sandbox());
        let words = ["--enforce", "--confirm-within", "1h"];
        let secure = living.secure(&words, &by).held_at_step(&trace, step).start();
        trace.wait_for_step(step);
        assert_ne!(living.kept_files(), before);
        assert_eq!(watchers(&living).len(), 1, "it is there before anything was changed");
        secure.signal(Signal::KILL);
        secure.wait(PATIENCE);
        until("the change is taken back", || history(&living, &by).contains("  rolled back  "));
        assert_eq!(living.kept_files(), before, "{step}");
        living.psql("disable").run("SELECT 1").succeeded();
        until("the watcher ends", || watchers(&living).is_empty());
        record("a change whose pgseal was killed is taken back by the watcher", 1);
    }
}

#[test]
fn what_is_half_taken_back_is_not_confirmed() {
    let by = Account::current();
    let living = Living::of(15);
    let before = living.kept_files();
    living.secure(&["--enforce", "--confirm-within", "1h"], &by).run().succeeded();
    let trace = Trace::new(living.sandbox());
    let undo = living.verb("undo", &[], &by).held_at_step(&trace, "after the reload").start();
    trace.wait_for_step("after the reload");
    // So that the confirmation meets what the undo leaves, and not what the watcher makes of it.
    for pid in watchers(&living) {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid of a process");
        kill_process(pid, Signal::KILL).expect("the watcher can be killed");
    }
    until("the watcher is gone", || watchers(&living).is_empty());
    undo.signal(Signal::KILL);
    undo.wait(PATIENCE);
    let refused = living.verb("confirm", &[], &by).run().ended(1);
    refused.complains("is being taken back, and cannot be kept").complains("pgseal undo");
    assert!(!history(&living, &by).contains("  committed  "));
    living.verb("undo", &[], &by).run().succeeded();
    assert_eq!(living.kept_files(), before);
}

#[test]
fn what_the_files_or_the_wire_no_longer_show_is_not_confirmed() {
    let by = Account::current();
    let living = Living::of(15);
    living.secure(&["--enforce", "--confirm-within", "1h"], &by).run().succeeded();
    let (enforced, conf) = (living.read("pg_hba.conf"), living.read("postgresql.conf"));
    living.write("pg_hba.conf", crate::harness::USUAL_HBA);
    let refused = living.verb("confirm", &[], &by).run().ended(1);
    refused.complains("is not confirmed").complains("pg_hba.conf is what it was before the change");
    living.write("pg_hba.conf", &enforced.replace("hostnossl", "#hostnossl"));
    living.reload();
    until("plaintext is let in again", || living.psql("disable").run("SELECT 1").code() == Some(0));
    let refused = living.verb("confirm", &[], &by).run().ended(1);
    refused.complains("plaintext let in, not TLS with").complains("plaintext refused");
    // An edit that takes nothing away is somebody's own business.
    living.write("pg_hba.conf", &enforced);
    living.append_conf("work_mem = '7MB'");
    living.reload();
    until("plaintext is refused again", || living.psql("disable").run("SELECT 1").code() == Some(2));
    let confirmed = living.verb("confirm", &[], &by).run().succeeded().says("stays");
    confirmed.complains("was edited since by others");
    assert!(living.read("postgresql.conf").starts_with(&conf));
}

#[test]
fn what_comes_in_the_watchers_way_stands_in_the_history() {
    let by = Account::current();
    let living = Living::of(15);
    living.secure(&["--confirm-within", "1s"], &by).run().succeeded();
    let conf = living.read("postgresql.conf");
    living.append_conf("work_mem = '7MB'");
    until("the watcher tells", || history(&living, &by).contains("the watcher: files were changed since"));
    let told = living.verb("history", &["--format", "json"], &by).run().succeeded().json();
    let said = told["changes"][0]["trouble"]["said"].to_string();
    assert!(said.contains("postgresql.conf"), "{said}");
    living.write("postgresql.conf", &conf);
    until("the change is taken back", || history(&living, &by).contains("  rolled back  "));
    until("the watcher ends", || watchers(&living).is_empty());
}

//! `pgseal sessions --watch` tells of changes as plain lines, and paints in place on a terminal; it outlives a restart of the
//! server. Who may not see everything is told so, and names that hold a terminal's commands are shown, not obeyed.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{
    APP_PASSWORD, Account, Living, PASSWORD, Psql, Resident, SUPERUSER, run, versions, versions_in_turn,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A client that is killed is noticed by its server when it has something to say.
fn ended(living: &Living, application: &str) {
    living.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '{application}'"
    ));
}

#[test]
fn who_comes_and_who_goes_is_a_line_each_and_a_restart_is_waited_for() {
    for version in versions_in_turn(0) {
        let by = Account::current();
        let mut living = Living::of(version);
        living.secured(&by);
        let watching = living.verb("sessions", &["--watch", "0.1"], &by).start();
        watching.wait_until_it_says("1 session: ", LIMIT);
        let billing = Resident::new(&living, living.psql("disable"), "billing");
        watching
            .wait_until_it_says("plaintext                app on postgres from 127.0.0.1 \"billing\"", LIMIT);
        ended(&living, "billing");
        drop(billing);
        watching.wait_until_it_says("-  ", LIMIT);
        living.stop();
        watching.wait_until_it_says("looking again", LIMIT);
        living.start();
        watching.wait_until_it_says("connected again", LIMIT);
        watching.signal(Signal::INT);
        watching.wait(LIMIT).ended(130).never_mentions("\u{1b}[");
    }
}

/// A tmux server of the test's own, ended with it.
struct Tmux(String);

impl Tmux {
    fn run(&self, words: &[&str]) -> crate::harness::Ran {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.0, "-f", "/dev/null"]).args(words);
        run(command, b"", LIMIT)
    }

    #[track_caller]
    fn shows(&self, text: &str) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            let shown = self.run(&["capture-pane", "-p"]).succeeded().stdout().to_owned();
            if shown.contains(text) {
                return shown;
            }
            assert!(Instant::now() < end, "the terminal should show {text:?}:\n{shown}");
        }
    }

    #[track_caller]
    fn shows_no_more(&self, text: &str) {
        let end = Instant::now() + LIMIT;
        while self.run(&["capture-pane", "-p"]).succeeded().stdout().contains(text) {
            assert!(Instant::now() < end, "the terminal should no longer show {text:?}");
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[test]
fn on_a_terminal_the_list_is_painted_in_place() {
    let by = Account::current();
    let living = Living::of(versions()[0]);
    living.secured(&by);
    let tmux = Tmux(format!("pgseal-test-{}", std::process::id()));
    let (width, height) = ("120", "12");
    let pgseal = env!("CARGO_BIN_EXE_pgseal");
    let target = living.target().display().to_string();
    let home = living.sandbox().home_of(&by).display().to_string();
    let words = [
        "new-session",
        "-d",
        "-x",
        width,
        "-y",
        height,
        "env",
        "LANG=C.UTF-8",
        &format!("HOME={home}"),
        &format!("PGUSER={SUPERUSER}"),
        &format!("PGPASSWORD={PASSWORD}"),
        pgseal,
        "sessions",
        &target,
        "--watch",
        "0.1",
    ];
    tmux.run(&words).succeeded();
    tmux.shows("1 session: 0 plaintext");
    let residents: Vec<Resident> =
        (0..3).map(|nth| Resident::new(&living, living.psql("disable"), &format!("billing-{nth}"))).collect();
    let shown = tmux.shows("4 sessions: 3 plaintext");
    assert_eq!(shown.matches("sessions: ").count(), 1, "in place, not below:\n{shown}");
    ended(&living, "billing-%");
    drop(residents);
    tmux.shows("1 session: 0 plaintext");
    tmux.shows_no_more("billing-0");
    // More than there is room for is counted.
    let many: Vec<Resident> =
        (0..14).map(|nth| Resident::new(&living, living.psql("disable"), &format!("many-{nth}"))).collect();
    tmux.shows(" more");
    drop(many);
}

#[test]
fn a_role_without_rights_sees_what_it_may_and_is_told_so() {
    for version in versions() {
        let living = Living::of(*version);
        living.secured(&Account::current());
        let billing = Resident::new(&living, living.psql("disable"), "billing");
        living.sql("CREATE ROLE plain LOGIN PASSWORD 'a plain one';");
        let sessions = |words: &[&str]| {
            let pgseal = living.verb("sessions", words, &Account::current());
            pgseal.env("PGUSER", "plain").env("PGPASSWORD", "a plain one").run().succeeded()
        };
        let ran = sessions(&[]).says("not to be seen").says("\"billing\"").says("pg_monitor");
        assert!(!ran.stdout().contains("127.0.0.1"), "{ran}");
        let json = sessions(&["--format", "json"]).json();
        assert_eq!(
            (&json["plaintext"], &json["hidden"]),
            (&0.into(), &1.into()),
            "what is not seen is no plaintext"
        );
        living.sql("GRANT pg_monitor TO plain;");
        sessions(&[]).says("1 plaintext").says("from 127.0.0.1 \"billing\"");
        drop(billing);
    }
}

#[test]
fn names_that_would_steer_a_terminal_are_shown_and_not_obeyed() {
    let living = Living::of(versions()[0]);
    let hostile = "x\u{1b}]0;owned\u{7}\u{202e}\u{9b}2J\ny";
    let password = APP_PASSWORD.replace('\'', "''");
    living.sql(&format!(
        "CREATE ROLE \"{hostile}\" LOGIN PASSWORD '{password}';\nCREATE DATABASE \"{hostile}\";"
    ));
    let quoted = hostile.replace('\\', "\\\\").replace('\'', "\\'");
    let psql = Psql::to(format!(
        "host=127.0.0.1 port={} user='{quoted}' dbname='{quoted}' application_name='{quoted}' sslmode=disable",
        living.port()
    ));
    let stays = psql.env("PGPASSWORD", APP_PASSWORD).start("SELECT 'here';\nSELECT pg_sleep(600);");
    stays.wait_until_it_says("here", LIMIT);
    let ran = living.verb("sessions", &[], &Account::current()).run().succeeded();
    assert!(!ran.stdout().contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7}']), "{ran}");
    ran.says("x\\u{1b}]0;owned\\u{7}\\u{202e}\\u{9b}2J\\ny");
    drop(stays);
}

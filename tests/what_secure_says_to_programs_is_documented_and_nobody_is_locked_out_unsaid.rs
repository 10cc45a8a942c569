//! The JSON of `secure` and its kin is as docs/schema has it; who would be locked out is named and stops it; and what is not
//! confirmed is taken back.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{APP, APP_PASSWORD, Account, Install, Living, Running, Schema, record, versions};

/// A plaintext client that stays.
fn staying(living: &Living) -> Running {
    let psql = Install::of(15).program("psql");
    let mut command: Command = Account::current().command(psql, "/nonexistent".as_ref());
    command
        .current_dir("/")
        .env("PGPASSWORD", APP_PASSWORD)
        .env("PGAPPNAME", "old client")
        .args(["-X", "-q"]);
    command.arg(format!("host=127.0.0.1 port={} user={APP} dbname=postgres sslmode=disable", living.port()));
    Running::start(command, b"SELECT 1 \\watch 0.05\n")
}

#[test]
fn the_json_of_every_verb_about_changes_is_as_its_schema_has_it() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        let admits = |schema: &str, verb: &str, words: &[&str], code: i32| {
            let words: Vec<&str> = words.iter().copied().chain(["--format", "json"]).collect();
            let ran = living.verb(verb, &words, &by).run().ended(code);
            Schema::of(schema).admits(&ran.json());
            ran.json()
        };
        let ca = living.ca_of(&by).display().to_string();
        let planned = admits("secure", "secure", &["--new-ca", &ca, "--check"], 1);
        assert_eq!(planned["state"], "planned");
        let found: Vec<&str> =
            planned["findings"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert!(found.contains(&"tls-off") && found.contains(&"plaintext-accepted"), "{found:?}");
        let changed = admits("secure", "secure", &["--new-ca", &ca, "--yes"], 0);
        assert_eq!((&changed["state"], &changed["proved"]), (&"changed".into(), &true.into()));
        let again = admits("secure", "secure", &["--yes"], 0);
        assert_eq!((&again["state"], &again["change"]), (&"as-wished".into(), &serde_json::Value::Null));
        admits("sessions", "sessions", &[], 0);
        admits("history", "history", &[], 0);
        let undone = admits("change", "undo", &["--allow-insecure"], 0);
        assert_eq!((&undone["state"], &undone["seen"]), (&"undone".into(), &"on-the-wire".into()));
        record("the JSON about changes is documented", 7);
    }
}

#[test]
fn a_client_that_would_be_locked_out_is_named_and_stops_it() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        living.secured(&by);
        let client = staying(&living);
        let end = Instant::now() + Duration::from_secs(30);
        while !living.verb("sessions", &[], &by).run().stdout().contains("old client") {
            assert!(Instant::now() < end, "psql did not connect");
        }
        let before = living.kept_files();
        let ran = living.secure(&["--enforce"], &by).run().ended(1);
        ran.complains("1 client that is connected now would be locked out").complains("\"old client\"");
        assert_eq!(living.kept_files(), before, "nothing was changed");
        let words = ["--enforce", "--even-if-locked-out", "--end-plaintext-sessions"];
        living.secure(&words, &by).run().succeeded().says("1 of them ended now");
        drop(client);
        record("who would be locked out is named", 1);
    }
}

#[test]
fn what_nobody_confirms_is_taken_back_and_what_somebody_confirms_stays() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        living.secured(&by);
        let before = living.kept_files();
        living.secure(&["--enforce", "--confirm-within", "1s"], &by).run().succeeded();
        let end = Instant::now() + Duration::from_secs(40);
        while !living.verb("history", &[], &by).run().stdout().contains("rolled back") {
            assert!(Instant::now() < end, "the watcher took nothing back");
        }
        assert_eq!(living.kept_files(), before, "as it was");
        living.psql("disable").run("SELECT 1").succeeded();
        living.secure(&["--enforce", "--confirm-within", "10m"], &by).run().succeeded();
        living.verb("confirm", &[], &by).run().succeeded().says("stays");
        living.psql("disable").run("SELECT 1").ended(2);
        living.verb("confirm", &[], &by).run().ended(1).complains("awaits confirmation");
        record("what nobody confirms is taken back", 1);
    }
}

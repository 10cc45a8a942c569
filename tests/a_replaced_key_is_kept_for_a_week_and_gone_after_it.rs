//! The key that a new certificate replaces is kept beside the new one, so that the change can be undone; a week later the next
//! run removes it, and `history` tells which of both is so. One that is still needed to take a change back stays.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Account, Living, Schema, Shown, record, served, versions_in_turn};

/// Files in which replaced keys are kept.
fn kept(living: &Living) -> Vec<PathBuf> {
    let files = fs::read_dir(living.tls_folder()).expect("the folder is there").flatten();
    files
        .map(|file| file.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("previous-")))
        .collect()
}

/// The journal as it will be in that many days: everything in it began so much earlier.
fn aged(journal: &Path, days: i64) {
    let servers = fs::read_dir(journal.join("changes")).expect("there is a journal").flatten();
    let changes = servers.flat_map(|server| fs::read_dir(server.path()).expect("a folder").flatten());
    let changes: Vec<PathBuf> = changes.map(|change| change.path()).collect();
    for change in changes.iter().filter(|path| path.join("change.json").exists()) {
        aged_change(change, days);
    }
}

fn aged_change(folder: &Path, days: i64) {
    let record = folder.join("change.json");
    let mut change: Value =
        serde_json::from_slice(&fs::read(&record).expect("it can be read")).expect("it is JSON");
    let began = change["began"].as_str().expect("a time").to_owned();
    let parsed = time::OffsetDateTime::parse(&began, &time::format_description::well_known::Rfc3339);
    let earlier = parsed.expect("a time") - time::Duration::days(days);
    let form = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    let earlier = earlier.format(form).expect("a time can be written");
    change["began"] = earlier.clone().into();
    fs::write(&record, change.to_string()).expect("it can be written");
    // Folders bear the time first.
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let name =
        folder.file_name().expect("a name").to_string_lossy().replace(&digits(&began), &digits(&earlier));
    fs::rename(folder, folder.with_file_name(name)).expect("it can be renamed");
}

/// Until when `history` says that the last change's key is kept.
fn kept_until(living: &Living, by: &Account) -> Value {
    let history = living.verb("history", &["--format", "json"], by).run().succeeded().json();
    Schema::of("history").admits(&history);
    let with_keys = history["changes"].as_array().expect("a list").iter().rev();
    let mut keys = with_keys.filter_map(|change| change["previous_keys"].as_array()?.first().cloned());
    keys.next().expect("a change replaced a key")["kept_until"].clone()
}

#[test]
fn a_week_later_the_next_run_removes_it() {
    for (nth, by) in Account::current_and_server().iter().enumerate() {
        for version in versions_in_turn(nth) {
            let living = Living::of(version);
            living.secure(&["--enforce"], by).run().succeeded();
            assert!(kept(&living).is_empty(), "nothing was replaced yet");
            living.secure(&["--reissue"], by).run().succeeded();
            let [key] = kept(&living).try_into().expect("one key is kept");
            let day = (time::OffsetDateTime::now_utc() + time::Duration::days(7)).date().to_string();
            assert_eq!(kept_until(&living, by), Value::from(day.clone()));
            let words = format!("the key that it replaced is kept until {day}: {}", key.display());
            living.verb("history", &[], by).run().succeeded().says(&words);

            aged(&living.journal_of(by), 6);
            living.secure(&[], by).run().succeeded().says("nothing to do");
            assert_eq!(kept(&living), std::slice::from_ref(&key), "six days are no week");
            aged(&living.journal_of(by), 1);
            living.secure(&["--dry-run"], by).run().succeeded();
            assert_eq!(kept(&living), [key], "a look removes nothing");
            let shown = served(living.port());
            living.secure(&[], by).run().succeeded().says("nothing to do");
            assert!(kept(&living).is_empty());
            assert_eq!(kept_until(&living, by), Value::Null);
            living.verb("history", &[], by).run().succeeded().says("is kept no longer");

            let files = living.kept_files();
            let undo = living.verb("undo", &[], by).run().ended(3).complains("no longer kept");
            undo.complains("nothing was changed");
            assert_eq!((living.kept_files(), served(living.port())), (files, shown));
            record("a key that was replaced is kept for a week and gone after it", 1);
        }
    }
}

#[test]
fn one_that_a_start_may_still_call_for_stays() {
    for version in versions_in_turn(0) {
        let by = &Account::current();
        let mut living = Living::of(version);
        living.secure(&["--enforce"], by).run().succeeded();
        let before = living.kept_files();
        living.stop();
        living.secure(&["--offline", "--reissue"], by).run().succeeded();
        aged(&living.journal_of(by), 30);
        living.secure(&[], by).run().ended(3).complains("awaits that start");
        assert_eq!(kept(&living).len(), 1);
        living.verb("undo", &[], by).run().succeeded();
        assert_eq!(living.kept_files(), before);
        living.start();
        assert_eq!(living.shown(), Shown::TlsOnly);
        record("a key that a change still needs is kept", 1);
    }
}

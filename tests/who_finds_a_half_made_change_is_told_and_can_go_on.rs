//! A change that was cut off waits for the next run of whoever made it. Until then others are told of it, a look leaves it
//! as it is, and where somebody mended a file by hand meanwhile there is a way back that keeps what they wrote.

use std::time::Duration;

use crate::harness::{Account, Living, Ran, Shown, Signal, Trace, USUAL_HBA, record};

/// Ends `secure WORDS` with SIGKILL when its first stage has been proved, and nothing stands yet.
fn cut_off(living: &Living, by: &Account, words: &[&str]) {
    let trace = Trace::new(living.sandbox());
    let secure = living.secure(words, by).held_at_step(&trace, "a stage is proved").start();
    trace.wait_for_step("a stage is proved");
    secure.signal(Signal::KILL);
    let killed = secure.wait(Duration::from_secs(60));
    assert_eq!(killed.signal(), Some(9), "{killed}");
}

fn state(living: &Living, by: &Account) -> String {
    let history: Ran = living.verb("history", &["--format", "json"], by).run().succeeded();
    let changes = history.json()["changes"].as_array().cloned().unwrap_or_default();
    changes.last().and_then(|change| change["state"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn what_somebody_mended_by_hand_is_kept_and_our_blocks_go() {
    let by = Account::current();
    let living = Living::of(15);
    living.secured(&by);
    let before = living.kept_files();
    // TLS is on already, so that its one stage is that of the rules.
    cut_off(&living, &by, &["--enforce"]);
    assert_eq!(living.shown(), Shown::TlsOnly);
    // Somebody who cannot get in any more, and writes a line of their own besides.
    let rules = living.read("pg_hba.conf");
    assert!(rules.contains("# pgseal tls-only: TLS only, change "), "{rules}");
    assert!(rules.contains(&format!("Undo: pgseal undo {}", living.target().display())), "{rules}");
    let mended = rules.replace("hostnossl", "#hostnossl");
    living.write("pg_hba.conf", &format!("{mended}host all all 192.0.2.7/32 reject\n"));
    for verb in [living.secure(&["--enforce"], &by), living.verb("undo", &[], &by)] {
        let refused = verb.run().ended(3).complains("files were changed since by others");
        refused.complains("--keep-others-edits");
    }
    let undone = living.verb("undo", &["--keep-others-edits"], &by).run().succeeded();
    undone.says("pg_hba.conf was edited by others; what went out of it:").says("#hostnossl").says("undone");
    assert_eq!(living.read("pg_hba.conf"), format!("{USUAL_HBA}host all all 192.0.2.7/32 reject\n"));
    assert_eq!(state(&living, &by), "rolled back");
    living.write("pg_hba.conf", USUAL_HBA);
    assert_eq!(living.kept_files(), before, "every other file is what it was");
    living.secure(&["--enforce"], &by).run().succeeded();
    assert_eq!(living.shown(), Shown::TlsOnly);
    record("a file that somebody mended keeps their lines when a change is taken back", 1);
}

#[test]
fn an_edit_beside_our_block_outlives_a_change_that_is_undone() {
    let by = Account::current();
    let living = Living::of(18);
    let conf = living.read("postgresql.conf");
    living.secured(&by);
    living.append_conf("work_mem = '7MB'");
    let words = ["--allow-insecure", "--keep-others-edits", "--format", "json"];
    let undone = living.verb("undo", &words, &by).run().succeeded().json();
    assert!(undone["kept"][0]["path"].as_str().unwrap_or_default().ends_with("postgresql.conf"), "{undone}");
    assert!(undone["kept"][0]["diff"].as_str().unwrap_or_default().contains("-ssl = 'on'"), "{undone}");
    let now = living.read("postgresql.conf");
    assert!(now.starts_with(&conf) && now.contains("work_mem = '7MB'") && !now.contains("# pgseal"), "{now}");
    assert_eq!(living.shown(), Shown::Plaintext);
}

#[test]
fn another_users_change_is_seen_and_left_alone() {
    let accounts = Account::current_and_server();
    let (one, other) = (&accounts[0], accounts.last().expect("an account"));
    if one.uid() == other.uid() {
        // Without root there is only one account that may change these files.
        assert!(!Account::current().is_root());
        return;
    }
    let living = Living::of(15);
    let before = living.kept_files();
    cut_off(&living, one, &["--enforce"]);
    let half = living.kept_files();
    let refused = living.secure(&["--enforce"], other).run().ended(1);
    refused.complains("was made by another user's pgseal").complains("/var/lib/pgseal").complains("--adopt");
    assert_eq!(living.kept_files(), half, "nothing was changed");
    // Whoever made it goes on as if nobody had been there.
    let again = living.verb("secure", &["--yes", "--enforce", "--new-ca"], one);
    again.arg(living.ca_of(one)).run().succeeded();
    living.verb("undo", &["--allow-insecure"], one).run().succeeded();
    assert_eq!(living.kept_files(), before);
    // One that stands can be taken as it is.
    let told = living.secure(&["--format", "json"], one).run().succeeded().json();
    let change = told["change"].as_str().unwrap_or_default().to_owned();
    living.secure(&["--enforce"], other).run().ended(1).complains(&change);
    living.verb("rotate", &[], other).run().ended(1).complains(&change).complains("--adopt");
    let adopted = ["--enforce", "--allow-unseen", "--adopt", &change];
    living.secure(&adopted, other).run().succeeded();
    assert_eq!(living.shown(), Shown::TlsOnly);
    record("a change of another user's pgseal is seen and left alone", 1);
}

#[test]
fn a_look_leaves_a_cut_off_change_as_it_is() {
    let by = Account::current();
    let living = Living::of(15);
    let before = living.kept_files();
    cut_off(&living, &by, &["--enforce"]);
    let half = living.kept_files();
    for verb in ["secure", "rotate"] {
        let look = living.verb(verb, &["--dry-run"], &by).run();
        // Without a change that stands `rotate` does not know where a certificate would come from.
        assert!(verb == "rotate" || look.code() == Some(0), "{look}");
        assert!(format!("{look}").contains("is unfinished"), "{look}");
        assert_eq!(living.kept_files(), half, "{verb} --dry-run");
    }
    let check = living.secure(&["--check", "--format", "json"], &by).run().ended(1);
    assert!(check.json()["unfinished"].is_string(), "{check}");
    assert_eq!(living.kept_files(), half, "--check");
    assert_eq!(state(&living, &by), "unfinished");
    living.verb("undo", &[], &by).run().succeeded();
    assert_eq!(living.kept_files(), before);
}

#[test]
fn a_look_leaves_a_change_that_awaits_confirmation_as_it_is() {
    let by = Account::current();
    let living = Living::of(15);
    living.secure(&["--confirm-within", "1h"], &by).run().succeeded();
    let stands = living.kept_files();
    living.secure(&["--dry-run"], &by).run().succeeded().says("is awaiting confirmation");
    assert_eq!(living.kept_files(), stands);
    living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
}

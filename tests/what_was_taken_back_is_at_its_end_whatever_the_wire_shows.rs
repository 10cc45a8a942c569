//! A change is taken back in its files, to the byte. What the wire shows after that is told, and no reason to begin
//! again: a rule that somebody wrote meanwhile, a certificate that was renewed, another port, or a server that does
//! not follow its files leave no change that nobody can finish.

use std::fs;
use std::time::Duration;

use crate::harness::{Account, Living, Port, Ran, record, run, versions};

fn states(living: &Living, by: &Account) -> Vec<String> {
    let history: Ran = living.verb("history", &["--format", "json"], by).run().succeeded();
    let changes = history.json()["changes"].as_array().cloned().unwrap_or_default();
    changes.iter().map(|change| change["state"].as_str().unwrap_or_default().to_owned()).collect()
}

/// At the top of pg_hba.conf, as people do it.
fn refuse_plaintext_by_hand(living: &Living) {
    let rules = living.read("pg_hba.conf");
    living.write("pg_hba.conf", &format!("hostnossl all all all reject\n{rules}"));
    living.reload();
}

#[test]
fn a_rule_that_somebody_wrote_since_is_what_the_wire_shows() {
    for version in versions() {
        for by in Account::current_and_server() {
            let living = Living::of(*version);
            let before = living.kept_files();
            living.secured(&by);
            refuse_plaintext_by_hand(&living);
            let undone = living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
            undone.says("the wire shows what the files say now: no TLS, plaintext refused");
            assert_eq!(states(&living, &by), ["undone"]);
            let rules = living.read("pg_hba.conf");
            living.write("pg_hba.conf", rules.strip_prefix("hostnossl all all all reject\n").unwrap());
            assert_eq!(living.kept_files(), before);
            living.reload();
            living.secured(&by);
            assert_eq!(states(&living, &by), ["undone", "committed"]);
            record("a change is at its end when its files are back, whatever rules came meanwhile", 1);
        }
    }
}

#[test]
fn a_certificate_that_was_renewed_but_not_loaded_is_the_one_that_comes_back() {
    let by = Account::current();
    let living = Living::of(15);
    living.secured(&by);
    let pem = living.tls_folder().join("server-with-key.pem");
    let renewed = fs::read(&pem).unwrap();
    living.secure(&["--reissue"], &by).run().succeeded();
    // The other one lies there now, and the server still has the one that it loaded.
    fs::write(&pem, &renewed).unwrap();
    let before = living.kept_files();
    living.secure(&["--enforce"], &by).run().succeeded();
    let undone = living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
    undone.says("the wire shows what the files say now: TLS with");
    assert_eq!(living.kept_files(), before);
    assert_eq!(states(&living, &by), ["committed", "committed", "undone"]);
}

#[test]
fn a_server_that_was_started_on_another_port_is_looked_at_there() {
    let by = Account::current();
    let mut living = Living::of(15);
    let before = living.kept_files();
    living.secure(&["--enforce"], &by).run().succeeded();
    living.stop();
    let port = Port::free();
    let (program, log) = (living.install().program("pg_ctl"), living.log().with_extension("other"));
    let mut start = living.account().command(program, living.data());
    start.args(["start", "-w", "-o", &format!("-p {}", port.number()), "-l"]).arg(&log);
    fs::write(&log, "").unwrap();
    living.account().own(&log);
    start.arg("-D").arg(living.data());
    run(start, b"", Duration::from_secs(60)).succeeded();
    let undone = living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
    undone.says("the wire shows what it showed before");
    assert_eq!(living.kept_files(), before);
    assert_eq!(states(&living, &by), ["undone"]);
}

#[test]
fn a_server_that_does_not_follow_its_files_is_told_once_and_for_all() {
    let by = Account::current();
    let living = Living::of(18);
    let before = living.kept_files();
    living.secured(&by);
    let auto = living.read("postgresql.auto.conf");
    // With that no reload changes anything.
    living.write("postgresql.auto.conf", &format!("{auto}this is no setting\n"));
    let undone = living.verb("undo", &["--allow-insecure"], &by).run().ended(1);
    undone.says("the files are as they were; the wire shows TLS with").says("not no TLS, plaintext let in");
    living.write("postgresql.auto.conf", &auto);
    assert_eq!(living.kept_files(), before);
    assert_eq!(states(&living, &by), ["undone"]);
    let nothing = living.verb("undo", &["--allow-insecure"], &by).run().ended(1);
    nothing.complains("there is no change of");
    living.reload();
    living.secured(&by);
}

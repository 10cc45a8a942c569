//! `pgseal doctor --fix` mends what the catalogue says that it mends, through the plans and proofs of `rotate` and `secure`:
//! shown before, gone after, to be undone; and it stops where somebody would be locked out.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::harness::{Account, Forge, Living, Ran, Resident, Schema, record, versions, versions_in_turn};

fn by() -> Account {
    Account::current()
}

/// The names in one of its lists.
fn names(ran: &Ran, list: &str) -> BTreeSet<String> {
    let told = ran.json();
    let all = told[list].as_array().unwrap_or_else(|| panic!("{ran}"));
    let name = |one: &Value| one["name"].as_str().or_else(|| one.as_str()).expect("a name").to_owned();
    all.iter().map(name).collect()
}

fn found(living: &Living) -> BTreeSet<String> {
    names(&living.verb("doctor", &["--format", "json"], &by()).run(), "findings")
}

fn fix(living: &Living, words: &[&str]) -> Ran {
    let ran = living.verb("doctor", &["--fix", "--format", "json"], &by()).args(words).run();
    Schema::of("doctor-fix").admits(&ran.json());
    ran
}

/// Everything at once, on a server with a certificate of our CA.
fn neglected(version: u32) -> Living {
    let living = Living::of(version);
    living.secured(&by());
    let pem = living.tls_folder().join("server-with-key.pem");
    let (day, now) = (Duration::from_secs(86_400), OffsetDateTime::now_utc());
    let names = ["localhost", "127.0.0.1", "::1"];
    let old = Forge::of_ca(&living.ca_of(&by())).leaf_dated(&names, now - 300 * day, now + 9 * day);
    fs::write(&pem, old.one_pem()).expect("it is the test's");
    fs::set_permissions(pem, fs::Permissions::from_mode(0o644)).expect("it is the test's");
    living.append_conf("ssl_min_protocol_version = 'TLSv1'\nssl_ciphers = 'ALL'");
    living.write_hba(
        "local all all trust\nhost all all 127.0.0.1/32 md5\nhost all all ::1/128 scram-sha-256\n",
    );
    living.reload();
    living
}

const MENDED: [&str; 6] = [
    "certificate-expiring",
    "key-open-to-others",
    "plaintext-accepted",
    "protocol-too-old",
    "suites-too-wide",
    "weak-method-reachable",
];

#[test]
fn every_finding_that_it_has_a_mend_for_is_gone_and_can_be_brought_back() {
    for version in versions_in_turn(0) {
        let living = neglected(version);
        let ill = found(&living);
        let all: BTreeSet<String> = MENDED.map(str::to_owned).into();
        assert!(ill.is_superset(&all), "{ill:?}");
        let before = living.kept_files();

        let plan = fix(&living, &["--dry-run"]).ended(1);
        assert_eq!(plan.json()["state"], "planned");
        let commands = plan.json()["commands"].as_array().expect("a list").clone();
        assert_eq!(commands.len(), 2, "{plan}");
        assert!(commands[0]["command"].as_str().is_some_and(|said| said.starts_with("pgseal rotate ")));
        assert_eq!(commands[1]["result"]["state"], "planned", "{plan}");
        assert_eq!(living.kept_files(), before, "nothing is changed by a plan");
        // Nobody is there to be asked.
        living.verb("doctor", &["--fix"], &by()).run().ended(2).complains("nothing was changed");
        assert_eq!(living.kept_files(), before);

        let ran = fix(&living, &["--yes"]).succeeded();
        assert_eq!(ran.json()["state"], "mended");
        let gone = names(&ran, "gone");
        assert!(gone.is_superset(&all), "{gone:?}");
        let well = found(&living);
        assert!(well.is_disjoint(&all), "{well:?}");
        assert_eq!(names(&ran, "left"), well);
        living.psql("verify-full").run("SELECT 1").succeeded();
        living.psql("disable").run("SELECT 1").ended(2);
        // Two changes, each to be undone by itself.
        living.verb("undo", &["--allow-insecure"], &by()).run().succeeded();
        living.psql("disable").run("SELECT 1").succeeded();
        assert!(found(&living).contains("plaintext-accepted"));
        record("what doctor can mend is gone after it", 6);
    }
}

#[test]
fn nobody_is_locked_out_by_a_mend_and_what_was_done_before_is_said() {
    let living = neglected(versions()[0]);
    let billing = Resident::new(&living, living.psql("disable"), "billing");
    let ran = living.verb("doctor", &["--fix", "--yes"], &by()).run().ended(1);
    let ran =
        ran.complains("would be locked out").complains("\"billing\"").complains("that was: pgseal secure");
    ran.complains("done before, and it stands: pgseal rotate");
    billing.stayed();
    let left = found(&living);
    assert!(left.contains("plaintext-accepted") && !left.contains("certificate-expiring"), "{left:?}");
}

#[test]
fn a_server_without_tls_is_mended_with_a_ca_and_a_healthy_one_is_left_alone() {
    let living = Living::of(versions()[0]);
    let ca = living.ca_of(&by()).display().to_string();
    let none = living.verb("doctor", &["--fix", "--yes"], &by()).run().ended(2);
    none.complains("no certificate to serve").complains("--new-ca DIR");
    let ran = fix(&living, &["--yes", "--new-ca", &ca]).succeeded();
    let gone = names(&ran, "gone");
    for name in ["tls-off", "certificate-missing", "plaintext-accepted"] {
        assert!(gone.contains(name), "{name}: {gone:?}");
    }
    let before = living.kept_files();
    let again = fix(&living, &["--yes"]).succeeded();
    assert_eq!(again.json()["state"], "nothing-to-do");
    assert_eq!(living.kept_files(), before);
}

#[test]
fn a_certificate_that_no_login_can_be_bound_to_is_exchanged_once_clients_know_who_signs_the_next() {
    let living = Living::of(versions()[0]);
    living.secured(&by());
    let forged = Forge::of_ed25519("another").leaf(&["localhost", "127.0.0.1"]).one_pem();
    fs::write(living.tls_folder().join("server-with-key.pem"), forged).expect("it is the test's");
    living.reload();
    assert!(found(&living).contains("channel-binding-impossible"));
    // Whoever signs so is another authority than ours, and clients that verify know that one.
    living
        .verb("doctor", &["--fix", "--yes"], &by())
        .run()
        .ended(1)
        .complains("nothing was changed")
        .complains("give them the new CA first");
    living.verb("rotate", &["--allow-unseen"], &by()).run().succeeded();
    assert!(!found(&living).contains("channel-binding-impossible"));
    living.psql("verify-full").run("SELECT 1").succeeded();
}

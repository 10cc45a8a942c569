//! `pgseal doctor --fix` mends what the catalogue says that it mends, through the plans and proofs of `rotate` and `secure`:
//! shown before, gone after, to be undone; and it stops where somebody would be locked out.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::harness::{
    Account, Forge, Living, Ran, Resident, Schema, record, run, versions, versions_in_turn,
};

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

/// A cause, brought about on a server with TLS by a certificate of our CA.
struct Cause {
    name: &'static str,
    /// The versions that know of it.
    of: fn(u32) -> bool,
    made: fn(&Living),
}

const fn cause(name: &'static str, made: fn(&Living)) -> Cause {
    Cause { name, of: |_| true, made }
}

fn pem(living: &Living) -> PathBuf {
    living.tls_folder().join("server-with-key.pem")
}

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn forge(living: &Living) -> Forge {
    Forge::of_ca(&living.ca_of(&by()))
}

/// What the six above are not, each for itself.
const CAUSES: [Cause; 8] = [
    cause("certificate-unfit", |living| {
        let now = OffsetDateTime::now_utc();
        let over =
            forge(living).leaf_dated(&NAMES, now - time::Duration::days(9), now - time::Duration::days(1));
        fs::write(pem(living), over.one_pem()).expect("it is the test's");
    }),
    cause("certificate-not-served", |living| {
        let (one, two) = (forge(living).leaf(&NAMES), forge(living).leaf(&NAMES));
        fs::write(pem(living), format!("{}{}", one.key, two.certificate)).expect("it is the test's");
    }),
    cause("key-unfit", |living| {
        let (one, two) = (forge(living).leaf(&NAMES), forge(living).leaf(&NAMES));
        fs::write(pem(living), format!("{}{}", one.key, two.certificate)).expect("it is the test's");
    }),
    cause("key-weak", |living| {
        let script = format!(
            "openssl req -new -newkey rsa:1024 -nodes -subj /CN=localhost -keyout key -out csr && \
             printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\\nbasicConstraints=CA:FALSE\\n\
             extendedKeyUsage=serverAuth\\nauthorityKeyIdentifier=keyid\\n' >extensions && \
             openssl x509 -req -in csr -CA {0}/server-ca.crt -CAkey {0}/server-ca.key -set_serial 77 -days 90 \
             -extfile extensions && cat key",
            living.ca_of(&by()).display()
        );
        let mut shell = by().command("sh", living.sandbox().path());
        shell.current_dir(living.sandbox().dir_of(&by(), "weak")).args(["-c", &script]);
        let made = run(shell, b"", Duration::from_secs(60)).succeeded();
        fs::write(pem(living), made.stdout()).expect("it is the test's");
    }),
    cause("setting-differs", |living| living.append_conf("ssl_prefer_server_ciphers = off")),
    cause("minimum-above-maximum", |living| {
        living.append_conf("ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'");
    }),
    Cause {
        of: |version| version < 18,
        ..cause("curve-list-unsupported", |living| living.append_conf("ssl_ecdh_curve = 'X25519:prime256v1'"))
    },
    cause("exception-expired", |living| {
        let words = ["--enforce", "--except", "app@127.0.0.1/32", "--until", "2099-12-31"];
        living.secure(&words, &by()).run().succeeded();
        let rules = living.read("pg_hba.conf");
        assert!(rules.contains("2099-12-31"), "{rules}");
        living.write("pg_hba.conf", &rules.replace("2099-12-31", "2020-01-01"));
    }),
];

#[test]
fn each_cause_that_it_has_a_mend_for_is_gone_after_it() {
    for (nth, cause) in CAUSES.iter().enumerate() {
        for version in versions_in_turn(nth).into_iter().filter(|version| (cause.of)(*version)) {
            let living = Living::of(version);
            living.secured(&by());
            assert!(!found(&living).contains(cause.name), "{} of {version}", cause.name);
            (cause.made)(&living);
            living.reload();
            assert!(found(&living).contains(cause.name), "{} of {version}", cause.name);
            let ran = fix(&living, &["--yes"]);
            assert!(names(&ran, "gone").contains(cause.name), "{} of {version}: {ran}", cause.name);
            assert!(!found(&living).contains(cause.name), "{} of {version}", cause.name);
            living.psql("verify-full").run("SELECT 1").succeeded();
            record("what doctor can mend is gone after it", 1);
        }
    }
}

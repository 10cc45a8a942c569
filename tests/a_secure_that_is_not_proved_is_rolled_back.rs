//! What was written and cannot be proved on the wire is taken back: the files are as they were, the wire is as it was, and
//! nobody was locked out meanwhile. The server's own words say why.

use std::fs;

use crate::harness::{Account, Living, PASSWORD, Ran, record, versions};

/// A policy that a server cannot follow.
fn policy(living: &Living, from: &str, to: &str) -> String {
    let text = include_str!("../crates/pgseal/src/policy/intermediate.toml").replace(from, to);
    assert!(text.contains(to), "the policy has {from}");
    let path = living.sandbox().file_of(&Account::current(), "policy.toml", 0o644, &text);
    path.display().to_string()
}

/// It ended with 4, everything is as it was, and the journal says so.
#[track_caller]
fn rolled_back(living: &Living, by: &Account, secure: impl FnOnce() -> Ran) -> Ran {
    let (before, started) = (living.kept_files(), living.started());
    let ca = living.ca_of(by).exists();
    let plaintext = living.psql("disable").run("SELECT 1").code();
    let tls = living.psql("verify-full").run("SELECT 1").code();
    let ran = secure().ended(4).complains("rolled back: ").complains("nothing is changed");
    assert_eq!(living.kept_files(), before, "{ran}");
    assert_eq!(living.ca_of(by).exists(), ca, "a CA made for it went with it:\n{ran}");
    assert_eq!(living.psql("disable").run("SELECT 1").code(), plaintext, "{ran}");
    assert_eq!(living.psql("verify-full").run("SELECT 1").code(), tls, "{ran}");
    assert_eq!(living.started(), started, "{ran}");
    let history = living.verb("history", &[], by).run().succeeded();
    assert!(history.stdout().contains("  rolled back  "), "{history}");
    record("what is not proved is rolled back", 1);
    ran
}

/// Everything that makes a server keep the TLS that it had when it is told to reload (be-secure-openssl.c, be_tls_init), as
/// far as what pgseal writes or finds can have it. The server says `pg_reload_conf() = t` each time.
#[test]
fn a_reload_that_the_server_refuses_is_noticed_where_there_was_no_tls() {
    for (version, by) in versions().iter().zip(Account::current_and_server().iter().cycle()) {
        refused_reloads(*version, by, false);
    }
}

/// With the certificate of before served on, the wire alone does not show it.
#[test]
fn a_reload_that_the_server_refuses_is_noticed_where_tls_was_on() {
    for (version, by) in versions().iter().zip(Account::current_and_server().iter().rev().cycle()) {
        refused_reloads(*version, by, true);
    }
}

fn refused_reloads(version: u32, by: &Account, already_on: bool) {
    let living = Living::of(version);
    if already_on {
        living.secure(&["--enforce"], by).run().succeeded();
    }
    let files = [
        ("absent.crt", None, "could not load root certificate file"),
        ("empty.crt", Some(""), "could not load root certificate file"),
        ("garbage.crt", Some("no certificate at all\n"), "could not load root certificate file"),
        (
            "broken.crt",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "could not load root certificate file",
        ),
    ];
    let conf = living.read("postgresql.conf");
    for (name, content, said) in files {
        if let Some(content) = content {
            living.write(name, content);
        }
        living.write("postgresql.conf", &format!("{conf}\nssl_ca_file = '{name}'\n"));
        living.reload();
        let ran = rolled_back(&living, by, || living.secure(&["--reissue", "--enforce"], by).run());
        assert!(ran.stderr().contains(said), "the server's own words:\n{ran}");
    }
    living.write("postgresql.conf", &format!("{conf}\nssl_crl_file = 'garbage.crt'\n"));
    living.reload();
    rolled_back(&living, by, || living.secure(&["--reissue"], by).run());
    living.write("postgresql.conf", &conf);
    living.reload();

    let mut policies = vec![("\"ECDHE-", "\"NO-SUCH-")];
    if version >= 18 {
        policies.push(("groups = [\"X25519\", \"prime256v1\", \"secp384r1\"]", "groups = [\"nonsense\"]"));
        policies.push(("\"TLS_", "\"NO_SUCH_"));
    } else {
        policies.push(("curve = \"prime256v1\"", "curve = \"nonsense\""));
    }
    for (from, to) in policies {
        let file = policy(&living, from, to);
        let ran = rolled_back(&living, by, || living.secure(&["--policy", &file], by).run());
        assert!(ran.stderr().contains("server log: "), "the server's own words:\n{ran}");
    }

    // Nothing of all that is left in the way.
    living.secure(&["--enforce"], by).run().succeeded();
    living.psql("verify-full").run("SELECT 1").succeeded();
}

#[test]
fn a_way_in_that_does_not_survive_takes_the_change_back() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        // Over the socket everybody is let in; over TLS the password counts.
        let ran = rolled_back(&living, &by, || {
            living.secure(&["--enforce"], &by).env("PGPASSWORD", "a wrong one").run()
        });
        ran.complains("password authentication failed")
            .never_mentions("a wrong one")
            .never_mentions(PASSWORD);
        living.prepend_hba("hostssl all postgres all reject");
        living.reload();
        let ran = rolled_back(&living, &by, || living.secure(&["--enforce"], &by).run());
        ran.complains("rejects connection");
    }
}

#[test]
fn a_folder_that_stands_in_the_way_is_not_taken() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        let folder = living.tls_folder();
        fs::create_dir(&folder).expect("the folder can be made");
        let before = living.kept_files();
        if by != Account::server() {
            // Root's, so that the server's user cannot write it: the data directory is all that is left.
            living.secure(&["--enforce"], &by).run().succeeded();
            assert!(fs::read_dir(&folder).expect("it is there").next().is_none());
            assert!(living.data().join("tls/server-with-key.pem").exists());
            living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        }
        assert_eq!(living.kept_files(), before);
    }
}

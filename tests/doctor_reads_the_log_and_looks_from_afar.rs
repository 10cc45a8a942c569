//! `pgseal doctor` tells by the server's own log whether the last reload was taken up and whether clients refuse the certificate,
//! whatever the log is written in; with a connection string it looks as far as the login goes, and lists the rest.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::harness::{
    APP, APP_PASSWORD, Account, Contained, Forge, Living, PASSWORD, Pgseal, Psql, Ran, SUPERUSER, Schema,
    images_in_turn, named_and_gone, record, versions, versions_in_turn,
};

fn by() -> Account {
    Account::current()
}

#[track_caller]
fn examined(pgseal: Pgseal<'_>) -> Ran {
    let ran = pgseal.args(["--format", "json"]).run();
    assert!(matches!(ran.code(), Some(0 | 1)), "{ran}");
    Schema::of("doctor").admits(&ran.json());
    ran.never_mentions(PASSWORD).never_mentions(APP_PASSWORD)
}

fn listed(ran: &Ran, list: &str, field: &str) -> BTreeSet<String> {
    let told = ran.json();
    let all = told[list].as_array().unwrap_or_else(|| panic!("{ran}"));
    all.iter().map(|one| one[field].as_str().expect("a text").to_owned()).collect()
}

/// What it says of a finding, where it names it.
fn evidence(ran: &Ran, name: &str) -> Option<String> {
    let told = ran.json();
    let all = told["findings"].as_array().unwrap_or_else(|| panic!("{ran}"));
    let one: Option<&Value> = all.iter().find(|one| one["name"] == name);
    one.map(|one| one["evidence"].as_str().expect("a text").to_owned())
}

/// Whose key is not its own.
fn mismatched() -> String {
    let (one, two) = (Forge::new("one").leaf(&["localhost"]), Forge::new("two").leaf(&["localhost"]));
    format!("{}{}", one.key, two.certificate)
}

#[test]
fn a_reload_that_was_refused_and_clients_that_refuse_are_told_by_every_form_of_log() {
    let formats: [(u32, &[&str]); 3] = [
        (12, &["log_line_prefix = '%m [%p] '"]),
        (12, &["logging_collector = on", "log_destination = 'csvlog'"]),
        (15, &["logging_collector = on", "log_destination = 'jsonlog'"]),
    ];
    for (nth, (since, lines)) in formats.into_iter().enumerate() {
        for version in versions_in_turn(nth).into_iter().filter(|version| *version >= since) {
            let living =
                Living::set_up(version, |setup| lines.iter().fold(setup, |setup, line| setup.conf(line)));
            living.secured(&by());
            let healthy = examined(living.verb("doctor", &[], &by()));
            for name in ["reload-refused", "certificate-refused-by-clients"] {
                assert_eq!(evidence(&healthy, name), None, "{lines:?} of {version}");
            }
            assert!(!listed(&healthy, "unseen", "what").contains("the server's log"), "{healthy}");

            let pem = living.tls_folder().join("server-with-key.pem");
            let good = fs::read(&pem).expect("it can be read");
            fs::write(&pem, mismatched()).expect("it is the test's");
            living.reload();
            let other =
                living.sandbox().file_of(&by(), "other.crt", 0o644, Forge::new("other").certificate());
            let client = format!(
                "host=localhost hostaddr=127.0.0.1 port={} user={APP} dbname=postgres sslmode=verify-full sslrootcert='{}'",
                living.port(),
                other.display()
            );
            Psql::to(client).env("PGPASSWORD", APP_PASSWORD).run("SELECT 1").ended(2);
            let ill = examined(living.verb("doctor", &[], &by()));
            let refused = evidence(&ill, "reload-refused").unwrap_or_else(|| panic!("{lines:?}: {ill}"));
            assert!(refused.contains("SSL configuration was not reloaded"), "{refused}");
            let clients = evidence(&ill, "certificate-refused-by-clients").unwrap_or_else(|| panic!("{ill}"));
            assert!(clients.contains("clients do not hold its CA (1×)"), "{clients}");

            fs::write(&pem, good).expect("it is the test's");
            living.reload();
            assert_eq!(evidence(&examined(living.verb("doctor", &[], &by())), "reload-refused"), None);
            named_and_gone("reload-refused", version, &refused);
            named_and_gone("certificate-refused-by-clients", version, &clients);
            record("the server's log is read in each of its forms", 1);
        }
    }
}

#[test]
fn what_docker_keeps_of_a_servers_words_is_read() {
    for image in images_in_turn(0) {
        let contained = Contained::of(&image);
        contained.secure(&[]).run().succeeded();
        assert_eq!(evidence(&examined(contained.verb("doctor", &[])), "reload-refused"), None);
        contained.sql("ALTER SYSTEM SET ssl_crl_file = '/nowhere/clients.crl'");
        contained.sql("SELECT pg_reload_conf()");
        let told = evidence(&examined(contained.verb("doctor", &[])), "reload-refused");
        assert!(told.is_some_and(|told| told.contains("SSL configuration was not reloaded")));
        contained.sql("ALTER SYSTEM RESET ssl_crl_file");
        contained.secure(&["--enforce", "--auth", "scram-sha-256"]).run().succeeded();
        let sealed = examined(contained.verb("doctor", &[]));
        let bad = listed(&sealed, "findings", "severity");
        assert!(bad.is_subset(&["low".to_owned(), "info".to_owned()].into()), "{sealed}");
        contained.sql("SELECT pg_reload_conf()");
        assert_eq!(evidence(&examined(contained.verb("doctor", &[])), "reload-refused"), None);
    }
}

/// A target that is a connection string.
fn uri(living: &Living, user: &str, rest: &str) -> String {
    format!(
        "postgresql://{user}@localhost:{}/postgres?hostaddr=127.0.0.1&sslrootcert={}{rest}",
        living.port(),
        living.ca_file().display()
    )
}

#[test]
fn a_connection_string_is_enough_for_what_wire_and_login_show_and_the_rest_is_listed() {
    let living = Living::of(versions()[0]);
    living.secure(&["--enforce"], &by()).run().succeeded();
    let far = |user: &str, password: &str, rest: &str| {
        let pgseal = Pgseal::new(living.sandbox()).env("PGPASSWORD", password);
        examined(pgseal.arg("doctor").arg(uri(&living, user, rest)))
    };
    let files = "key, certificate and revocation files, and whether a restart would work";

    let healthy = far(SUPERUSER, PASSWORD, "");
    let bad = listed(&healthy, "findings", "severity");
    assert!(bad.is_subset(&["low".to_owned(), "info".to_owned()].into()), "{healthy}");
    let mut unseen = listed(&healthy, "unseen", "what");
    // A file that was written in the second of the reload.
    unseen.remove("whether pg_hba.conf is loaded");
    assert_eq!(unseen, [files.to_owned(), "the server's log".to_owned()].into());
    assert_eq!(healthy.json()["version"], living.sql("SHOW server_version"));

    // Somebody who may see less is told what, and what would show it.
    let app = far(APP, APP_PASSWORD, "");
    let unseen = listed(&app, "unseen", "what");
    for what in ["pg_hba.conf", "passwords of roles", "subscriptions", files] {
        assert!(unseen.contains(what), "{what}: {unseen:?}");
    }
    assert!(listed(&app, "unseen", "access").iter().all(|access| !access.is_empty()));
    // Without a password the wire tells all the same; so it does of a CA that is not the client's.
    let nobody = far(APP, "", "");
    assert!(listed(&nobody, "unseen", "what").contains("settings, rules, roles and sessions"), "{nobody}");
    assert_eq!(evidence(&nobody, "tls-off"), None);
    let other = living.sandbox().file_of(&by(), "other.crt", 0o644, Forge::new("other").certificate());
    let stranger = Pgseal::new(living.sandbox()).env("PGPASSWORD", PASSWORD).arg("doctor");
    let text = uri(&living, SUPERUSER, "")
        .replace(&living.ca_file().display().to_string(), &other.display().to_string());
    let stranger = examined(stranger.arg(text));
    assert!(evidence(&stranger, "certificate-untrusted").is_some(), "{stranger}");
    assert!(listed(&stranger, "unseen", "what").contains("settings, rules, roles and sessions"));

    living.append_conf("ssl_min_protocol_version = 'TLSv1'");
    living.prepend_hba("host all app all md5");
    living.reload();
    let ill = far(SUPERUSER, PASSWORD, "");
    for name in ["plaintext-accepted", "protocol-too-old"] {
        assert!(evidence(&ill, name).is_some(), "{name}: {ill}");
    }
    let pgseal = || Pgseal::new(living.sandbox()).env("PGPASSWORD", PASSWORD).arg("doctor");
    let settings = pgseal().arg(uri(&living, SUPERUSER, "")).arg("--settings").run().succeeded();
    settings.says("ssl_min_protocol_version");
    pgseal().arg(uri(&living, SUPERUSER, "")).arg("--fix").run().ended(2).complains("reaches none");
    record("a connection string is enough for what wire and login show", 1);
}

//! A proof of `secure` says what was seen. Where the server could not follow its settings, or would not start again, it is
//! no proof, whatever the server says of itself; and what was so before the change is not held against it.

use crate::harness::{
    APP, Account, Forge, Living, NO, PASSWORD, SUPERUSER, claim, claims, record, versions_in_turn,
};

fn by() -> Account {
    Account::current()
}

/// Nobody reads what it says.
fn with_its_log_elsewhere(version: u32) -> Living {
    Living::set_up(version, |setup| setup.conf("log_destination = 'syslog'"))
}

fn speaks_tls_1_2(living: &Living) -> bool {
    let psql = living.psql("require").env("PGSSLMAXPROTOCOLVERSION", "TLSv1.2");
    psql.run("SELECT 1").code() == Some(0)
}

#[test]
fn a_refused_reload_is_seen_on_the_wire_where_the_log_is_out_of_reach() {
    for version in versions_in_turn(0) {
        let living = with_its_log_elsewhere(version);
        living.secured(&by());
        // A list that only OpenSSL finds to be none.
        let list = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
        for (file, setting, content) in
            [("list.pem", "ssl_crl_file", list), ("root.crt", "ssl_ca_file", "no certificate\n")]
        {
            let conf = living.read("postgresql.conf");
            living.write(file, content);
            living.append_conf(&format!("{setting} = '{file}'"));
            let before = living.kept_files();
            let ran = living.secure(&["--policy", "modern"], &by()).run().ended(4).complains("rolled back");
            let why =
                if file == "list.pem" { "TLSv1.2 is still taken" } else { "could not load root certificate" };
            assert!(ran.stderr().contains(why), "{ran}");
            assert_eq!(living.kept_files(), before, "{ran}");
            assert!(speaks_tls_1_2(&living), "{ran}");
            living.write("postgresql.conf", &conf);
            living.reload();
            record("a refused reload is seen on the wire", 1);
        }
        // With nothing in the way the wire tells that, too.
        let ran = living.secure(&["--policy", "modern", "--format", "json"], &by()).run().succeeded();
        let taken = claim(&ran, "settings-taken-up")["evidence"].to_string();
        assert!(taken.contains("on the wire"), "{ran}");
        assert!(claim(&ran, "settings-in-force")["evidence"].to_string().contains("TLSv1.2"), "{ran}");
        assert!(!speaks_tls_1_2(&living), "{ran}");
    }
}

#[test]
fn a_server_that_would_not_start_again_is_not_said_to() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        living.secured(&by());
        let (conf, hba) = (living.read("postgresql.conf"), living.read("pg_hba.conf"));
        living.write("root.crt", "no certificate\n");
        let verify = || living.verb("verify", &["--format", "json"], &by()).run();
        let restart = |ran: &crate::harness::Ran| claims(ran).get("restart-would-work").copied();
        assert_eq!(restart(&verify()), Some(Some(true)));
        for (file, line) in [
            ("postgresql.conf", "this is no setting at all"),
            ("postgresql.conf", "shared_buffers = 'nonsense'"),
            ("postgresql.conf", "ssl_dh_params_file = 'root.crt'"),
            ("postgresql.conf", "ssl_ca_file = 'root.crt'"),
            ("pg_hba.conf", "host all all nowhere/99 scram-sha-256"),
        ] {
            let was = if file == "pg_hba.conf" { &hba } else { &conf };
            living.write(file, &format!("{was}\n{line}\n"));
            living.reload();
            let ran = verify();
            assert_eq!(restart(&ran), Some(NO), "{line}: {ran}");
            living.write(file, was);
            living.reload();
            record("a server that would not start again is not said to", 1);
        }
        // What waits for a restart does not prevent it.
        living.append_conf("shared_buffers = '24MB'");
        living.reload();
        let ran = verify();
        assert_eq!(restart(&ran), Some(Some(true)), "{ran}");
        assert!(claim(&ran, "restart-would-work")["evidence"].to_string().contains("not tried"), "{ran}");
    }
}

#[test]
fn a_way_in_that_was_closed_before_is_not_held_against_the_change() {
    for version in versions_in_turn(2) {
        let rules =
            "local all all trust\nlocal replication all trust\nhost app app 10.0.0.0/8 scram-sha-256\n";
        let living = Living::set_up(version, |setup| setup.hba(rules));
        let ran = living.secure(&["--format", "json"], &by()).run().succeeded();
        let evidence = claim(&ran, "sslmode-require-connects")["evidence"].to_string();
        let why = "no line of pg_hba.conf is for";
        assert!(evidence.contains("refused as before") && evidence.contains(why), "{ran}");
        let named = ran.json()["claims"].to_string();
        assert!(!named.contains("session-encrypted"), "there is no session: {ran}");
        record("a way in that was closed before is not held against a change", 1);
        // One that the change itself closes is.
        let living = Living::of(version);
        living.prepend_hba(&format!("hostssl all {SUPERUSER} all reject"));
        living.reload();
        let ran = living.secure(&["--enforce"], &by()).env("PGPASSWORD", PASSWORD).run().ended(4);
        ran.complains("rejects connection").never_mentions(APP);
    }
}

#[test]
fn lines_that_want_certificates_of_clients_stand_in_no_changes_way() {
    for version in versions_in_turn(4) {
        let rules = "local all all trust\nlocal replication all trust\n\
                     hostssl all all all scram-sha-256 clientcert=verify-ca\n";
        let mut living = Living::set_up(version, |setup| setup.hba(rules));
        living.write("clients.crt", Forge::new("clients").certificate());
        living.append_conf("ssl_ca_file = 'clients.crt'");
        living.restart();
        // First from no TLS at all, then from TLS that refuses pgseal's own login already.
        for words in [&["--format", "json"][..], &["--format", "json", "--reissue"]] {
            let ran = living.secure(words, &by()).env("PGPASSWORD", PASSWORD).run().succeeded();
            let evidence = claim(&ran, "sslmode-require-connects")["evidence"].to_string();
            assert!(evidence.contains("wants a client certificate of"), "{ran}");
            assert_eq!(ran.json()["state"], "changed", "{ran}");
            living.psql("require").run("SELECT 1").ended(2).complains("client certificate");
        }
        record("a way in that was closed before is not held against a change", 2);
    }
}

#[test]
fn an_issuer_of_the_same_name_with_another_key_is_another_one() {
    for version in versions_in_turn(3) {
        let living = Living::of(version);
        let brought = |forge: &Forge, name: &str| {
            let leaf = forge.leaf(&["localhost"]);
            let file = |ending: &str, mode: u32, text: &str| {
                let name = format!("{name}.{ending}");
                living.sandbox().file_of(&by(), &name, mode, text).display().to_string()
            };
            let (certificate, key) = (file("crt", 0o644, &leaf.certificate), file("key", 0o600, &leaf.key));
            living.verb("secure", &["--yes", "--cert", &certificate, "--key", &key], &by()).run()
        };
        let (first, second) = (Forge::new("a house"), Forge::new("a house"));
        brought(&first, "one").succeeded();
        let before = living.kept_files();
        brought(&second, "other").ended(1).complains("cannot be seen from here, and it changes");
        assert_eq!(living.kept_files(), before);
        brought(&first, "two").succeeded();
        record("an issuer of the same name with another key is another one", 1);
    }
}

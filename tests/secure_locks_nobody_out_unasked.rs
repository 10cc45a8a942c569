//! Before plaintext is refused, or old TLS, pgseal says whom that would hit: every client that is connected now and could
//! not come back is named, and nothing is changed unless somebody says that this is known.

use std::fs;
use std::time::Duration;

use crate::harness::{
    APP, APP_PASSWORD, Account, Living, PASSWORD, Psql, Ran, Resident, SUPERUSER, record, versions,
    versions_in_turn,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// A change that was stopped before anything was written.
#[track_caller]
fn stopped(living: &Living, words: &[&str]) -> Ran {
    let before = living.kept_files();
    let ran = living.secure(words, &Account::current()).run().ended(1);
    let ran = ran.complains("would be locked out").complains("nothing was changed");
    assert_eq!(living.kept_files(), before, "{ran}");
    record("whom a change would lock out is named before it", 1);
    ran
}

#[test]
fn who_is_connected_in_plaintext_is_named_and_stops_it() {
    for version in versions() {
        let living = Living::of(*version);
        let by = Account::current();
        let billing = Resident::new(&living, living.psql("disable"), "billing");
        // Nobody offered TLS to it yet: whether it would take it cannot be known.
        let unknown = stopped(&living, &["--enforce"]);
        let unknown = unknown.complains("1 client that is connected now").complains("no TLS was offered yet");
        unknown.complains("app on postgres from 127.0.0.1 \"billing\"").complains("without --enforce");
        assert!(!living.ca_of(&by).exists(), "no CA was made either");

        living.secured(&by);
        let second = Resident::new(&living, living.psql("disable"), "billing-too");
        let known = stopped(&living, &["--enforce"]).complains("in plaintext, though TLS is offered");
        known.complains("\"billing\"").complains("\"billing-too\"").complains("--even-if-locked-out");

        // The plan shows them too, and they are in its JSON.
        let words = ["--enforce", "--dry-run", "--format", "json"];
        let plan = living.verb("secure", &words, &by).run().succeeded().json();
        let rows = plan["locked_out"].as_array().expect("a list").clone();
        assert_eq!(rows.len(), 2, "{plan}");
        assert_eq!(
            (&rows[0]["user"], &rows[0]["application"], &rows[0]["address"]),
            (&APP.into(), &"billing".into(), &"127.0.0.1".into())
        );

        let went_on = living.secure(&["--enforce", "--even-if-locked-out"], &by).run().succeeded();
        went_on.says("2 sessions from before");
        living.psql("disable").run("SELECT 1").ended(2);
        second.stayed();
        // A second run is the one that ends what still stands.
        let ended = living.secure(&["--enforce", "--end-plaintext-sessions"], &by).run().succeeded();
        drop(ended);
        billing.was_ended();
    }
}

#[test]
fn plaintext_sessions_are_ended_where_that_is_asked_for_and_no_others() {
    for version in versions() {
        let living = Living::of(*version);
        let by = Account::current();
        living.secured(&by);
        let plain = Resident::new(&living, living.psql("disable"), "plain");
        let sealed = Resident::new(&living, living.psql("require"), "sealed");
        let socket = format!(
            "host='{}' port={} user={APP} dbname=postgres",
            living.socket_dir().display(),
            living.port()
        );
        let local = Resident::new(&living, Psql::to(socket), "local");
        let words = ["--enforce", "--even-if-locked-out", "--end-plaintext-sessions"];
        living.secure(&words, &by).run().succeeded().says("1 session from before, 1 of them ended now");
        plain.was_ended();
        sealed.stayed();
        local.stayed();
    }
}

#[test]
fn a_standby_that_streams_in_plaintext_counts() {
    for version in versions() {
        let living = Living::of(*version);
        living.secured(&Account::current());
        living.sql("ALTER ROLE app REPLICATION");
        let conninfo =
            format!("host=127.0.0.1 port={} user={APP} sslmode=disable replication=true", living.port());
        let psql = Psql::to(conninfo).env("PGPASSWORD", APP_PASSWORD);
        let standby = Resident::replicating(&living, psql, "standby1");
        stopped(&living, &["--enforce"]).complains("app on replication from 127.0.0.1 \"standby1\"");
        standby.stayed();
    }
}

#[test]
fn who_speaks_tls_that_will_be_too_old_is_named() {
    for version in versions() {
        let living = Living::of(*version);
        let by = Account::current();
        living.secured(&by);
        let old = living.psql("require").env("PGSSLMAXPROTOCOLVERSION", "TLSv1.2");
        let old = Resident::new(&living, old, "old-driver");
        let fresh = Resident::new(&living, living.psql("require"), "new-driver");
        // No plaintext client is here, so that enforcing alone would stop nobody.
        let words = ["--policy", "modern"];
        let ran =
            stopped(&living, &words).complains("1 client that").complains("\"old-driver\": speaks TLSv1.2");
        ran.complains("TLSv1.3 will be the oldest").never_mentions("new-driver");
        living.secure(&[&words[..], &["--even-if-locked-out"]].concat(), &by).run().succeeded();
        old.stayed();
        fresh.stayed();
        let late = living.psql("require").env("PGSSLMAXPROTOCOLVERSION", "TLSv1.2").run("SELECT 1").ended(2);
        late.complains("protocol version");
    }
}

#[test]
fn who_speaks_a_suite_that_will_be_gone_is_named() {
    for version in versions() {
        let living = Living::of(*version);
        living.secure(&["--key-type", "rsa-2048"], &Account::current()).run().succeeded();
        living.append_conf("ssl_ciphers = 'ECDHE-RSA-AES256-SHA384'");
        living.reload();
        let old = living.psql("require").env("PGSSLMAXPROTOCOLVERSION", "TLSv1.2");
        let _old = Resident::new(&living, old, "old-suite");
        stopped(&living, &[])
            .complains("\"old-suite\": speaks ECDHE-RSA-AES256-SHA384, which will not be offered");
    }
}

#[test]
fn one_user_may_go_on_for_a_while() {
    for version in versions() {
        let living = Living::of(*version);
        let by = Account::current();
        living.secured(&by);
        let excepted = Resident::new(&living, living.psql("disable"), "excepted");
        let other = Resident::new(&living, living.psql_as(SUPERUSER, PASSWORD, "disable"), "other");
        let words = ["--enforce", "--except", "app@127.0.0.1/32", "--until", "2099-12-31"];
        stopped(&living, &words).complains("1 client that is connected now").complains("\"other\"");
        let words = [&words[..], &["--even-if-locked-out", "--end-plaintext-sessions"]].concat();
        let ran = living.secure(&words, &by).run().succeeded();
        let ran = ran.says("1 session, which the rules let come again");
        ran.says("1 session from before, 1 of them ended now; new ones are refused");
        other.was_ended();
        // Nor is it ended where nothing else is to be done.
        let again = living.secure(&words, &by).run().succeeded();
        again.says("1 session, which the rules let come again").never_mentions("new ones are refused");
        excepted.stayed();
        living.psql("disable").run("SELECT 1").succeeded();
        living.psql_as(SUPERUSER, PASSWORD, "disable").run("SELECT 1").ended(2);
        assert!(living.read("pg_hba.conf").contains("# exception until 2099-12-31: app@127.0.0.1/32"));
        // From elsewhere that user is refused as all are.
        let other = format!("host=::1 port={} user={APP} dbname=postgres sslmode=disable", living.port());
        Psql::to(other)
            .env("PGPASSWORD", APP_PASSWORD)
            .run("SELECT 1")
            .ended(2)
            .complains("rejects connection");
    }
}

#[test]
fn who_comes_while_the_question_waits_is_judged_too() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        let by = Account::current();
        living.secured(&by);
        let before = living.kept_files();
        let asks = living.verb("secure", &["--enforce", "--ca"], &by).arg(living.ca_of(&by));
        let typed = asks.work_dir().join("typed");
        let terminal = "mkfifo typed; exec 3<>typed; for word; do line=\"$line '$word'\"; done; \
                        exec script -qec \"$line\" /dev/null <&3";
        let asks = asks.through(terminal).start();
        asks.wait_until_it_says("[y/N]", PATIENCE);
        let latecomer = Resident::new(&living, living.psql("disable"), "latecomer");
        fs::write(&typed, "y\n").expect("somebody reads it");
        let ran = asks.wait(PATIENCE).ended(1).says("1 client that is connected now would be locked out");
        ran.says("\"latecomer\"").says("nothing was changed");
        assert_eq!(living.kept_files(), before);
        latecomer.stayed();
        record("whom a change would lock out is named before it", 1);
    }
}

#[test]
fn who_comes_by_trust_is_named_before_a_password_is_asked_for() {
    for version in versions_in_turn(2) {
        let trust = "local all all trust\nlocal replication all trust\nhost all all all trust\n";
        let living = Living::set_up(version, |setup| setup.hba(trust));
        let by = Account::current();
        let job = "CREATE ROLE job LOGIN";
        living.sql(job);
        let by_trust = Resident::new(&living, living.psql_as("job", "", "disable"), "by-trust");
        let words = ["--auth", "scram-sha-256"];
        let before = living.kept_files();
        let ran = living.secure(&words, &by).run().ended(1).complains("have no SCRAM password: job");
        let ran = ran.complains("connected now: job on postgres from 127.0.0.1 \"by-trust\"");
        assert_eq!(living.kept_files(), before, "{ran}");
        // With a password of the role's nobody knows yet whether its client has it.
        living.sql("SET password_encryption = 'scram-sha-256'; ALTER ROLE job PASSWORD 'known to some'");
        let ran =
            stopped(&living, &words).complains("\"by-trust\": comes in by trust (line 3 of pg_hba.conf)");
        ran.complains("see that they have the password");
        by_trust.stayed();
    }
}

#[test]
fn a_clients_own_words_reach_no_terminal_as_they_are() {
    let living = Living::of(18);
    living.secured(&Account::current());
    let role = "ev\u{1b}[31mil\u{202e}\npgseal: fine";
    living.sql(&format!(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE \"{role}\" LOGIN PASSWORD 'x'"
    ));
    let conninfo = format!("host=127.0.0.1 port={} dbname=postgres sslmode=disable", living.port());
    let psql = Psql::to(conninfo).env("PGUSER", role).env("PGPASSWORD", "x");
    let _held = Resident::new(&living, psql, "x");
    let ran = stopped(&living, &["--enforce"]).complains("ev\\u{1b}[31mil");
    assert!(!ran.stderr().contains(['\u{1b}', '\u{202e}']), "{ran}");
    assert!(!ran.stderr().lines().any(|line| line.starts_with("pgseal: fine")), "{ran}");
    let shown = living.verb("sessions", &[], &Account::current()).run().succeeded();
    assert!(!shown.stdout().contains(['\u{1b}', '\u{202e}']), "{shown}");
    assert!(!shown.stdout().lines().any(|line| line.starts_with("pgseal: fine")), "{shown}");
}

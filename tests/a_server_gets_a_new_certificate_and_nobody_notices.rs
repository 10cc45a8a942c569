//! `pgseal rotate` on a server that is in use: while clients come that verify fully, and clients stay and work, one
//! certificate follows the other. Nobody fails, nobody is thrown out, nothing is restarted, each new one is on the wire.

use serde_json::Value;

use crate::harness::{
    APP_PASSWORD, Account, Bench, Contained, Install, Living, Ran, Resident, Schema, Sealed, Storm, all_hold,
    claim, images_in_turn, is_soak, record, samples_each, served, versions, versions_in_turn,
};

/// What the servers of these scenarios leave open: plaintext, since `secure` was not asked to refuse it.
const PLAINTEXT: [&str; 6] = [
    "plaintext-refused-ipv4",
    "plaintext-refused-ipv6",
    "replication-plaintext-refused-ipv4",
    "replication-plaintext-refused-ipv6",
    "no-plaintext-path",
    "sslmode-disable-refused",
];

#[track_caller]
fn rotated(ran: Ran) -> Value {
    let told = ran.succeeded().never_mentions(APP_PASSWORD).never_mentions("PRIVATE KEY").json();
    Schema::of("rotate").admits(&told);
    assert_eq!((&told["state"], &told["proved"]), (&"rotated".into(), &true.into()), "{told:#}");
    assert_eq!(told["wire"]["failed"], 0, "{told:#}");
    assert_ne!(told["before"]["serial"], told["after"]["serial"], "{told:#}");
    told
}

#[test]
fn many_rotations_under_a_storm_of_clients_that_verify_fail_nobody() {
    let mut rotations = 0;
    let mut connections = 0;
    for version in versions() {
        let living = Living::of(*version);
        let by = Account::current();
        living.secured(&by);
        Bench::prepare(&living);
        let started = living.started();
        let staying = Bench::that_stays(&living);
        let resident = Resident::new(&living, living.psql("verify-full"), "stays and waits");
        let sessions = staying.sessions(&living);
        let storm = Storm::verifying(living.port(), &living.ca_file(), 2);
        let mut last = served(living.port());
        // In a soak as many on each version as are promised in a row.
        let (in_a_row, more) = if is_soak() { (100, 15) } else { (samples_each(100), 5) };
        for _ in 0..in_a_row {
            let told = rotated(living.verb("rotate", &["--format", "json"], &by).run());
            assert_eq!(told["before"]["sha256"], last.as_str(), "{told:#}");
            last = served(living.port());
            assert_eq!(told["after"]["sha256"], last.as_str(), "{told:#}");
            storm.wait_for_more(more);
            rotations += 1;
        }
        assert_eq!(staying.sessions(&living), sessions, "nobody was thrown out");
        connections += storm.nobody_was_refused();
        staying.lost_nothing();
        resident.stayed();
        assert_eq!(living.started(), started, "it runs as it ran");
    }
    assert!(!is_soak() || connections >= 10_000, "{connections} connections are too few to tell");
    record("rotations under a storm of connections with verify-full, none failed", rotations);
    record("connections with verify-full while certificates were exchanged, none failed", connections);
}

#[test]
fn a_folder_of_up_keeps_its_promises_after_a_rotation_and_after_its_undoing() {
    for (nth, account) in Account::both().into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let server = Sealed::with(&Install::of(version), &account, &[]);
            let before = served(server.port());
            let journal = server.sandbox().home_of(&account).join("journal");
            let verb = |words: &[&str]| server.pgseal().args(words).env("PGSEAL_STATE_DIR", &journal);
            let look = verb(&["rotate", "sealed", "--dry-run"]).run().succeeded();
            look.says("server-with-key.pem");
            assert_eq!(served(server.port()), before, "a look changes nothing");
            let told = rotated(verb(&["rotate", "sealed", "--format", "json"]).run());
            all_hold(&server.verify());
            assert_eq!(told["after"]["sha256"], served(server.port()).as_str());
            verb(&["undo", "sealed"]).run().succeeded().says("undone");
            assert_eq!(served(server.port()), before);
            all_hold(&server.verify());
            record("a folder of up is proved after a rotation and after its undoing", 1);
        }
    }
}

#[test]
fn what_was_open_before_is_told_and_fails_nothing() {
    let living = Living::of(15);
    let by = Account::current();
    living.secured(&by);
    let ran = living.verb("rotate", &["--format", "json"], &by).run();
    for open in PLAINTEXT {
        assert_eq!(claim(&ran, open)["holds"], false, "{ran}");
    }
    assert_eq!(claim(&ran, "sessions-go-on")["holds"], true, "{ran}");
    rotated(ran);
}

/// A subscription shows a copy of what is replaced.
#[test]
fn copies_that_a_rotation_does_not_reach_are_named() {
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        let by = Account::current();
        living.secured(&by);
        let copy = std::fs::read_to_string(living.tls_folder().join("server.crt")).unwrap();
        living.write("copy.crt", &copy);
        let connection = "host=127.0.0.1 dbname=postgres sslcert=copy.crt password=hunter2";
        living.sql(&format!(
            "CREATE SUBSCRIPTION sub CONNECTION '{connection}' PUBLICATION pub WITH (connect = false)"
        ));
        let told = living.verb("rotate", &["--dry-run", "--format", "json"], &by).run().succeeded();
        let told = told.never_mentions("hunter2").json();
        let named = |told: &Value| told["minds"].to_string().contains("the subscription sub shows a copy");
        assert!(named(&told), "{told:#}");
        let told = rotated(living.verb("rotate", &["--format", "json"], &by).run());
        assert!(named(&told) && told["minds"].to_string().contains("copy.crt"), "{told:#}");
        // The copy is one of the certificate before that by now.
        let told = rotated(living.verb("rotate", &["--format", "json"], &by).run());
        assert!(!named(&told), "{told:#}");
        record("copies that a rotation does not reach are named", 1);
    }
}

/// What packages put into /etc is put into a container's: PgBouncer shows the server's own file, HAProxy and the server as a
/// standby a copy, Odyssey something else. Somebody streams, too.
#[test]
fn poolers_and_standbys_that_show_what_is_replaced_are_named() {
    for image in images_in_turn(1) {
        let contained = Contained::of(&image);
        contained.secure(&[]).run().succeeded();
        let own = contained.sql("SHOW ssl_cert_file");
        let configured = format!(
            "cd \"$PGDATA\"; mkdir -p /etc/pgbouncer /etc/odyssey /etc/haproxy; cp '{own}' /etc/haproxy/db.pem; \
             chmod 644 /etc/haproxy/db.pem; cp '{own}' standby.crt; chown postgres: standby.crt
             printf '[pgbouncer]\\nclient_tls_cert_file = %s\\n' \"$(realpath '{own}')\" > /etc/pgbouncer/pgbouncer.ini
             printf 'frontend db\\n  bind :5432 ssl crt /etc/haproxy/db.pem\\n' > /etc/haproxy/haproxy.cfg
             printf '# tls_cert_file \"%s\"\\ntls_cert_file \"/etc/hostname\"\\n' '{own}' > /etc/odyssey/odyssey.conf"
        );
        contained.sh(&configured).succeeded();
        contained.sql("ALTER SYSTEM SET primary_conninfo = 'host=db0 sslcert=standby.crt password=hunter2'");
        contained.sql("SELECT pg_reload_conf()");
        contained.sh("mkdir /tmp/wal; chmod 700 /tmp/wal").succeeded();
        let stream = "pg_receivewal -D /tmp/wal -U postgres >/dev/null 2>&1 & \
             until psql -U postgres -Atc 'SELECT count(*) FROM pg_stat_replication' | grep -qx 1; do :; done";
        contained.sh(stream).succeeded();

        let minds = |words: &[&str]| -> String {
            let words = [&["--format", "json"], words].concat();
            let ran = contained.verb("rotate", &words).run().succeeded();
            ran.never_mentions("hunter2").json()["minds"].to_string()
        };
        let told = minds(&["--dry-run"]);
        assert!(told.contains("PgBouncer shows ") && told.contains("RELOAD on its console"), "{told}");
        assert!(
            told.contains("HAProxy shows a copy of the certificate that is replaced, /etc/haproxy/db.pem"),
            "{told}"
        );
        assert!(told.contains("primary_conninfo shows a copy") && told.contains("standby.crt"), "{told}");
        assert!(!told.contains("Odyssey"), "{told}");
        assert!(told.contains("the standby at this machine may serve with a copy"), "{own}: {told}");
        assert_eq!(minds(&[]), told, "said by the rotation itself");
        let after = minds(&["--dry-run"]);
        assert!(after.contains("PgBouncer shows ") && !after.contains("HAProxy"), "{after}");
        assert!(!after.contains("primary_conninfo"), "{after}");
        record("poolers and standbys that show what is replaced are named", 1);
    }
}

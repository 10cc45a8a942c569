//! A server with `ssl = off` and `host all all all scram-sha-256` is taken to TLS and then to TLS only while clients connect
//! and work all along: none of them fails, none is thrown out, the server is never restarted.

use crate::harness::{APP_PASSWORD, Account, Bench, Living, Storm, all_hold, record, transactions, versions};

#[test]
fn clients_that_come_and_clients_that_stay_notice_nothing() {
    for version in versions() {
        for by in Account::current_and_server() {
            under_load(*version, &by);
        }
    }
}

fn under_load(version: u32, by: &Account) {
    let living = Living::of(version);
    Bench::prepare(&living);
    let started = living.started();
    let staying = Bench::that_stays(&living);
    let reconnecting = Bench::that_reconnects(&living);
    let sessions = staying.sessions(&living);
    let storm = Storm::on(&living, 2);

    let on = living.secure(&[], by).run().succeeded();
    let on = on.says("~ ").says("pgseal undo").never_mentions(APP_PASSWORD);
    assert!(on.stdout().contains("ssl = 'on'"), "the diff is shown:\n{on}");
    storm.wait_for_more(3);
    let done = transactions(&living);
    assert_eq!(staying.sessions(&living), sessions, "the sessions of before, in plaintext as they were");

    // The sessions that stand are in plaintext, and somebody has to say that this is known.
    let stopped = living.secure(&["--enforce"], by).run().ended(1);
    let stopped = stopped.complains("app on postgres from 127.0.0.1 \"bench that stays\"");
    assert!(stopped.stderr().contains("2 sessions"), "{stopped}");
    let only = living.secure(&["--enforce", "--even-if-locked-out"], by).run().succeeded();
    only.says("still in plaintext").says("2 sessions from before");
    storm.wait_for_more(3);
    while transactions(&living) <= done {
        std::thread::yield_now();
    }
    assert_eq!(staying.sessions(&living), sessions, "nobody was thrown out");
    let connections = storm.nobody_was_refused();
    staying.lost_nothing();
    reconnecting.lost_nothing();
    assert_eq!(living.started(), started, "it runs as it ran");
    record("connections while a server was secured, none refused", connections);

    living
        .psql("verify-full")
        .run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .succeeded()
        .says("t");
    for sslmode in ["disable", "allow"] {
        let ran = living.psql(sslmode).run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        match sslmode {
            "disable" => drop(ran.ended(2).complains("pg_hba.conf rejects connection")),
            // libpq tries without TLS, is refused, and comes back with it.
            _ => drop(ran.succeeded().says("t")),
        }
    }
}

#[test]
fn in_one_run_it_goes_all_the_way_where_nobody_is_connected() {
    for version in versions() {
        for by in Account::current_and_server() {
            let living = Living::of(*version);
            let started = living.started();
            let words = ["--enforce", "--format", "json"];
            let done = living.secure(&words, &by).run();
            all_hold(&done);
            assert_eq!(done.json()["state"], "changed");
            assert_eq!(living.started(), started);
            living.psql("disable").run("SELECT 1").ended(2);
            living.psql("verify-full").run("SELECT 1").succeeded();
        }
    }
}

#[test]
fn a_second_run_has_nothing_to_do_and_a_look_changes_nothing() {
    for version in versions() {
        for by in Account::current_and_server() {
            let living = Living::of(*version);
            let plain = |words: &[&str]| living.verb("secure", words, &by);
            let ca = living.ca_of(&by);
            let new = ["--new-ca", ca.to_str().expect("a path of the tests is UTF-8")];
            // Where its home and its working directory are made.
            plain(&["--help"]).run().succeeded();
            let before = living.all_files();
            plain(&[&["--dry-run"], &new[..]].concat()).run().succeeded().says("Plan").says("ssl = 'on'");
            plain(&[&["--check"], &new[..]].concat()).run().ended(1).says("Plan");
            plain(&[&["--check", "--enforce"], &new[..]].concat()).run().ended(1).says("hostnossl");
            assert_eq!(living.all_files(), before, "a look changes nothing");

            living.secure(&["--enforce"], &by).run().succeeded();
            let secured = living.all_files();
            plain(&["--check", "--enforce"]).run().succeeded().says("nothing to do");
            plain(&["--dry-run", "--enforce"]).run().succeeded().says("nothing to do");
            // Nobody is asked where there is nothing to carry out.
            let again = plain(&["--enforce"]).run().succeeded();
            again.says("nothing to do").says("is proved");
            assert_eq!(living.all_files(), secured, "a second run changes nothing");
            record("a second run of secure changes nothing", 1);
        }
    }
}

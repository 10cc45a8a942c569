//! A primary and a standby that streams from it: each is secured by itself, the standby without a byte written over SQL, and
//! the standby is a client of the primary's that has to come with TLS first.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Account, Living, all_hold, record, versions};

/// What is written on the one is read on the other.
#[track_caller]
fn streams(primary: &Living, standby: &Living, word: &str) {
    primary.sql(&format!("INSERT INTO streamed VALUES ('{word}')"));
    let count = format!("SELECT count(*) FROM streamed WHERE word = '{word}'");
    wait_for(|| standby.sql(&count) == "1", "the standby should stream");
}

#[track_caller]
fn wait_for(it: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !it() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn pair(version: u32) -> (Living, Living) {
    let primary = Living::of(version);
    primary.sql("CREATE TABLE streamed (word text)");
    let standby = primary.standby();
    streams(&primary, &standby, "at first");
    (primary, standby)
}

#[test]
fn a_standby_goes_to_tls_only_and_back_and_misses_nothing() {
    let both = Account::current_and_server();
    for (nth, version) in versions().iter().enumerate() {
        let by = &both[nth % both.len()];
        let (primary, standby) = pair(*version);
        let (before, started) = (standby.kept_files(), standby.started());
        let receiver = "SELECT pid FROM pg_stat_wal_receiver";
        let receiving = standby.sql(receiver);
        standby.secured(by).says(", a standby");
        streams(&primary, &standby, "with TLS");
        all_hold(&standby.secure(&["--enforce", "--format", "json"], by).run());
        standby.psql("verify-full").run("SELECT pg_is_in_recovery()").succeeded().says("t");
        standby.psql("disable").run("SELECT 1").ended(2);
        streams(&primary, &standby, "enforced");
        // Its primary is not its client, and knows nothing of it.
        primary.psql("disable").run("SELECT 1").succeeded();
        for _ in 0..2 {
            standby.verb("undo", &["--allow-insecure"], by).run().succeeded();
        }
        assert_eq!(standby.kept_files(), before);
        streams(&primary, &standby, "undone");
        assert_eq!((standby.started(), standby.sql(receiver)), (started, receiving));
        record("a standby is secured and streams on", 1);
    }
}

#[test]
fn a_primary_waits_for_its_standby_to_come_with_tls() {
    for version in versions() {
        let by = Account::current();
        let (primary, standby) = pair(*version);
        let stopped = primary.secure(&["--enforce"], &by).run().ended(1);
        let stopped = stopped.complains("standby on replication from 127.0.0.1 \"walreceiver\"");
        stopped.complains("no TLS was offered yet").complains("nothing was changed");
        primary.secured(&by);
        let stopped = primary.secure(&["--enforce"], &by).run().ended(1);
        stopped.complains("standby on replication").complains("in plaintext, though TLS is offered");
        streams(&primary, &standby, "still in plaintext");
        // Its `sslmode=prefer` takes what is offered as soon as it comes again.
        primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
        let by_tls = "SELECT count(*) FROM pg_stat_replication JOIN pg_stat_ssl USING (pid) WHERE ssl";
        wait_for(|| primary.sql(by_tls) == "1", "the standby should come back with TLS");
        let replicating = primary.sql("SELECT pid FROM pg_stat_replication");
        all_hold(&primary.secure(&["--enforce", "--format", "json"], &by).run());
        streams(&primary, &standby, "with TLS only");
        assert_eq!(primary.sql("SELECT pid FROM pg_stat_replication"), replicating, "it was not thrown out");
        primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
        wait_for(|| primary.sql(by_tls) == "1", "the standby should come back once more");
        streams(&primary, &standby, "and comes again");
    }
}

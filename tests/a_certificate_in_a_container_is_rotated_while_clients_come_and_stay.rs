//! A server in a container gets one certificate after the other while clients connect that verify fully and others stay:
//! none fails, the container runs as it ran, and after a restart of it the last certificate is served.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    APP, APP_PASSWORD, Account, Contained, Install, PASSWORD, Running, Storm, images, record, samples, served,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A client that stays, and asks something all the time.
fn staying(contained: &Contained) -> Running {
    let mut command: Command =
        Account::current().command(Install::of(15).program("psql"), "/nonexistent".as_ref());
    command.current_dir("/").env("PGPASSWORD", APP_PASSWORD).env("PGAPPNAME", "stays").args(["-X", "-q"]);
    command
        .arg(format!("host=127.0.0.1 port={} user={APP} dbname=postgres sslmode=require", contained.port()));
    let running = Running::start(command, b"SELECT 1 \\watch 0.05\n");
    let end = Instant::now() + PATIENCE;
    while session(contained).is_empty() {
        assert!(Instant::now() < end, "psql did not connect within {PATIENCE:?}");
    }
    running
}

/// Its session: pid and when it began.
#[track_caller]
fn session(contained: &Contained) -> String {
    contained.sql("SELECT pid, backend_start FROM pg_stat_activity WHERE application_name = 'stays'")
}

#[test]
fn nobody_fails_and_the_next_start_serves_the_last_certificate() {
    let count = samples(u32::try_from(images().len()).unwrap());
    for image in images().into_iter().take(usize::try_from(count).unwrap()) {
        let contained = Contained::of(&image);
        contained.secure(&[]).run().succeeded();
        let started = contained.started();
        let stays = staying(&contained);
        let stayed = session(&contained);
        let storm = Storm::verifying(contained.port(), &contained.ca().join("server-ca.crt"), 2);
        let mut rotations = 0;
        let mut last = String::new();
        for _ in 0..samples(20) {
            let ran = contained.verb("rotate", &["--format", "json"]).run().succeeded();
            let told = ran.never_mentions(PASSWORD).never_mentions("PRIVATE KEY").json();
            assert_eq!((&told["state"], &told["wire"]["failed"]), (&"rotated".into(), &0.into()), "{told:#}");
            assert_ne!(served(contained.port()), last, "{told:#}");
            last = served(contained.port());
            assert_eq!(told["after"]["sha256"], last.as_str(), "{told:#}");
            storm.wait_for_more(3);
            rotations += 1;
        }
        record(
            "connections to a container while its certificate was exchanged, none failed",
            storm.nobody_was_refused(),
        );
        record("rotations in a container", rotations);
        assert_eq!(session(&contained), stayed, "{image}: the session of before");
        drop(stays);
        assert_eq!(contained.started(), started, "{image}: nothing was restarted");
        contained.restart();
        assert_eq!(served(contained.port()), last, "{image}: after docker restart");
        contained.client("verify-full").run("SELECT 1").succeeded();
        contained.verb("undo", &[]).run().succeeded().says("undone");
        assert_ne!(served(contained.port()), last, "{image}: undone");
        contained.client("verify-full").run("SELECT 1").succeeded();
    }
}

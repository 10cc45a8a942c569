//! A server in a container, as the official images start it, is taken to TLS and to TLS only while clients come and stay:
//! nobody is refused, nothing is restarted, and it is still so after a restart and in the next container on its volume.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    APP, APP_PASSWORD, Account, Contained, Install, PASSWORD, Running, Storm, Volume, all_hold,
    images_in_turn, record,
};

const PATIENCE: Duration = Duration::from_secs(60);
const OWN: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// Where an image's volume is: from 18 on its data lies further down.
fn volume_of(image: &str) -> &'static str {
    let major = image.trim_start_matches("postgres:").trim_end_matches("-alpine");
    let major: u32 = major.parse().expect("an image is called postgres:MAJOR or postgres:MAJOR-alpine");
    if major < 18 { "/var/lib/postgresql/data" } else { "/var/lib/postgresql" }
}

/// The uid of `postgres` in an image.
fn uid_of(image: &str) -> u32 {
    if image.ends_with("-alpine") { 70 } else { 999 }
}

/// A client that stays, and asks something all the time.
struct Staying {
    /// Ended when this is dropped.
    _psql: Running,
}

impl Staying {
    #[track_caller]
    fn on(contained: &Contained) -> Self {
        let psql = Install::of(15).program("psql");
        let mut command: Command = Account::current().command(psql, "/nonexistent".as_ref());
        command.current_dir("/").env("PGPASSWORD", APP_PASSWORD).env("PGAPPNAME", "stays").args(["-X", "-q"]);
        command.arg(format!(
            "host=127.0.0.1 port={} user={APP} dbname=postgres sslmode=prefer",
            contained.port()
        ));
        let staying = Self { _psql: Running::start(command, b"SELECT 1 \\watch 0.05\n") };
        let end = Instant::now() + PATIENCE;
        while Self::session(contained).is_empty() {
            assert!(Instant::now() < end, "psql did not connect within {PATIENCE:?}");
        }
        staying
    }

    /// Its session: pid and when it began.
    #[track_caller]
    fn session(contained: &Contained) -> String {
        contained.sql(
            "SELECT pid, backend_start, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) \
             WHERE application_name = 'stays'",
        )
    }

    /// When it asked last.
    #[track_caller]
    fn asked(contained: &Contained) -> String {
        contained.sql("SELECT query_start FROM pg_stat_activity WHERE application_name = 'stays'")
    }
}

#[test]
fn clients_that_come_and_clients_that_stay_notice_nothing_and_the_container_is_not_restarted() {
    for image in images_in_turn(0) {
        let contained = Contained::of(&image);
        let before = contained.files();
        let started = contained.started();
        let staying = Staying::on(&contained);
        let session = Staying::session(&contained);
        let storm = Storm::at(contained.port(), 2);

        let on = contained.secure(&[]).run().succeeded();
        on.says("ssl = 'on'").says("pgseal undo").never_mentions(PASSWORD);
        storm.wait_for_more(3);
        let only = contained.secure(&["--enforce", "--even-if-locked-out"]).run().succeeded();
        only.says("still in plaintext").never_mentions(PASSWORD);
        storm.wait_for_more(3);
        record("connections while a container was secured, none refused", storm.nobody_was_refused());
        assert_eq!(Staying::session(&contained), session, "{image}: the session of before");
        let asked = Staying::asked(&contained);
        let end = Instant::now() + PATIENCE;
        while Staying::asked(&contained) == asked {
            assert!(Instant::now() < end, "{image}: the session that stayed asks nothing any more");
        }
        drop(staying);
        assert_eq!(contained.started(), started, "{image}: nothing was restarted");

        let tls = contained.sh("cd \"$PGDATA\" && d=tls && { [ -d tls ] || d=../${PGDATA##*/}-tls; } && stat -c '%u:%g %a %n' $d/*");
        let tls = tls.succeeded();
        let uid = uid_of(&image);
        assert!(
            tls.stdout().lines().any(|line| line.starts_with(&format!("{uid}:{uid} 600 "))
                && line.ends_with("/server-with-key.pem")),
            "{image}: the key is the server's alone: {tls}"
        );
        contained.psql("postgres", "SELECT 'inside'").succeeded().says("inside");
        contained.client("verify-full").run(OWN).succeeded().says("t");
        contained.client("disable").run(OWN).ended(2).complains("pg_hba.conf rejects connection");
        all_hold(&contained.verb("verify", &["--format", "json"]).run());
        contained.verb("sessions", &[]).run().succeeded().says("TLS");

        let secured = contained.files();
        let again = contained.secure(&["--enforce"]).run().succeeded();
        again.says("nothing to do");
        assert_eq!(contained.files(), secured, "{image}: a second run changes nothing");

        contained.verb("undo", &[]).run().ended(1).complains("--allow-insecure");
        for _ in 0..2 {
            contained.verb("undo", &["--allow-insecure"]).run().succeeded().says("undone");
        }
        assert_eq!(contained.files(), before, "{image}: undone to the byte");
        contained.client("disable").run(OWN).succeeded().says("f");
        contained.verb("undo", &["--allow-insecure"]).run().ended(1).complains("no change");
        contained.verb("history", &[]).run().succeeded().says("undone");
    }
}

#[test]
fn it_is_still_proved_after_a_restart_and_in_the_next_container_on_its_volume() {
    for image in images_in_turn(1) {
        let volume = Volume::new();
        let mount = format!("{}:{}", volume.name(), volume_of(&image));
        let contained = Contained::set_up(&image, |setup, _| setup.volume(&mount));
        let before = contained.files();
        contained.secure(&["--enforce"]).run().succeeded();
        let secured = contained.files();

        contained.restart();
        all_hold(&contained.verb("verify", &["--format", "json"]).run());

        let contained = contained.replaced_by(&image, |setup| setup.volume(&mount));
        assert_eq!(contained.files(), secured, "{image}: all that was written lies on the volume");
        contained.client("verify-full").run(OWN).succeeded().says("t");
        all_hold(&contained.verb("verify", &["--format", "json"]).run());
        contained.secure(&["--enforce"]).run().succeeded().says("nothing to do");
        // The journal knows the data, not the container.
        contained.verb("undo", &["--allow-insecure"]).run().succeeded().says("undone");
        assert_eq!(contained.files(), before, "{image}: undone from the next container");
    }
}

//! The ledger of sessions finds every client that the log tells of, says honestly what it misses without a log, and with it
//! pgseal foretells who would be refused by other rules: exactly those whom the server then refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    Account, Dice, Living, Psql, Ran, Schema, record, samples, samples_each, versions, versions_in_turn,
};

const LIMIT: Duration = Duration::from_secs(300);

/// Role, application, and whether it comes in plaintext: fifty pairs, a tenth of them in plaintext.
fn pairs() -> Vec<(String, String, bool)> {
    (0..50).map(|nth| (format!("role{}", nth % 5), format!("app {nth}"), nth % 10 == 3)).collect()
}

fn psql(
    living: &Living,
    user: &str,
    application: &str,
    plaintext: bool,
    dbname: &str,
    address: &str,
) -> Psql {
    let mode = if plaintext { "disable" } else { "require" };
    Psql::to(format!(
        "host={address} port={} user={user} dbname={dbname} application_name='{application}' sslmode={mode} sslrootcert=/nonexistent",
        living.port()
    ))
}

/// A server with TLS, where those roles come without a password.
fn server(version: u32, lines: &[&str]) -> Living {
    let living = Living::set_up(version, |mut setup| {
        for line in lines {
            setup = setup.conf(line);
        }
        setup.hba("local all all trust\nhost all all all trust\n")
    });
    for nth in 0..5 {
        living.sql(&format!("CREATE ROLE role{nth} LOGIN"));
    }
    living.secured(&Account::current());
    living
}

/// Records while that is done, and is told to stop.
#[track_caller]
fn recorded_while(living: &Living, deed: impl FnOnce()) -> Ran {
    let by = Account::current();
    let recording = living.verb("sessions", &["--record", "--format", "json"], &by).start();
    recording.wait_until_it_says("keeping", LIMIT);
    deed();
    recording.signal(Signal::INT);
    let ran = recording.wait(LIMIT).succeeded();
    Schema::of("ledger").admits(&ran.json());
    ran
}

/// Sessions by role, application, and whether they came in plaintext.
fn counted(ledger: &Value) -> BTreeMap<(String, String, bool), u64> {
    let mut found = BTreeMap::new();
    for client in ledger["clients"].as_array().expect("a list") {
        let text = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
        if text("user").starts_with("role") {
            let kind = client["how"]["kind"].as_str().expect("a kind");
            assert!(matches!(kind, "tls" | "plaintext"), "{client}");
            assert_eq!(text("address"), "127.0.0.1", "{client}");
            let key = (text("user"), text("application"), kind == "plaintext");
            *found.entry(key).or_insert(0) += client["count"].as_u64().expect("a number");
        }
    }
    found
}

#[test]
fn every_client_that_a_log_tells_of_is_found_however_short_it_stays() {
    let formats: [(&str, u32, &[&str]); 4] = [
        ("plain text", 12, &["log_line_prefix = '%m [%p] %q%u@%d '"]),
        ("CSV", 12, &["logging_collector = on", "log_destination = 'csvlog'"]),
        ("JSON", 15, &["logging_collector = on", "log_destination = 'jsonlog'"]),
        (
            "plain text that begins new files",
            12,
            &["logging_collector = on", "log_rotation_size = 16kB", "log_filename = '%H%M%S.log'"],
        ),
    ];
    // 5,000 in all, in four formats.
    let storm = samples_each(5000).div_ceil(4).max(50);
    for (nth, (format, since, lines)) in formats.into_iter().enumerate() {
        for version in versions_in_turn(nth).into_iter().filter(|version| *version >= since) {
            let lines: Vec<&str> = lines.iter().copied().chain(["log_connections = on"]).collect();
            let living = server(version, &lines);
            let mut expected = BTreeMap::new();
            let ran = recorded_while(&living, || {
                for at in 0..storm {
                    let pairs = pairs();
                    let (user, application, plaintext) = &pairs[at as usize % pairs.len()];
                    psql(&living, user, application, *plaintext, "postgres", "127.0.0.1")
                        .run("SELECT 1")
                        .succeeded();
                    *expected.entry((user.clone(), application.clone(), *plaintext)).or_insert(0) += 1;
                }
            });
            assert_eq!(counted(&ran.json()), expected, "{format} of {version}");
            // A second recording goes on with the ledger, and counts nothing twice.
            let again = recorded_while(&living, || {
                psql(&living, "role0", "late", false, "postgres", "127.0.0.1").run("SELECT 1").succeeded();
            });
            expected.insert(("role0".to_owned(), "late".to_owned(), false), 1);
            assert_eq!(counted(&again.json()), expected, "{format} of {version}, again");
            let shown = living.verb("sessions", &["--ledger"], &Account::current()).run().succeeded();
            shown.says("role3 on postgres from 127.0.0.1 \"app 3\"");
            record("short connections found by the log", storm);
        }
    }
}

#[test]
fn without_a_log_it_is_said_that_short_connections_are_missed() {
    let living = server(versions()[0], &["log_connections = off"]);
    let stays = psql(&living, "role1", "stays", true, "postgres", "127.0.0.1").start("SELECT pg_sleep(600);");
    let ran = recorded_while(&living, || {
        for nth in 0..samples(50) {
            let (user, application, plaintext) = &pairs()[nth as usize];
            psql(&living, user, application, *plaintext, "postgres", "127.0.0.1").run("SELECT 1").succeeded();
        }
    });
    let ran = ran.complains("log_connections").complains("may be missed");
    let found = counted(&ran.json());
    assert_eq!(found.get(&("role1".to_owned(), "stays".to_owned(), true)), Some(&1), "{found:?}");
    let known: BTreeSet<_> =
        pairs().into_iter().chain([("role1".to_owned(), "stays".to_owned(), true)]).collect();
    assert!(found.keys().all(|key| known.contains(key)), "{found:?}");
    assert_eq!(ran.json()["log"], Value::Null);
    eprintln!("{} of {} pairs seen by looks alone", found.len() - 1, samples(50));
    drop(stays);
}

/// A rule file whose first lines leave pgseal its way in.
fn rules(dice: &mut Dice) -> String {
    let mut text = "local all all trust\n".to_owned();
    for _ in 0..=dice.below(6) {
        let line = [
            *dice.pick(&["host", "hostssl", "hostnossl"]),
            *dice.pick(&["all", "one", "two", "one,two", "sameuser", "replication"]),
            *dice.pick(&["all", "role0", "role1", "role2", "+role0", "role1,role2"]),
            *dice.pick(&["all", "127.0.0.1/32", "::1/128", "127.0.0.0/8", "0.0.0.0/0", "10.0.0.0/8"]),
            *dice.pick(&["trust", "trust", "trust", "reject"]),
        ];
        text.push_str(&line.join(" "));
        text.push('\n');
    }
    text
}

/// Role, database, address, plaintext.
type Way = (&'static str, &'static str, &'static str, bool);

fn ways() -> Vec<Way> {
    let mut all = Vec::new();
    for user in ["role0", "role1", "role2"] {
        for dbname in ["one", "two"] {
            for address in ["127.0.0.1", "::1"] {
                all.extend([(user, dbname, address, true), (user, dbname, address, false)]);
            }
        }
    }
    all
}

#[test]
fn who_is_foretold_to_be_refused_is_refused_and_nobody_else() {
    let mut dice = Dice::new("a forecast of refusals");
    for version in versions() {
        let living = server(*version, &["log_connections = on"]);
        living.sql("CREATE DATABASE one;\nCREATE DATABASE two;\nGRANT role0 TO role2;");
        let hba = living.data().join("pg_hba.conf");
        let open = fs::read_to_string(&hba).expect("the rules can be read");
        let tried = |(user, dbname, address, plaintext): Way| {
            psql(&living, user, "app", plaintext, dbname, address).run("SELECT 1")
        };
        recorded_while(&living, || ways().into_iter().for_each(|way| drop(tried(way).succeeded())));
        for _ in 0..samples_each(200) {
            let text = rules(&mut dice);
            let file = living.sandbox().file_of(&Account::current(), "proposed.conf", 0o644, &text);
            let words = ["--would-lock-out", &file.display().to_string(), "--format", "json"];
            let ran = living.verb("sessions", &words, &Account::current()).run();
            Schema::of("lock-out").admits(&ran.json());
            let foretold = foretold(&ran.json());
            assert_eq!(ran.code(), Some(i32::from(!foretold.is_empty())), "{ran}");
            fs::write(&hba, &text).expect("the rules can be written");
            reload(&living);
            for way in ways().into_iter().filter(|_| dice.below(2) == 0) {
                let (refused, ran) = (foretold.contains(&owned(way)), tried(way));
                assert_eq!(ran.code() != Some(0), refused, "{way:?} under\n{text}\n{ran}");
            }
            fs::write(&hba, &open).expect("the rules can be written");
            reload(&living);
        }
        record("rule sets whose refusals were foretold", samples_each(200));
    }
}

fn owned((user, dbname, address, plaintext): Way) -> (String, String, String, bool) {
    (user.to_owned(), dbname.to_owned(), address.to_owned(), plaintext)
}

fn foretold(forecast: &Value) -> BTreeSet<(String, String, String, bool)> {
    let rows = forecast["locked_out"].as_array().expect("a list").iter();
    rows.filter(|row| row["user"].as_str().is_some_and(|user| user.starts_with("role")))
        .map(|row| {
            assert_eq!(row["fate"], "refused", "{row}");
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (text("user"), text("database"), text("address"), row["how"]["kind"] == "plaintext")
        })
        .collect()
}

/// Until the server has it: it counts its reloads by their time.
#[track_caller]
fn reload(living: &Living) {
    let before = living.sql("SELECT extract(epoch FROM pg_conf_load_time())");
    living.sql("SELECT pg_reload_conf()");
    while living.sql("SELECT extract(epoch FROM pg_conf_load_time())") == before {}
}

#[test]
fn enforcement_is_forecast_with_who_came_before_and_is_gone_by_now() {
    let by = Account::current();
    let living = server(versions()[0], &["log_connections = on"]);
    let ran = living.verb("sessions", &["--would-lock-out", "--enforce"], &by).run().succeeded();
    ran.says("nobody is locked out").says("no ledger yet");
    recorded_while(&living, || {
        psql(&living, "role1", "nightly job", true, "postgres", "127.0.0.1").run("SELECT 1").succeeded();
        psql(&living, "role2", "web", false, "postgres", "127.0.0.1").run("SELECT 1").succeeded();
    });
    let ran = living.verb("sessions", &["--would-lock-out", "--enforce"], &by).run().ended(1);
    ran.says("refused").says("role1 on postgres from 127.0.0.1 \"nightly job\"").never_mentions("\"web\"");
    // And secure stops for it, though nobody of them is connected.
    let before = living.kept_files();
    let ran = living.secure(&["--enforce"], &by).run().ended(1);
    let ran = ran
        .complains("1 client that came before would be locked out")
        .complains("not connected now; came 1×");
    ran.complains("role1 on postgres from 127.0.0.1 \"nightly job\"").never_mentions("\"web\"");
    assert_eq!(living.kept_files(), before);
    let plan = living.verb("secure", &["--enforce", "--dry-run", "--format", "json"], &by).run().succeeded();
    Schema::of("secure").admits(&plan.json());
    let row = plan.json()["locked_out"][0].clone();
    assert_eq!((&row["sessions"], &row["recorded"]["count"]), (&0.into(), &1.into()), "{row}");

    // It has moved once it comes with TLS, in a later second than it last came without.
    let second = || living.sql("SELECT date_trunc('second', clock_timestamp())");
    let last = second();
    while second() == last {}
    recorded_while(&living, || {
        psql(&living, "role1", "nightly job", false, "postgres", "127.0.0.1").run("SELECT 1").succeeded();
    });
    living.secure(&["--enforce"], &by).run().succeeded();
    psql(&living, "role1", "nightly job", true, "postgres", "127.0.0.1").run("SELECT 1").ended(2);
    record("enforcement stops for who is in the ledger alone", 1);
}

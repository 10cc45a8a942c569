//! A server that does not run is left alone, unless somebody asks for its files: then they are changed as those of a living
//! one are, written down first, read again by PostgreSQL's own program, and proved by the first run after the start, or
//! taken back. Killed at any point, and undone at any time, the server starts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{
    Account, Dice, Living, Met, Pgseal, Ran, Schema, Shown, Trace, in_turn, record, samples, some_of,
    versions,
};

/// A server that was stopped in good order.
fn stopped(version: u32) -> Living {
    let mut living = Living::of(version);
    living.stop();
    living
}

/// `pgseal secure --offline` with a CA.
fn offline<'l>(living: &'l Living, words: &[&str], by: &Account) -> Pgseal<'l> {
    living.secure(&[&["--offline"], words].concat(), by)
}

fn verify(living: &Living, by: &Account) -> Ran {
    living.verb("verify", &[], by).run()
}

/// The states of the changes, oldest first.
fn states(living: &Living, by: &Account) -> Vec<String> {
    let history = living.verb("history", &["--format", "json"], by).run().succeeded().json();
    Schema::of("history").admits(&history);
    let changes = history["changes"].as_array().expect("a list of changes").clone();
    changes.iter().map(|change| change["state"].as_str().expect("a word").to_owned()).collect()
}

#[test]
fn a_server_that_is_down_is_left_alone_unless_somebody_asks() {
    for version in versions() {
        let by = Account::current();
        let mut living = stopped(*version);
        let before = living.kept_files();
        let ran = living.secure(&[], &by).run().ended(3).complains("no server runs on");
        ran.complains("nothing was changed").complains("--offline");
        living.secure(&["--check"], &by).run().ended(3).complains("no server runs on");
        // Words that make no sense without a server.
        for word in ["--confirm-within=10m", "--end-plaintext-sessions"] {
            offline(&living, &["--enforce", word], &by).run().ended(2);
        }
        let auth = offline(&living, &["--auth", "scram-sha-256"], &by).run().ended(2);
        auth.complains("a server that is down tells nobody");
        let unseen = offline(&living, &["--enforce"], &by).run().ended(1);
        unseen.complains("cannot be seen while the server is down").complains("--even-if-locked-out");
        // A look changes nothing either.
        let plan = offline(&living, &["--dry-run"], &by).run().succeeded();
        plan.says("it does not run").says("it holds from the next start on").says("+ssl = 'on'");
        assert_eq!(living.kept_files(), before);
        assert!(!living.ca_of(&by).exists(), "no CA was made");

        living.start();
        let runs = offline(&living, &[], &by).run().ended(1).complains("runs (process");
        runs.complains("nothing was changed");
        assert_eq!(living.kept_files(), before);
        assert_eq!(living.shown(), Shown::Plaintext);
        record("a server that is down is left alone unless somebody asks", 1);
    }
}

#[test]
fn its_files_are_changed_and_the_start_is_proved() {
    for version in versions() {
        for by in Account::current_and_server() {
            let mut living = stopped(*version);
            let before = living.kept_files();
            let words = ["--format", "json"];
            let done = offline(&living, &words, &by).run().succeeded().json();
            Schema::of("secure").admits(&done);
            assert_eq!(
                (&done["state"], &done["proved"]),
                (&"awaiting-start".into(), &false.into()),
                "{done}"
            );
            assert_eq!(states(&living, &by), ["awaiting the server's start"]);
            // A second time nothing is left to do; and nothing else is laid on top.
            let again = offline(&living, &[], &by).run().succeeded();
            again.says("awaiting the start").says("as postgres -C reads the files");
            offline(&living, &["--reissue"], &by).run().ended(1).complains("awaits the server's start");
            living.secure(&[], &by).run().ended(3).complains("awaits that start");
            verify(&living, &by).ended(1).complains("awaits the server's start");

            living.start();
            assert_eq!(living.shown(), Shown::Both);
            let proved = verify(&living, &by);
            assert!(proved.stderr().contains("made while the server was down, is proved now"), "{proved}");
            assert_eq!(states(&living, &by), ["committed"]);
            living.psql("verify-full").run("SELECT 1").succeeded();
            living.secure(&["--enforce"], &by).run().succeeded();
            assert_eq!(living.shown(), Shown::TlsOnly);
            for _ in 0..2 {
                living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
            }
            assert_eq!(living.kept_files(), before);
            assert_eq!(living.shown(), Shown::Plaintext);
            record("the files of a server that is down are changed, and the start is proved", 1);
        }
    }
}

#[test]
fn tls_only_from_the_first_moment_on_is_proved_by_the_next_secure() {
    for version in versions() {
        let by = Account::current();
        let mut living = stopped(*version);
        let words = ["--enforce", "--even-if-locked-out"];
        let done = offline(&living, &words, &by).run().succeeded();
        done.says("awaiting the start").says("none of its 6 rules");
        living.start();
        assert_eq!(living.shown(), Shown::TlsOnly);
        // Without a password nobody could tell that somebody still gets in: not proved, and not taken back.
        let alone = living.secure(&["--enforce"], &by).env("PGPASSWORD", "").run().ended(1);
        alone.complains("wants a login over TLS");
        assert_eq!(states(&living, &by), ["awaiting the server's start"]);
        let next = living.secure(&["--enforce"], &by).run().succeeded();
        next.says("proved first").says("nothing to do");
        assert_eq!(states(&living, &by), ["committed"]);
        record("TLS only from the start on is proved by the next secure", 1);
    }
}

#[test]
fn what_is_not_so_after_the_start_is_taken_back() {
    for version in versions() {
        for by in Account::current_and_server() {
            let mut living = stopped(*version);
            let before = living.kept_files();
            offline(&living, &["--enforce", "--even-if-locked-out"], &by).run().succeeded();
            let ca = living.ca_of(&by);
            assert!(ca.exists());
            // Whoever starts it knows better: nobody gets in over TCP, with TLS or without.
            living.set_args(&["-c", "ssl=off"]);
            living.start();
            let ran = verify(&living, &by).ended(4).complains("rolled back: change ");
            ran.complains("no TLS connection could be made").complains("as they were before it");
            assert_eq!(living.kept_files(), before);
            assert!(!ca.exists(), "the CA that was made for it went with it");
            assert_eq!(states(&living, &by), ["rolled back"]);
            assert_eq!(living.shown(), Shown::Plaintext);
            record(
                "what was changed while the server was down and is not so after its start is taken back",
                1,
            );
        }
    }
}

#[test]
fn a_server_that_does_not_start_with_it_is_undone_to_the_byte() {
    for version in versions() {
        let by = Account::current();
        let mut living = stopped(*version);
        let before = living.kept_files();
        // No word of it is wrong until OpenSSL reads it.
        let policy = include_str!("../crates/pgseal/src/policy/intermediate.toml");
        let (from, to) = match *version {
            18.. => ("groups = [\"X25519\"", "groups = [\"nonsense\""),
            _ => ("curve = \"prime256v1\"", "curve = \"nonsense\""),
        };
        assert!(policy.contains(from));
        let file = living.sandbox().file_of(&by, "policy.toml", 0o644, &policy.replace(from, to));
        offline(&living, &["--policy", &file.display().to_string()], &by).run().succeeded();
        assert!(!living.starts(), "{}", living.log_text());
        let undone = living.verb("undo", &[], &by).run().succeeded();
        undone.says("no server runs to look at");
        assert_eq!(living.kept_files(), before);
        assert_eq!(states(&living, &by), ["rolled back"]);
        living.start();
        assert_eq!(living.shown(), Shown::Plaintext);
        record("a server that does not start with what was changed while it was down is undone", 1);
    }
}

#[test]
fn what_postgresql_would_not_start_with_is_seen_before() {
    for version in versions() {
        let by = Account::current();
        let living = stopped(*version);
        let conf = living.read("postgresql.conf");
        living.write("postgresql.conf", &format!("{conf}\nwork_mem = 'a lot'\n"));
        let before = living.kept_files();
        let broken = offline(&living, &[], &by).run().ended(3).complains("would not start");
        broken.complains("work_mem").complains("nothing was changed");
        assert_eq!(living.kept_files(), before);
        // A setting that a later line of another file beats is put behind it, as on a living server.
        living.write("postgresql.conf", &conf);
        fs::create_dir(living.data().join("conf.d")).expect("a folder can be made");
        living.account().own(&living.data().join("conf.d"));
        living.write("conf.d/50-tls.conf", "ssl = off\nssl_min_protocol_version = 'TLSv1'\n");
        living.append_conf("include_dir 'conf.d'");
        living.write("postgresql.auto.conf", "ssl_ciphers = 'HIGH'\n");
        let mut living = living;
        offline(&living, &[], &by).run().succeeded();
        living.start();
        assert!(verify(&living, &by).stderr().contains("is proved now"));
        assert_eq!(living.sql("SHOW ssl_min_protocol_version"), "TLSv1.2");
        record("what PostgreSQL would not start with is seen before a change of a stopped server", 1);
    }
}

/// Configuration outside the data directory, as Debian's postgresql-common has it.
#[test]
fn a_cluster_with_its_configuration_elsewhere_is_secured_while_it_is_down() {
    // Without a home, in which the folder for its key would lie.
    let by = Account::ordinary();
    for version in versions() {
        let mut living = Living::set_up(*version, |setup| setup.by(&by));
        living.stop();
        moved(living.data(), *version);
        let etc = etc_of(living.data()).join(format!("{version}/main"));
        let option = format!("config_file={}", etc.join("postgresql.conf").display());
        living.set_args(&["-c", &option]);
        let word = format!("{version}/main");
        let pgseal = |living: &Living, words: &[&str]| {
            let pgseal = living.pgseal(&by).env("PG_CLUSTER_CONF_ROOT", etc_of(living.data()));
            pgseal.args(words).run()
        };
        let ca = living.ca_of(&by).display().to_string();
        let words = ["secure", &word, "--yes", "--offline", "--new-ca", &ca];
        pgseal(&living, &words).succeeded().says("as postgres -C reads the files");
        let text = fs::read_to_string(etc.join("postgresql.conf")).expect("it is there");
        assert!(text.contains("# pgseal tls-settings"), "{text}");
        assert!(!living.data().join("postgresql.conf").exists());
        living.start();
        let proved = pgseal(&living, &["verify", &word]);
        assert!(proved.stderr().contains("is proved now"), "{proved}");
        living.psql("require").run("SELECT 1").succeeded();
        let undone = pgseal(&living, &["undo", &word, "--allow-insecure"]);
        undone.succeeded().says("the wire shows what it showed before");
        let text = fs::read_to_string(etc.join("postgresql.conf")).expect("it is there");
        assert!(!text.contains("# pgseal"), "{text}");
        record("a cluster with its configuration elsewhere is secured while it is down", 1);
    }
}

fn etc_of(data: &Path) -> PathBuf {
    data.with_file_name("etc")
}

fn moved(data: &Path, version: u32) {
    let account = Account::owner_of(data);
    let etc = etc_of(data).join(format!("{version}/main"));
    fs::create_dir_all(&etc).expect("folders can be made");
    let conf = fs::read_to_string(data.join("postgresql.conf")).expect("it is there");
    let named = format!(
        "{conf}\ndata_directory = '{}'\nhba_file = '{}'\n",
        data.display(),
        etc.join("pg_hba.conf").display()
    );
    fs::write(etc.join("postgresql.conf"), named).expect("it can be written");
    fs::remove_file(data.join("postgresql.conf")).expect("it can be removed");
    fs::rename(data.join("pg_hba.conf"), etc.join("pg_hba.conf")).expect("it can be moved");
    for path in
        [etc_of(data), etc.parent().expect("a parent").to_owned(), etc.clone(), etc.join("postgresql.conf")]
    {
        account.own(&path);
    }
}

/// The same words each time, whether there is a CA already or not.
fn first<'l>(living: &'l Living, offline: bool, by: &Account) -> Pgseal<'l> {
    let words: &[&str] = if offline { &["--yes", "--offline", "--new-ca"] } else { &["--yes", "--new-ca"] };
    living.verb("secure", words, by).arg(living.ca_of(by))
}

/// At each point: the server starts as it stands, and the next run goes through.
#[test]
fn a_killed_change_of_a_stopped_server_leaves_one_that_starts() {
    let mut dice = Dice::new("offline");
    let all = in_turn(|version, by| {
        let living = stopped(version);
        let trace = Trace::new(living.sandbox());
        offline(&living, &[], by).traced(&trace).run().succeeded();
        let mut points = trace.points();
        points.retain(|point| !point.is_look());
        assert!(points.len() > 15, "{points:?}");
        points
    });
    // Each one starts the server two or three times: half of them, turn by turn.
    let count = samples(u32::try_from(all.len()).expect("some points") / 2);
    for Met { version, by, point } in some_of(all, count, &mut dice) {
        let mut living = stopped(version);
        let before = living.kept_files();
        let trace = Trace::new(living.sandbox());
        let killed = first(&living, true, &by).killed_at(&trace, point.number).run();
        assert_eq!(killed.signal(), Some(9), "{killed}");
        let at = format!("on {version} by {} killed {}", by.name(), trace.last());
        eprintln!("{at}");
        living.start();
        assert!(matches!(living.shown(), Shown::Plaintext | Shown::Both), "{at}");
        if dice.below(2) == 0 {
            living.stop();
            let next = first(&living, true, &by).run();
            assert_eq!(next.code(), Some(0), "{at}, and the next:\n{next}");
            living.start();
        } else {
            let next = first(&living, false, &by).run();
            assert_eq!(next.code(), Some(0), "{at}, and the next:\n{next}");
        }
        living.secure(&[], &by).run().succeeded();
        assert_eq!(living.shown(), Shown::Both, "{at}");
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        assert_eq!(living.kept_files(), before, "{at}");
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}");
    }
    record("a killed change of a stopped server leaves one that starts", count);
}

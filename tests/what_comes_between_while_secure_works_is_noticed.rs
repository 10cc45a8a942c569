//! What others do, and what breaks, between the plan and its proof: files that no reload can take, a role that loses its
//! rights, a server that does not listen to signals, a log that nobody can read. It is noticed on the wire, taken back, and
//! nobody was locked out.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

use crate::harness::{
    Account, Forge, Living, PASSWORD, Ran, SUPERUSER, Signal, Trace, leaf_params, record, run, samples,
    versions, versions_in_turn,
};

const LIMIT: Duration = Duration::from_secs(120);

/// The step after which everything of a stage is on disk and nothing is in force.
const WRITTEN: &str = "before the reload";

/// Lets a run come to that step, has something happen, and lets it go on.
#[track_caller]
fn meanwhile(living: &Living, words: &[&str], by: &Account, step: &str, deed: impl FnOnce()) -> Ran {
    let trace = Trace::new(living.sandbox());
    let secure = living.secure(words, by).held_at_step(&trace, step).start();
    trace.wait_for_step(step);
    deed();
    trace.go();
    secure.wait(LIMIT)
}

/// Who gets in, and with which certificate: what the wire shows.
fn wire(living: &Living) -> (Option<i32>, Option<i32>, String) {
    let served = living
        .psql_as(SUPERUSER, PASSWORD, "require")
        .run("SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let code = |sslmode: &str| living.psql(sslmode).run("SELECT 1").code();
    (code("disable"), code("verify-full"), served.stdout().to_owned())
}

/// A key file that the server refuses at a reload, and the words it does so with.
struct Refusal {
    name: &'static str,
    said: &'static str,
    make: fn(&Living, &Path),
}

fn forged(living: &Living, path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    living.account().own(path);
}

/// One PEM that is whole and good, but for what `Refusal` does to it.
fn pem() -> String {
    Forge::new("another authority").leaf(&["localhost"]).one_pem()
}

/// The reasons for which PostgreSQL keeps the TLS that it had (be-secure-openssl.c, be_tls_init; be-secure-common.c).
const REFUSALS: &[Refusal] = &[
    Refusal {
        name: "a key of another certificate",
        said: "key values mismatch",
        make: |living, path| {
            let forge = Forge::new("another authority");
            let (one, other) = (forge.leaf(&["localhost"]), forge.leaf(&["localhost"]));
            forged(living, path, &format!("{}{}", one.key, other.certificate));
        },
    },
    Refusal {
        name: "no certificate",
        said: "could not load server certificate file",
        make: |living, path| forged(living, path, "no PEM\n"),
    },
    Refusal {
        name: "no key",
        said: "could not load private key file",
        make: |living, path| {
            forged(living, path, &Forge::new("another authority").leaf(&["localhost"]).certificate);
        },
    },
    Refusal {
        name: "a key that others may read",
        said: "has group or world access",
        make: |living, path| {
            forged(living, path, &pem());
            fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        },
    },
    Refusal {
        name: "a key behind a passphrase",
        said: "cannot be reloaded because it requires a passphrase",
        make: |living, path| {
            let leaf = Forge::new("another authority").leaf(&["localhost"]);
            forged(living, path, &format!("{}{}", locked(living, &leaf.key), leaf.certificate));
        },
    },
    Refusal {
        name: "a key that the server may not read",
        said: "Permission denied",
        make: |living, path| {
            forged(living, path, &pem());
            // Nobody's as root; without root there is no such thing as a file of one's own that one cannot read but this.
            fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
        },
    },
    Refusal {
        name: "a certificate that is not there",
        said: "No such file or directory",
        make: |_, path| assert!(!path.exists()),
    },
];

/// The key behind a passphrase.
fn locked(living: &Living, key: &str) -> String {
    let sandbox = living.sandbox();
    let plain = sandbox.file_of(&Account::current(), "plain.key", 0o600, key);
    let mut command = Account::current().command("openssl", sandbox.path());
    command.args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:a phrase", "-in"]).arg(plain);
    run(command, b"", Duration::from_secs(60)).succeeded().stdout().to_owned()
}

/// The files of before, the wire of before, exit status 4, in the server's own words.
#[track_caller]
fn taken_back(
    living: &Living,
    by: &Account,
    words: &[&str],
    said: &str,
    deed: impl Fn(),
    undo: impl Fn(),
) -> Ran {
    let (files, shown, started) = (living.kept_files(), wire(living), living.started());
    let ran = meanwhile(living, words, by, WRITTEN, deed);
    let ran =
        ran.ended(4).complains("rolled back: ").complains("nothing is changed").complains("server log: ");
    let ran = ran.complains(said).never_mentions(PASSWORD);
    assert_eq!(wire(living), shown, "{ran}");
    undo();
    assert_eq!(living.kept_files(), files, "{ran}");
    assert_eq!(living.started(), started, "{ran}");
    record("a reload that the server refuses is noticed and taken back", 1);
    ran
}

/// Each reason, where an administrator's own ALTER SYSTEM between our writing and our reload is what brings it about.
fn refused_for_every_reason(nth: usize, version: u32, already_on: bool) {
    let both = Account::current_and_server();
    let by = &both[nth % both.len()];
    let mut living = Living::of(version);
    if already_on {
        living.secure(&["--enforce"], by).run().succeeded();
    }
    for refusal in REFUSALS {
        eprintln!("{version}, {}", refusal.name);
        let path = living.sandbox().join("theirs.pem");
        let auto = living.read("postgresql.auto.conf");
        let alter = || {
            (refusal.make)(&living, &path);
            let named = path.display();
            let line = format!("ssl_cert_file = '{named}'\nssl_key_file = '{named}'\n");
            living.write("postgresql.auto.conf", &format!("{auto}{line}"));
        };
        let words: &[&str] = if already_on { &["--reissue", "--enforce"] } else { &["--enforce"] };
        taken_back(&living, by, words, refusal.said, alter, || living.write("postgresql.auto.conf", &auto));
        fs::remove_file(&path).ok();
        living.reload();
    }
    // Nobody was locked out, and nothing is left in the way.
    living.secure(&["--enforce"], by).run().succeeded();
    living.restart();
    living.psql("verify-full").run("SELECT 1").succeeded();
    living.psql("disable").run("SELECT 1").ended(2);
}

#[test]
fn what_no_reload_can_take_is_noticed_where_there_was_no_tls() {
    for (nth, version) in versions().iter().enumerate() {
        refused_for_every_reason(nth, *version, false);
    }
}

#[test]
fn what_no_reload_can_take_is_noticed_where_tls_was_on() {
    for (nth, version) in versions().iter().enumerate() {
        refused_for_every_reason(nth + 1, *version, true);
    }
}

/// An expired certificate is no reason for PostgreSQL: it reloads without a word.
#[test]
fn an_expired_certificate_that_comes_between_is_not_taken_for_ours() {
    for version in versions() {
        let living = Living::of(*version);
        let (files, shown, auto) = (living.kept_files(), wire(&living), living.read("postgresql.auto.conf"));
        let ran = expired_meanwhile(&living, &[]);
        ran.ended(4).complains("rolled back: ").complains("valid now: ").complains("nothing is changed");
        living.write("postgresql.auto.conf", &auto);
        assert_eq!((living.kept_files(), wire(&living)), (files, shown));
    }
}

/// With TLS on, somebody else's line is what is served, whatever becomes of ours. It is theirs to mend.
#[test]
fn what_is_served_because_of_somebody_elses_line_is_said_to_be_so() {
    for version in versions_in_turn(1) {
        let by = Account::current();
        let living = Living::of(version);
        living.secure(&["--enforce"], &by).run().succeeded();
        let (files, shown, auto) = (living.kept_files(), wire(&living), living.read("postgresql.auto.conf"));
        let ran = expired_meanwhile(&living, &["--reissue"]);
        // Ours goes back whole; the wire shows what the files say by now.
        ran.ended(4).complains("valid now: ");
        living.psql("disable").run("SELECT 1").ended(2);
        living.write("postgresql.auto.conf", &auto);
        living.reload();
        let end = Instant::now() + LIMIT;
        while wire(&living) != shown {
            assert!(Instant::now() < end, "{:?} and not {shown:?}", wire(&living));
        }
        assert_eq!(living.kept_files(), files);
    }
}

fn expired_meanwhile(living: &Living, words: &[&str]) -> Ran {
    let path = living.sandbox().join("theirs.pem");
    let now = time::OffsetDateTime::now_utc();
    let day = time::Duration::days(1);
    let auto = living.read("postgresql.auto.conf");
    meanwhile(living, words, &Account::current(), WRITTEN, || {
        let expired = leaf_params(&["localhost"], now - 9 * day, now - day);
        forged(living, &path, &Forge::new("another authority").sign(&expired).one_pem());
        let line = format!("ssl_cert_file = '{0}'\nssl_key_file = '{0}'\n", path.display());
        living.write("postgresql.auto.conf", &format!("{auto}{line}"));
    })
}

/// The files that are ours are there and whole, and the server may not read them all the same.
#[test]
fn a_mode_that_somebody_changes_meanwhile_is_noticed_and_goes_with_the_change() {
    for (nth, version) in versions().iter().enumerate() {
        for already_on in [false, true] {
            let both = Account::current_and_server();
            let by = &both[(nth + usize::from(already_on)) % both.len()];
            let living = Living::of(*version);
            if already_on {
                living.secure(&["--enforce"], by).run().succeeded();
            }
            let pem = living.tls_folder().join("server-with-key.pem");
            for mode in [0o644, 0o640].into_iter().cycle().skip(nth).take(samples(2) as usize) {
                let deed = || fs::set_permissions(&pem, Permissions::from_mode(mode)).unwrap();
                let words = ["--reissue", "--enforce"];
                taken_back(&living, by, &words, "has group or world access", deed, || {});
            }
        }
    }
}

/// A superuser of its own, who may be anything but one from one moment to the next.
#[test]
fn a_role_that_loses_its_right_midway_takes_the_change_back() {
    let losses = [
        ("ALTER ROLE dba NOSUPERUSER", "permission denied"),
        ("ALTER ROLE dba NOLOGIN", "is not permitted to log in"),
        ("ALTER ROLE dba PASSWORD 'another one'", "password authentication failed"),
        ("ALTER ROLE dba VALID UNTIL '2001-01-01'", "password authentication failed"),
        // What the server said last reaches nobody where the connection was closed first.
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dba'; DROP ROLE dba",
            "57P01 or connection closed",
        ),
    ];
    for (nth, (loss, said)) in losses.into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let both = Account::current_and_server();
            let by = &both[nth % both.len()];
            let living = Living::of(version);
            living.sql("CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'theirs'");
            // Asked for a password over the socket, too: what it may is what counts.
            living.prepend_hba("local all dba scram-sha-256");
            living.reload();
            let steps = [WRITTEN, "a stage is proved"];
            for step in steps.iter().cycle().skip(nth).take(samples(2) as usize) {
                let (files, shown, started) = (living.kept_files(), wire(&living), living.started());
                let trace = Trace::new(living.sandbox());
                let secure = living.secure(&["--enforce", "-U", "dba"], by);
                let secure = secure.env("PGPASSWORD", "theirs").held_at_step(&trace, step).start();
                trace.wait_for_step(step);
                living.sql(loss);
                trace.go();
                let ran =
                    secure.wait(LIMIT).ended(4).complains("rolled back: ").complains("nothing is changed");
                assert!(said.split(" or ").any(|words| ran.stderr().contains(words)), "{loss}: {ran}");
                let ran = ran.never_mentions("theirs");
                assert_eq!(living.kept_files(), files, "{ran}");
                assert_eq!((wire(&living), living.started()), (shown, started), "{ran}");
                living.sql("DROP ROLE IF EXISTS dba");
                living.sql("CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'theirs'");
                record("a role that loses its right midway takes the change back", 1);
            }
        }
    }
}

/// A process that is stopped neither reads its files nor answers. What it is told it hears when it goes on.
#[test]
fn a_server_that_does_not_hear_the_signal_is_given_up_on_after_a_while() {
    for version in versions_in_turn(0) {
        let by = &Account::current();
        let living = Living::of(version);
        let (files, shown, started) = (living.kept_files(), wire(&living), living.started());
        let postmaster = i32::try_from(living.pid().unwrap()).ok().and_then(Pid::from_raw).unwrap();
        let trace = Trace::new(living.sandbox());
        let secure = living.secure(&["--enforce"], by).held_at_step(&trace, WRITTEN).start();
        trace.wait_for_step(WRITTEN);
        kill_process(postmaster, Signal::STOP).unwrap();
        trace.go();
        // As soon as the files are as they were, it hears both signals at once.
        let conf = &files[Path::new("data/postgresql.conf")];
        let end = Instant::now() + LIMIT;
        while &living.kept_files()[Path::new("data/postgresql.conf")] != conf {
            assert!(Instant::now() < end, "the files should come back");
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_process(postmaster, Signal::CONT).unwrap();
        let ran = secure.wait(LIMIT).ended(4).complains("rolled back: ");
        let ran =
            ran.complains("did not read its configuration again within").complains("nothing is changed");
        assert_eq!(living.kept_files(), files, "{ran}");
        assert_eq!((wire(&living), living.started()), (shown, started), "{ran}");
        living.secure(&["--enforce"], by).run().succeeded();
    }
}

#[test]
fn a_server_that_is_stopped_from_the_start_is_left_alone() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        let files = living.kept_files();
        let postmaster = i32::try_from(living.pid().unwrap()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(postmaster, Signal::STOP).unwrap();
        let ran = living.secure(&["--enforce"], &Account::current()).limit(LIMIT).run();
        kill_process(postmaster, Signal::CONT).unwrap();
        ran.ended(3).complains("could not log in as postgres over").complains("within");
        assert_eq!(living.kept_files(), files);
    }
}

#[test]
fn a_log_that_cannot_be_read_costs_the_reasons_and_nothing_else() {
    for (nth, version) in versions().iter().enumerate() {
        let by = &Account::current();
        let living = Living::of(*version);
        if by.is_root() {
            fs::set_permissions(living.log(), Permissions::from_mode(0o600)).unwrap();
            chown(living.log(), Some(0), Some(0)).unwrap();
        } else {
            // Our own file is always ours to read: one that was taken away is the same to whoever looks for it.
            fs::remove_file(living.log()).unwrap();
        }
        let (files, shown) = (living.kept_files(), wire(&living));
        living.write("garbage.crt", "no PEM\n");
        let conf = living.read("postgresql.conf");
        living.write("postgresql.conf", &format!("{conf}\nssl_ca_file = 'garbage.crt'\n"));
        let ran = living.secure(&["--enforce"], by).run().ended(4).complains("rolled back: ");
        // What pgseal sees for itself needs no log.
        ran.complains("garbage.crt").never_mentions("server log: ");
        fs::remove_file(living.data().join("garbage.crt")).unwrap();
        living.write("postgresql.conf", &conf);
        assert_eq!((living.kept_files(), wire(&living)), (files, shown));
        living.secure(&["--enforce"], by).run().succeeded();
        if nth == 0 && by.is_root() {
            assert_eq!(fs::metadata(living.log()).unwrap().uid(), 0);
        }
    }
}

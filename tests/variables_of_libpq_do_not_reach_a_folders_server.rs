//! `PG*` in the environment means other servers. Nothing of it leads `up`, `status`, `verify DIR` or `down` astray, and
//! neither initdb nor the server ever sees it.

use std::fs;
use std::path::Path;

use crate::harness::{Account, Install, Pgseal, Port, Sandbox, all_hold, picture};

/// Every variable that libpq 18 reads (libpq-envars), and some that PostgreSQL's programs and OpenSSL do, each with a value
/// that would spoil everything.
fn hostile(trap: &Path) -> Vec<(&'static str, String)> {
    let trap = trap.to_str().unwrap().to_owned();
    let mut variables = vec![
        ("PGDATA", trap.clone()),
        ("PGHOST", trap.clone()),
        ("PGPASSFILE", format!("{trap}/precious")),
        ("PGSERVICEFILE", format!("{trap}/precious")),
        ("PGSYSCONFDIR", trap.clone()),
        ("PGSSLKEY", format!("{trap}/precious")),
        ("PGSSLCERT", format!("{trap}/precious")),
        ("PGSSLROOTCERT", format!("{trap}/precious")),
        ("PGSSLCRL", format!("{trap}/precious")),
        ("OPENSSL_CONF", format!("{trap}/precious")),
        ("SSL_CERT_FILE", format!("{trap}/precious")),
        ("SSL_CERT_DIR", trap),
    ];
    for (name, value) in [
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGPORT", "1"),
        ("PGDATABASE", "template0"),
        ("PGUSER", "nobody-of-that-name"),
        ("PGPASSWORD", "wrong"),
        ("PGSERVICE", "no-such-service"),
        ("PGOPTIONS", "-c ssl=off -c default_transaction_read_only=on"),
        ("PGSSLMODE", "disable"),
        ("PGREQUIRESSL", "0"),
        ("PGSSLNEGOTIATION", "direct"),
        ("PGSSLCERTMODE", "require"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1"),
        ("PGREQUIREAUTH", "none"),
        ("PGCHANNELBINDING", "disable"),
        ("PGGSSENCMODE", "require"),
        ("PGKRBSRVNAME", "nowhere"),
        ("PGREQUIREPEER", "nobody"),
        ("PGCONNECT_TIMEOUT", "1"),
        ("PGCLIENTENCODING", "SQL_ASCII"),
        ("PGTZ", "Mars/Olympus"),
        ("PGDATESTYLE", "nonsense"),
        ("PGGEQO", "nonsense"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGLOADBALANCEHOSTS", "random"),
        ("PGMINPROTOCOLVERSION", "9.9"),
        ("PGLOCALEDIR", "/nonexistent"),
        ("PGAPPNAME", "\u{1b}[2J"),
        ("PG_COLOR", "always"),
        ("PG_OOM_ADJUST_FILE", "/etc/passwd"),
        ("PG_TEST_EXTRA", "yes"),
        ("POSTGRES_PASSWORD", "wrong"),
        ("POSTGRES_HOST_AUTH_METHOD", "trust"),
        ("POSTGRES_INITDB_ARGS", "--auth=trust"),
    ] {
        variables.push((name, value.to_owned()));
    }
    variables
}

#[test]
fn variables_of_libpq_do_not_reach_a_folders_server() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let trap = sandbox.dir_of(&account, "trap");
        sandbox.file_of(&account, "trap/precious", 0o600, "precious\n");
        let port = Port::free();
        let verb = |words: &[&str]| {
            let pgseal = Pgseal::new(&sandbox).by(&account).args(words.to_vec());
            hostile(&trap).into_iter().fold(pgseal, |pgseal, (name, value)| pgseal.env(name, value))
        };
        let before = picture(&trap, |_| true);
        let up = verb(&["up", "sealed", "--format", "json", "-p", &port.number().to_string()]);
        let dir = up.work_dir().join("sealed");
        let up = up.bindir(&Install::of(15)).run();
        all_hold(&up);
        let pid = up.json()["pid"].to_string();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        for variable in environment.split(|byte| *byte == 0).map(String::from_utf8_lossy) {
            // PostgreSQL sets these two itself (miscinit.c, pg_ctl.c).
            let own = variable.starts_with("PGDATA=") && variable.ends_with("/sealed/data");
            assert!(own || !variable.starts_with("PG") && !variable.contains("trap"), "{variable}");
        }
        all_hold(&verb(&["verify", "sealed", "--format", "json"]).run());
        assert_eq!(
            verb(&["status", "sealed", "--format", "json"]).run().succeeded().json()["pid"].to_string(),
            pid
        );
        verb(&["down", "sealed"]).run().succeeded().says(&pid);
        let again = verb(&["up", "sealed", "--format", "json"]).run();
        all_hold(&again);
        assert_eq!(again.json()["uri"], up.json()["uri"]);
        assert!(fs::read_to_string(dir.join("data/pg_hba.conf")).unwrap().contains("hostnossl  all"));
        verb(&["down", "--remove", "--yes", "sealed"]).run().succeeded();
        assert_eq!(before, picture(&trap, |_| true));
    }
}

#[test]
fn an_environment_with_nothing_in_it_is_enough() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let verb = |words: &[&str]| {
            Pgseal::new(&sandbox).by(&account).through("exec env -i \"$@\"").args(words.to_vec())
        };
        all_hold(&verb(&["up", "sealed", "--format", "json", "-p", "0"]).bindir(&Install::of(15)).run());
        all_hold(&verb(&["verify", "sealed", "--format", "json"]).run());
        verb(&["down", "--remove", "--yes", "sealed"]).run().succeeded();
    }
}

#[test]
fn a_locale_that_there_is_not_is_said_by_initdb_and_nothing_is_left() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let up = Pgseal::new(&sandbox)
            .by(&account)
            .env("LC_ALL", "tlh_KX.UTF-8")
            .args(["up", "sealed", "-p", "0"]);
        let dir = up.work_dir().join("sealed");
        up.bindir(&Install::of(15)).run().ended(3).complains("invalid locale settings").complains("LC_");
        assert!(!dir.exists());
    }
}

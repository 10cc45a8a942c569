//! Clients that come and go, and clients that stay, while something is done to their server. Knows how to keep them going
//! and what became of them, not what is done.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::account::Account;
use super::install::Install;
use super::living::{APP, APP_PASSWORD, Living};
use super::process::Running;
use super::psql::Psql;
use super::template::SUPERUSER;

/// How long a machine that does much else may take for a few connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// Threads that run psql over and over: a new connection each time.
pub(crate) struct Storm {
    over: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
    failed: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Storm {
    /// Returns when the first connections have been made.
    #[track_caller]
    pub(crate) fn on(living: &Living, clients: usize) -> Self {
        Self::at(living.port(), clients)
    }

    /// The same for whatever server has the application's role and is reached at that port of 127.0.0.1.
    #[track_caller]
    pub(crate) fn at(port: u16, clients: usize) -> Self {
        let conninfo = format!("host=127.0.0.1 port={port} user={APP} dbname=postgres sslmode=prefer");
        Self::to(&conninfo, clients)
    }

    /// Clients that verify chain and name.
    #[track_caller]
    pub(crate) fn verifying(port: u16, ca_file: &Path, clients: usize) -> Self {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={port} user={APP} dbname=postgres sslmode=verify-full \
             sslrootcert='{}'",
            ca_file.display()
        );
        Self::to(&conninfo, clients)
    }

    #[track_caller]
    fn to(conninfo: &str, clients: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let made = Arc::new(AtomicU32::new(0));
        let failed = Arc::new(Mutex::new(Vec::new()));
        let client = || {
            let (over, made, failed) = (Arc::clone(&over), Arc::clone(&made), Arc::clone(&failed));
            let conninfo = conninfo.to_owned();
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let psql = Psql::to(&conninfo).of(&Install::of(15));
                    let ran = psql.env("PGPASSWORD", APP_PASSWORD).run("SELECT 'in'");
                    if ran.code() == Some(0) && ran.stdout() == "in\n" {
                        made.fetch_add(1, Ordering::Relaxed);
                    } else {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(ran.to_string());
                    }
                }
            })
        };
        let threads = (0..clients).map(|_| client()).collect();
        let storm = Self { over, made, failed, threads };
        storm.wait_for_more(1);
        storm
    }

    /// Waits until that many more connections have been made by each client on average.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, connections: u32) {
        let clients = u32::try_from(self.threads.len()).expect("a few clients");
        let goal = self.made.load(Ordering::Relaxed) + connections * clients;
        let end = Instant::now() + PATIENCE;
        while self.made.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < end, "no {goal} connections within {PATIENCE:?}: {:?}", self.failures());
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn failures(&self) -> Vec<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it. How many connections were made; fails where one was not.
    #[track_caller]
    pub(crate) fn nobody_was_refused(mut self) -> u32 {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("no client panics");
        }
        let failures = self.failures();
        assert!(
            failures.is_empty(),
            "{} connections failed, the first:\n{}",
            failures.len(),
            failures.first().map_or("", String::as_str)
        );
        self.made.load(Ordering::Relaxed)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// pgbench's TPC-B as the application, over TCP with `sslmode=prefer`.
pub(crate) struct Bench {
    running: Running,
    name: &'static str,
}

impl Bench {
    /// Makes its tables.
    #[track_caller]
    pub(crate) fn prepare(living: &Living) {
        living.sql(&format!("GRANT CREATE ON SCHEMA public TO {APP}"));
        let mut init = command(living);
        init.arg("-h").arg(living.socket_dir()).args(["-q", "-i", "-s", "1", "postgres"]);
        super::process::run(init, b"", PATIENCE).succeeded();
    }

    /// Two clients that stay connected.
    #[track_caller]
    pub(crate) fn that_stays(living: &Living) -> Self {
        Self::start(living, "bench that stays", &["-c", "2", "--rate=100"], 2)
    }

    /// Two clients that connect anew for each transaction.
    #[track_caller]
    pub(crate) fn that_reconnects(living: &Living) -> Self {
        Self::start(living, "bench that reconnects", &["-C", "-c", "2", "--rate=20"], 1)
    }

    fn start(living: &Living, name: &'static str, how: &[&str], sessions: usize) -> Self {
        let mut bench = command(living);
        bench.env("PGAPPNAME", name).args(["-n", "-T", "3600", "-h", "127.0.0.1"]).args(how).arg("postgres");
        let bench = Self { running: Running::start(bench, b""), name };
        let end = Instant::now() + PATIENCE;
        while bench.sessions(living).lines().count() < sessions {
            assert!(Instant::now() < end, "pgbench did not connect within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(2));
        }
        bench
    }

    /// Its sessions: pid, when it began, whether by TLS.
    #[track_caller]
    pub(crate) fn sessions(&self, living: &Living) -> String {
        living.sql(&format!(
            "SELECT pid, backend_start, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) \
             WHERE application_name = '{}' ORDER BY 1",
            self.name
        ))
    }

    /// Ends it; fails where it had ended by itself, or lost a client.
    #[track_caller]
    pub(crate) fn lost_nothing(self) {
        self.running.signal(super::Signal::TERM);
        let ran = self.running.wait(Duration::from_secs(3600));
        assert_eq!(ran.signal(), Some(15), "pgbench should have run until it was ended:\n{ran}");
        assert!(!ran.stderr().contains("abort") && !ran.stderr().contains("error"), "{ran}");
    }
}

/// A psql that stays connected.
pub(crate) struct Resident {
    running: Running,
}

impl Resident {
    /// Returns when it has its session. `name` is its application_name, which no other session has.
    #[track_caller]
    pub(crate) fn new(living: &Living, psql: Psql, name: &str) -> Self {
        Self::that(living, psql, name, "SELECT pg_sleep(3600)")
    }

    /// One that speaks the replication protocol.
    #[track_caller]
    pub(crate) fn replicating(living: &Living, psql: Psql, name: &str) -> Self {
        Self::that(living, psql, name, "IDENTIFY_SYSTEM \\watch 3600")
    }

    /// One that is at some statement.
    #[track_caller]
    pub(crate) fn that(living: &Living, psql: Psql, name: &str, does: &str) -> Self {
        let running = psql.env("PGAPPNAME", name).start(does);
        let count = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND query <> ''"
        );
        let end = Instant::now() + PATIENCE;
        while living.sql(&count) != "1" {
            assert!(Instant::now() < end, "psql did not connect within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(2));
        }
        Self { running }
    }

    /// Ends it; fails where it had lost its session.
    #[track_caller]
    pub(crate) fn stayed(self) {
        self.running.signal(super::Signal::KILL);
        let ran = self.running.wait(Duration::from_secs(3600));
        assert_eq!(ran.signal(), Some(9), "psql should have stayed connected:\n{ran}");
    }

    /// Fails unless the server ended its session.
    #[track_caller]
    pub(crate) fn was_ended(self) {
        let ran = self.running.wait(Duration::from_secs(3600)).ended(2);
        ran.complains("terminating connection due to administrator command");
    }
}

/// How many transactions the benches have committed.
#[track_caller]
pub(crate) fn transactions(living: &Living) -> u32 {
    living.sql("SELECT count(*) FROM pgbench_history").parse().expect("a count")
}

fn command(living: &Living) -> Command {
    let program = pgbench();
    let mut command = Account::current().command(program, "/nonexistent".as_ref());
    command
        .current_dir("/")
        .env("PGPORT", living.port().to_string())
        .env("PGUSER", APP)
        .env("PGPASSWORD", APP_PASSWORD)
        .env("PGSSLMODE", "prefer");
    assert_ne!(APP, SUPERUSER, "the application is no superuser");
    command
}

fn pgbench() -> PathBuf {
    let program = Install::of(15).program("pgbench");
    assert!(
        program.exists(),
        "there is no {}: run `tests/provision/system.sh postgresql-15`, whose package brings it",
        program.display()
    );
    program
}

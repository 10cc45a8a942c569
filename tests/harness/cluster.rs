//! A data directory and the server on it, whoever started it: read, changed, reloaded, asked.
//! It does not start or stop servers.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::install::Install;
use super::process::Ran;
use super::psql::Psql;
use super::template::SUPERUSER;

/// A cluster, seen from its data directory.
pub(crate) struct Cluster {
    data: PathBuf,
    install: Install,
}

impl Cluster {
    /// The cluster at `data`, made by the harness or by pgseal.
    pub(crate) fn at(data: impl Into<PathBuf>, install: &Install) -> Self {
        Self { data: data.into(), install: install.clone() }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn install(&self) -> &Install {
        &self.install
    }

    /// Who owns the data directory, and so whom the server runs as.
    pub(crate) fn account(&self) -> Account {
        Account::owner_of(&self.data)
    }

    /// The postmaster's pid, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pidfile(1)?.parse().ok()
    }

    /// The port that the running server has taken.
    #[track_caller]
    pub(crate) fn port(&self) -> u16 {
        self.told(4, "port").parse().expect("a running server's postmaster.pid holds a port")
    }

    /// The directory of its first socket.
    #[track_caller]
    pub(crate) fn socket_dir(&self) -> PathBuf {
        PathBuf::from(self.told(5, "socket directory"))
    }

    /// Whether the server says that it takes connections, if only to read.
    pub(crate) fn is_ready(&self) -> bool {
        self.pidfile(8).is_some_and(|status| matches!(status.trim(), "ready" | "standby"))
    }

    /// Replaces `pg_hba.conf`. Without a `local` line that lets the superuser in, `sql` fails after the next reload.
    pub(crate) fn write_hba(&self, content: &str) {
        // Written over, so that owner and mode stay.
        self.write("pg_hba.conf", content);
    }

    /// Puts lines at the very top of `pg_hba.conf`.
    pub(crate) fn prepend_hba(&self, lines: &str) {
        let below = self.read("pg_hba.conf");
        self.write("pg_hba.conf", &format!("{}\n{below}", lines.trim_end()));
    }

    /// Appends lines to `postgresql.conf`; the last setting of a name wins.
    pub(crate) fn append_conf(&self, lines: &str) {
        let path = self.data.join("postgresql.conf");
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("\n{}\n", lines.trim_end()).as_bytes()))
            .unwrap_or_else(|e| panic!("could not append to {}: {e}", path.display()));
    }

    /// A file of the data directory.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.data.join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("could not read {}: {e}", path.display()))
    }

    /// Writes a file of the data directory: one that exists keeps owner and mode, a new one is the server's, 0600.
    #[track_caller]
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.data.join(name);
        let new = !path.exists();
        fs::write(&path, content).unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
        if new {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
                .unwrap_or_else(|e| panic!("could not change the mode of {}: {e}", path.display()));
            self.account().own(&path);
        }
    }

    /// Has the server read its files again. What connects from now on finds the new ones: the postmaster takes up a
    /// reload before it accepts. Sessions that are open take it up at their next statement.
    #[track_caller]
    pub(crate) fn reload(&self) {
        let pid = self
            .pid()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
            .unwrap_or_else(|| panic!("no server runs in {} to be reloaded", self.data.display()));
        kill_process(pid, Signal::HUP).unwrap_or_else(|e| panic!("could not reload the server: {e}"));
    }

    /// Runs SQL as the superuser over the socket, and returns the rows as psql prints them, columns parted by `|`.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).succeeded().stdout().trim_end().to_owned()
    }

    /// The same, for SQL that may fail.
    #[track_caller]
    pub(crate) fn try_sql(&self, sql: &str) -> Ran {
        let conninfo = format!(
            "host='{}' port={} user={SUPERUSER} dbname=postgres",
            self.socket_dir().display(),
            self.port()
        );
        Psql::to(conninfo).of(&self.install).by(&self.account()).run(sql)
    }

    /// A connection string over TCP to 127.0.0.1, without a password.
    #[track_caller]
    pub(crate) fn conninfo(&self, user: &str, dbname: &str, sslmode: &str) -> String {
        format!("host=127.0.0.1 port={} user={user} dbname={dbname} sslmode={sslmode}", self.port())
    }

    /// Waits until the server takes connections.
    pub(crate) fn wait_until_ready(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.is_ready() {
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// A line of `postmaster.pid`, counted from 1 (miscadmin.h: `LOCK_FILE_LINE_*`).
    fn pidfile(&self, line: usize) -> Option<String> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        text.lines().nth(line - 1).map(str::to_owned)
    }

    #[track_caller]
    fn told(&self, line: usize, what: &str) -> String {
        self.pidfile(line)
            .unwrap_or_else(|| panic!("no server runs in {}, so it has no {what}", self.data.display()))
    }
}

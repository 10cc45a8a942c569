//! A folder made by `pgseal up`, with its server running: what most promises are about.
//! It knows pgseal's layout as a user sees it, and leaves every verdict to the scenario.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::account::Account;
use super::cluster::Cluster;
use super::install::Install;
use super::pgseal::Pgseal;
use super::port::Port;
use super::process::Ran;
use super::psql::Psql;
use super::sandbox::Sandbox;

/// The superuser that `pgseal up` makes, unless it is told another name.
const ADMIN: &str = "admin";

/// A sealed server. Dropped, it is stopped and its folder removed.
pub(crate) struct Sealed {
    cluster: Cluster,
    dir: PathBuf,
    account: Account,
    made: Value,
    port: Port,
    // Last: it is removed when the server is gone.
    sandbox: Sandbox,
}

/// The server, seen from its data directory.
impl Deref for Sealed {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Sealed {
    /// `pgseal up`, proved, with the PostgreSQL of that version.
    #[track_caller]
    pub(crate) fn of(version: u32) -> Self {
        Self::with(&Install::of(version), &Account::current(), &[])
    }

    /// The same, run by that account and with more options.
    #[track_caller]
    pub(crate) fn with(install: &Install, account: &Account, options: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let port = Port::free();
        let pgseal = Pgseal::new(&sandbox).by(account);
        let dir = pgseal.work_dir().join("sealed");
        let up = pgseal
            .args(["up", "sealed", "--format", "json", "-p", &port.number().to_string()])
            .args(options)
            .bindir(install)
            .run()
            .succeeded();
        let cluster = Cluster::at(dir.join("data"), install);
        Self { cluster, dir, account: account.clone(), made: up.json(), port, sandbox }
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in the folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What the first `up` said, as JSON.
    pub(crate) fn made(&self) -> &Value {
        &self.made
    }

    /// A text of what the first `up` said.
    #[track_caller]
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.made[name].as_str().unwrap_or_else(|| panic!("pgseal up says no {name}: {}", self.made))
    }

    /// The port, also while the server is stopped.
    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// pgseal, run by whoever made the folder, in the folder's parent.
    pub(crate) fn pgseal(&self) -> Pgseal<'_> {
        Pgseal::new(&self.sandbox).by(&self.account)
    }

    /// `pgseal up` once more.
    #[track_caller]
    pub(crate) fn up(&self) -> Ran {
        self.pgseal().args(["up", "sealed", "--format", "json"]).run()
    }

    /// `pgseal verify` of the folder, as JSON.
    #[track_caller]
    pub(crate) fn verify(&self) -> Ran {
        self.pgseal().args(["verify", "sealed", "--format", "json"]).run()
    }

    /// The superuser's password.
    #[track_caller]
    pub(crate) fn password(&self) -> String {
        let text = fs::read_to_string(self.fact("passfile")).expect("the password file is there");
        let line = text.lines().next().expect("the password file has a line");
        line.rsplit(':').next().expect("a line has fields").to_owned()
    }

    /// Runs SQL as the superuser over the socket, and returns the rows, columns parted by `|`.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql_of_superuser(sql).succeeded().stdout().trim_end().to_owned()
    }

    /// The same, for SQL that may fail.
    #[track_caller]
    pub(crate) fn try_sql_of_superuser(&self, sql: &str) -> Ran {
        let conninfo = format!(
            "host='{}' port={} user={ADMIN} dbname=postgres",
            self.socket_dir().display(),
            self.port()
        );
        Psql::to(conninfo).by(&self.cluster.account()).run(sql)
    }

    /// A connection string for one of its names, with its own CA and no password.
    pub(crate) fn uri(&self, user: &str, dbname: &str) -> String {
        let ca = self.at("client/ca.crt");
        format!("postgresql://{user}@localhost:{}/{dbname}?sslrootcert={}", self.port(), ca.display())
    }

    /// The server's log.
    #[track_caller]
    pub(crate) fn log_text(&self) -> String {
        let log = fs::read(self.at("log/postgresql.log")).expect("the log can be read");
        String::from_utf8_lossy(&log).into_owned()
    }
}

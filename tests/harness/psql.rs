//! psql, as a user would run it: the second opinion on every connection. Knows psql's options, not servers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::Account;
use super::install::Install;
use super::process::{Ran, Running, run};

/// A psql to be run with one connection string, in a clean environment.
#[must_use]
pub(crate) struct Psql {
    program: PathBuf,
    account: Account,
    home: PathBuf,
    conninfo: OsString,
    env: Vec<(String, OsString)>,
}

impl Psql {
    /// `conninfo` is a URI, a keyword string, or `service=…`.
    pub(crate) fn to(conninfo: impl Into<OsString>) -> Self {
        Self {
            program: PathBuf::from("psql"),
            account: Account::current(),
            // No home: a root.crt or pgpass lying there would change what psql does.
            home: PathBuf::from("/nonexistent"),
            conninfo: conninfo.into(),
            env: vec![("PGCONNECT_TIMEOUT".to_owned(), "10".into())],
        }
    }

    /// The psql of that PostgreSQL in place of the system's.
    pub(crate) fn of(mut self, install: &Install) -> Self {
        self.program = install.psql();
        self
    }

    /// Run by another user.
    pub(crate) fn by(mut self, account: &Account) -> Self {
        self.account = account.clone();
        self
    }

    pub(crate) fn home(mut self, home: &Path) -> Self {
        home.clone_into(&mut self.home);
        self
    }

    /// Such as `PGPASSFILE`, `PGSERVICEFILE`, `PGPASSWORD`.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Runs the statements; stdout is the rows alone, columns parted by `|`. The first error ends it with status 3,
    /// a failed connection with 2.
    #[track_caller]
    pub(crate) fn run(self, sql: &str) -> Ran {
        run(self.command(), sql.as_bytes(), Duration::from_secs(30))
    }

    /// The same, for statements that take their time.
    #[track_caller]
    pub(crate) fn start(self, sql: &str) -> Running {
        Running::start(self.command(), sql.as_bytes())
    }

    fn command(self) -> Command {
        let mut command = self.account.command(&self.program, &self.home);
        command
            .current_dir("/")
            .envs(self.env)
            .args(["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .arg(&self.conninfo);
        command
    }
}

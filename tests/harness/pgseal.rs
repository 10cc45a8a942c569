//! The built binary, run as a user would run it: a clean environment, a fresh home, an end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::install::Install;
use super::process::{Ran, Running, run};
use super::sandbox::Sandbox;
use super::shelf::reachable_by_all;

/// How long one run may take, unless a scenario says otherwise. Builds of tests are slow, and machines busy.
const LIMIT: Duration = Duration::from_secs(60);

/// A run of pgseal that is being put together.
#[must_use]
pub(crate) struct Pgseal<'s> {
    sandbox: &'s Sandbox,
    binary: &'static Path,
    account: Account,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    dir: Option<PathBuf>,
    script: Option<String>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl<'s> Pgseal<'s> {
    /// pgseal in a directory of its user's own, `work-UID` in the sandbox, with an empty home beside it.
    pub(crate) fn new(sandbox: &'s Sandbox) -> Self {
        Self {
            sandbox,
            binary: Path::new(env!("CARGO_BIN_EXE_pgseal")),
            account: Account::current(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            script: None,
            stdin: Vec::new(),
            limit: LIMIT,
        }
    }

    /// Another program in the place of pgseal.
    pub(super) fn binary(mut self, binary: &'static str) -> Self {
        self.binary = Path::new(binary);
        self
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// `--bindir` of that PostgreSQL.
    pub(crate) fn bindir(self, install: &Install) -> Self {
        self.arg("--bindir").arg(install.bin())
    }

    /// Run by another user, in that user's directory and home.
    pub(crate) fn by(mut self, account: &Account) -> Self {
        self.account = account.clone();
        self
    }

    /// One variable more in an environment that holds `PATH`, `HOME` and `LANG` alone, and root's state folder.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Another working directory.
    pub(crate) fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Run by `sh -c SCRIPT`, in which `"$@"` is pgseal with its arguments: for umasks, open files and limits.
    pub(crate) fn through(mut self, script: impl Into<String>) -> Self {
        self.script = Some(script.into());
        self
    }

    pub(crate) fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = input.into();
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The working directory: where a relative DIR lies.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.dir
            .clone()
            .unwrap_or_else(|| self.sandbox.dir_of(&self.account, &format!("work-{}", self.account.uid())))
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Ran {
        let limit = self.limit;
        let (command, stdin) = self.command();
        run(command, &stdin, limit)
    }

    /// Starts it, to be signalled and waited for.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        let (command, stdin) = self.command();
        Running::start(command, &stdin)
    }

    fn command(self) -> (std::process::Command, Vec<u8>) {
        let binary = if self.account == Account::current() {
            self.binary.to_owned()
        } else {
            reachable_by_all(self.binary)
        };
        let dir = self.work_dir();
        let home = self.sandbox.home_of(&self.account);
        let mut command = match self.script {
            None => self.account.command(binary, &home),
            Some(script) => {
                let mut shell = self.account.command("sh", &home);
                shell.arg("-c").arg(script).arg("sh").arg(binary);
                shell
            }
        };
        if self.account.is_root() {
            // Root's own is the machine's, for all sandboxes.
            command.env("PGSEAL_STATE_DIR", home.join("journal"));
        }
        command.current_dir(dir).args(self.args).envs(self.env);
        (command, self.stdin)
    }
}

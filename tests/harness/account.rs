//! Who runs a program: ourselves, the server's user, an ordinary user. Knows users, not programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User, getegid, geteuid};

/// `PATH` of every program that a scenario starts: root's own directories, and nothing of the developer's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A user that programs can run as. Anyone but ourselves only when the tests run as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The user that the tests run as.
    pub(crate) fn current() -> Self {
        Self { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    /// The user that servers run as: `postgres` when we are root (no server runs as root), ourselves otherwise.
    pub(crate) fn server() -> Self {
        let we = Self::current();
        if we.is_root() { Self::named("postgres") } else { we }
    }

    /// An ordinary user: `nobody` when we are root, ourselves otherwise.
    ///
    /// A scenario that holds for `current` and for `ordinary` holds as root and without.
    pub(crate) fn ordinary() -> Self {
        let we = Self::current();
        if we.is_root() { Self::named("nobody") } else { we }
    }

    /// Whom a promise is to hold for: ourselves and an ordinary user, once where we are one.
    pub(crate) fn both() -> Vec<Self> {
        let mut both = vec![Self::current(), Self::ordinary()];
        both.dedup();
        both
    }

    /// Who may change a server's files: ourselves and the user that servers run as, once where we are that one.
    pub(crate) fn current_and_server() -> Vec<Self> {
        let mut both = vec![Self::current(), Self::server()];
        both.dedup();
        both
    }

    /// A user of the system, by name.
    pub(crate) fn named(name: &str) -> Self {
        let user = User::from_name(name)
            .unwrap_or_else(|e| panic!("could not look up user {name}: {e}"))
            .unwrap_or_else(|| {
                panic!("there is no user {name} here: run `make test` once, it installs PostgreSQL 15")
            });
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }

    /// Any uid, also one without a name (no PostgreSQL runs as such a one).
    pub(crate) fn numbered(uid: u32) -> Self {
        Self { uid, gid: uid }
    }

    /// Who is no root and may use a file of that group: an ordinary user in it, or ourselves where we are no root.
    pub(crate) fn in_group_of(path: &Path) -> Self {
        let we = Self::current();
        if we.is_root() { Self { gid: Self::owner_of(path).gid, ..Self::ordinary() } } else { we }
    }

    /// The owner of a file or directory.
    pub(crate) fn owner_of(path: &Path) -> Self {
        let meta = fs::symlink_metadata(path)
            .unwrap_or_else(|e| panic!("could not look at the owner of {}: {e}", path.display()));
        Self { uid: meta.uid(), gid: meta.gid() }
    }

    /// The home that the system's user database names, whatever `HOME` says.
    pub(crate) fn home(&self) -> PathBuf {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        user.unwrap_or_else(|| panic!("there is no user with uid {} here", self.uid)).dir
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The name of the account, or its number where it has no name.
    pub(crate) fn name(&self) -> String {
        User::from_uid(Uid::from_raw(self.uid))
            .ok()
            .flatten()
            .map_or_else(|| self.uid.to_string(), |user| user.name)
    }

    /// A command that runs as this account, without supplementary groups, in a clean environment with its own `HOME`.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, home: &Path) -> Command {
        let mut command = default_signals(program.as_ref());
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").env("HOME", home);
        if *self != Self::current() {
            assert!(
                Self::current().is_root(),
                "only root can run a program as uid {}: run this scenario as root",
                self.uid
            );
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a path to this account.
    pub(crate) fn own(&self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid))
            .unwrap_or_else(|e| panic!("could not give {} to uid {}: {e}", path.display(), self.uid));
    }
}

/// A command on which Ctrl-C has its effect, also when we were started with it ignored, as shells start what they put
/// into the background: an ignored signal stays ignored in all children.
fn default_signals(program: &OsStr) -> Command {
    let ignored = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::to_owned))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // proc(5): signal n is bit n - 1; SIGINT is 2, SIGQUIT 3.
    if ignored.is_some_and(|mask| mask & 0b110 != 0) {
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,QUIT").arg(program);
        command
    } else {
        Command::new(program)
    }
}

//! A place for one scenario: any user can reach it, and nothing of it is left afterwards.
//! Knows directories and what still runs in them, not what a scenario does there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use tempfile::TempDir;

use super::account::Account;
use super::stray;

/// Short, since a socket's path ends at 107 bytes.
const PREFIX: &str = "pgseal-test.";
/// The file whose lock says that a sandbox is in use.
const ALIVE: &str = ".alive";
/// A sandbox younger than this may not have its lock yet.
const NEWBORN: Duration = Duration::from_secs(10);

/// A directory under `/tmp`, mode 0755. When it is dropped, all that runs in it is stopped and it is removed.
pub(crate) struct Sandbox {
    dir: TempDir,
    _alive: File,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap_or_else(|e| panic!("could not make a directory in /tmp: {e}"));
        let alive = File::create(dir.path().join(ALIVE))
            .and_then(|file| file.lock().map(|()| file))
            .unwrap_or_else(|e| panic!("could not lock {}: {e}", dir.path().display()));
        Self { dir, _alive: alive }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it; nothing is made.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory in it, made when absent, mode 0755, that belongs to `account`.
    pub(crate) fn dir_of(&self, account: &Account, name: &str) -> PathBuf {
        self.made(account, name, 0o755)
    }

    /// The fresh home of an account, made when absent, mode 0700.
    pub(crate) fn home_of(&self, account: &Account) -> PathBuf {
        self.made(account, &format!("home-{}", account.uid()), 0o700)
    }

    /// Writes a file that belongs to `account`, with that mode.
    pub(crate) fn file_of(&self, account: &Account, name: &str, mode: u32, content: &str) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
            .unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
        account.own(&path);
        path
    }

    /// The pids of all that runs in it: servers, and whatever else has its working directory here.
    pub(crate) fn living(&self) -> Vec<u32> {
        stray::living_under(self.path())
    }

    fn made(&self, account: &Account, name: &str, mode: u32) -> PathBuf {
        let path = self.join(name);
        if !path.exists() {
            DirBuilder::new()
                .mode(mode)
                .create(&path)
                .unwrap_or_else(|e| panic!("could not make {}: {e}", path.display()));
            account.own(&path);
        }
        path
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        stray::stop_under(self.dir.path());
    }
}

/// Clears away the sandboxes of test runs that were killed.
fn sweep() {
    let we = Account::current();
    for entry in fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let named_so = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let Ok(meta) = fs::symlink_metadata(entry.path()) else {
            continue;
        };
        let newborn =
            meta.modified().ok().and_then(|when| when.elapsed().ok()).is_none_or(|age| age < NEWBORN);
        if !named_so || !meta.is_dir() || meta.uid() != we.uid() || newborn {
            continue;
        }
        // No lock file: a removal that was cut short. A lock that is held: in use.
        let in_use = File::open(entry.path().join(ALIVE)).is_ok_and(|file| file.try_lock().is_err());
        if !in_use {
            stray::stop_under(&entry.path());
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

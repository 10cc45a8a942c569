//! What is kept between runs in `/tmp`, because any user can reach it there: mirrored programs, locks of ports.
//! Knows places and owners, not what lies in them.

use std::fs::{self, DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::Account;
use super::process::run;

/// The group and other write bits.
const OTHERS_WRITE: u32 = 0o022;
/// Who may rename in a directory with this bit is only an entry's owner, as in `/tmp`.
const STICKY: u32 = 0o1000;

/// A directory on the shelf, made when absent. The shelf is ours alone to write.
pub(crate) fn shelf(name: &str) -> PathBuf {
    let we = Account::current();
    let base = PathBuf::from(format!("/tmp/pgseal-tests.{}", we.uid()));
    for dir in [base.clone(), base.join(name)] {
        match DirBuilder::new().mode(0o755).create(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                panic!("could not make {}: {e}", dir.display())
            }
            _ => {}
        }
        let meta =
            fs::symlink_metadata(&dir).unwrap_or_else(|e| panic!("could not look at {}: {e}", dir.display()));
        assert!(
            meta.is_dir() && meta.uid() == we.uid() && meta.mode() & OTHERS_WRITE == 0,
            "{} is not a directory that only uid {} may write: remove it",
            dir.display(),
            we.uid()
        );
    }
    base.join(name)
}

/// Holds the lock of that name until dropped. Waits for it.
pub(crate) fn lock(path: &Path) -> File {
    File::create(path)
        .and_then(|file| file.lock().map(|()| file))
        .unwrap_or_else(|e| panic!("could not lock {}: {e}", path.display()))
}

/// A copy of `original` (a file or a tree) that any user can run and only we can write: the original itself where it
/// already is so.
pub(crate) fn reachable_by_all(original: &Path) -> PathBuf {
    if is_reachable_by_all(original) {
        return original.to_owned();
    }
    let meta =
        fs::metadata(original).unwrap_or_else(|e| panic!("could not look at {}: {e}", original.display()));
    let mirrors = shelf("mirror");
    let name = original
        .file_name()
        .unwrap_or_else(|| panic!("{} has no name to mirror it by", original.display()))
        .to_string_lossy();
    let mirror = mirrors.join(format!("{name}-{:016x}", hash(original)));
    let stamp = mirror.with_extension("from");
    let present = format!("{:016x}", identity(&meta));
    let _held = lock(&mirror.with_extension("lock"));
    if !mirror.exists() || fs::read_to_string(&stamp).ok() != Some(present.clone()) {
        let half = mirror.with_extension("half");
        copy_tree(original, &half);
        let mut chown = Command::new("chown");
        chown.arg("-Rh").arg(Account::current().uid().to_string()).arg(&half);
        run(chown, b"", Duration::from_secs(60)).succeeded();
        clear(&mirror);
        fs::rename(&half, &mirror)
            .and_then(|()| fs::write(&stamp, present))
            .unwrap_or_else(|e| panic!("could not name {}: {e}", mirror.display()));
    }
    mirror
}

/// Copies a tree with owners, modes and links as they are. What is at `to` is replaced.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    clear(to);
    let mut cp = Command::new("cp");
    cp.arg("-RPp").arg(from).arg(to);
    run(cp, b"", Duration::from_secs(60)).succeeded();
}

/// Removes what is at a path, if anything.
fn clear(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
    .unwrap_or_else(|e| panic!("could not clear {}: {e}", path.display()));
}

/// Every directory on the way can be passed by all, and nobody but root or us could put something else in its place.
fn is_reachable_by_all(path: &Path) -> bool {
    let we = Account::current();
    path.ancestors().all(|step| {
        fs::symlink_metadata(step).is_ok_and(|meta| {
            let whose = meta.uid() == 0 || meta.uid() == we.uid();
            let shut = meta.mode() & OTHERS_WRITE == 0 || meta.mode() & STICKY != 0;
            !meta.is_symlink() && whose && shut && meta.mode() & 0o001 != 0
        })
    })
}

/// Changes when the original does.
fn identity(meta: &Metadata) -> u64 {
    hash((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

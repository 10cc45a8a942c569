//! What root may run, and where root may write: only where no other user could have put it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::user::{SystemUser, running_as_root};
use crate::failure::{Failure, Result};

/// The program behind `path`, links resolved. As root it is refused unless root owns it and every
/// folder above it and nobody else may write them; anyone else may run what they like.
pub(crate) fn program(path: &Path) -> Result<PathBuf> {
    let real = fs::canonicalize(path).map_err(|error| Failure::io("find the program", path, &error))?;
    if running_as_root()
        && let Some(reason) = writable_by_others(&real)
    {
        return Err(Failure::new(format!("refused to run {} as root: {reason}", path.display()))
            .hint("let root own it and its folders, or run pgseal as an ordinary user"));
    }
    Ok(real)
}

/// Refuses a place for root's own folder when another user could swap it from under root.
pub(crate) fn parent_for_root(path: &Path) -> Result<()> {
    for_root(path, writable_by_others(path))
}

/// Refuses a folder that another user could swap, or put a file of theirs into.
pub(crate) fn folder_for_root(path: &Path) -> Result<()> {
    for_root(path, open_to_others(path).or_else(|| writable_by_others(path)))
}

/// Refuses a file that another user could have written; one that is not there is let pass.
pub(crate) fn file_for_root(path: &Path) -> Result<()> {
    for_root(path, open_to_others(path).filter(|_| path.symlink_metadata().is_ok()))
}

fn for_root(path: &Path, reason: Option<String>) -> Result<()> {
    match reason.filter(|_| running_as_root()) {
        None => Ok(()),
        Some(reason) => Err(Failure::new(format!("refused to use {} as root: {reason}", path.display()))
            .hint("a folder that only root may write, as may its parents, or run pgseal as the user who owns it")),
    }
}

/// Why somebody else than root could change what lies at the absolute path, if so. A folder with
/// the sticky bit (as /tmp) counts as safe for what root has in it: others cannot rename that.
fn writable_by_others(path: &Path) -> Option<String> {
    path.ancestors().find_map(|part| {
        let sticky = fs::symlink_metadata(part)
            .is_ok_and(|found| found.uid() == 0 && found.is_dir() && found.mode() & 0o1000 != 0);
        open_to_others(part).filter(|_| !sticky)
    })
}

/// Why somebody else than root could write to this very file or folder, if so.
fn open_to_others(part: &Path) -> Option<String> {
    let found = match fs::symlink_metadata(part) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", part.display())),
    };
    if found.uid() != 0 {
        Some(format!("{} belongs to {}", part.display(), SystemUser::name_of(found.uid())))
    } else if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o7777;
        Some(format!("{} may be written by others than root (mode {mode:04o})", part.display()))
    } else {
        None
    }
}

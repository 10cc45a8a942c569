//! Where pgseal keeps what it knows: one private folder of the person who runs it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::privilege::files::{self, Kind};
use crate::privilege::trusted;
use crate::privilege::user::{effective_uid, running_as_root};

/// The file with the ledger of a server's clients, in a folder that is made where there is none.
pub(crate) fn ledger_file(server: &str) -> Result<PathBuf> {
    Ok(private_folder("ledgers")?.join(format!("{server}.json")))
}

/// The same, where it may be; nothing is made.
pub(crate) fn find_ledger_file(server: &str) -> Result<Option<PathBuf>> {
    Ok(find_private_folder("ledgers")?.map(|folder| folder.join(format!("{server}.json"))))
}

/// A folder of ours, made where it is not there yet.
pub(crate) fn private_folder(name: &str) -> Result<PathBuf> {
    let root = state_folder()?;
    make_all(&root)?;
    let folder = root.join(name);
    make(&folder)?;
    Ok(folder)
}

/// The same, where there is one.
pub(crate) fn find_private_folder(name: &str) -> Result<Option<PathBuf>> {
    let Some(root) = state_folder_if_any()? else { return Ok(None) };
    let folder = root.join(name);
    match files::status(&folder).map_err(|error| Failure::io("look at", &folder, &error))? {
        None => Ok(None),
        Some(found) => private(&folder, found).map(|()| Some(folder)),
    }
}

/// `/var/lib/pgseal` for root, the XDG state directory for anybody else; `PGSEAL_STATE_DIR` before both.
pub(super) fn state_folder() -> Result<PathBuf> {
    state_folder_if_any()?.ok_or_else(|| {
        Failure::new("there is no place for the journal: neither XDG_STATE_HOME nor HOME is set")
            .hint("PGSEAL_STATE_DIR=/an/absolute/path")
    })
}

/// The same; `None` where the environment names no place, and nothing can have been kept.
pub(super) fn state_folder_if_any() -> Result<Option<PathBuf>> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("PGSEAL_STATE_DIR") {
        if !folder.is_absolute() {
            return Err(Failure::usage("PGSEAL_STATE_DIR is no absolute path"));
        }
        if let Some(parent) = folder.parent() {
            trusted::parent_for_root(parent)?;
        }
        return Ok(Some(folder));
    }
    if running_as_root() {
        return Ok(Some(PathBuf::from("/var/lib/pgseal")));
    }
    let home = || set("HOME").map(|home| home.join(".local/state"));
    let base = set("XDG_STATE_HOME").filter(|path| path.is_absolute()).or_else(home);
    Ok(base.map(|base| base.join("pgseal")))
}

/// A private folder and all above it.
pub(super) fn make_all(root: &Path) -> Result<()> {
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent).map_err(|error| Failure::io("make the folder", parent, &error))?;
    }
    make(root)
}

/// A private folder.
pub(super) fn make(folder: &Path) -> Result<()> {
    match files::status(folder).map_err(|error| Failure::io("look at", folder, &error))? {
        Some(found) => private(folder, found),
        None => {
            files::make_folder(folder, 0o700).map_err(|error| Failure::io("make the folder", folder, &error))
        }
    }
}

/// What lies there can undo and redo: nobody else may have written it.
pub(super) fn private(folder: &Path, found: files::Status) -> Result<()> {
    if found.kind == Kind::Directory && found.uid == effective_uid() && found.mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("{} is no private folder of yours", folder.display()))
        .because(format!("it belongs to uid {} and has mode {:04o}", found.uid, found.mode))
        .hint(format!(
            "look at what is in it, then chown it to yourself and chmod 0700 {}",
            folder.display()
        )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let found = files::status(folder.path()).unwrap().unwrap();
        let found = files::Status { mode: 0o700, ..found };
        assert!(private(folder.path(), found).is_ok());
        assert!(private(folder.path(), files::Status { mode: 0o750, ..found }).is_err());
        assert!(private(folder.path(), files::Status { uid: found.uid + 1, ..found }).is_err());
    }
}

//! One file exchanged for another by one rename, owner and mode kept.

use std::fs;
use std::path::{Path, PathBuf};

use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::privilege::files::{self, Kind};
use crate::privilege::trusted;
use crate::privilege::user::{SystemUser, effective_uid, running_as_root};

/// Puts `new` in the place of a file that still holds `old`. As root, a file of another user is
/// written in that user's name.
pub(crate) async fn rewrite(path: &Path, old: &[u8], new: &[u8]) -> Result<()> {
    let real = fs::canonicalize(path).map_err(|error| Failure::io("find", path, &error))?;
    let found = files::status(&real).map_err(|error| Failure::io("look at", &real, &error))?;
    let found = found.filter(|found| found.kind == Kind::File);
    let found = found.ok_or_else(|| Failure::new(format!("{} is no regular file", real.display())))?;
    if running_as_root() && (found.uid != 0 || trusted::folder_for_root(folder_of(&real)).is_err()) {
        return in_the_owners_name(&real, found.uid, found.mode, old, new).await;
    }
    if found.uid != effective_uid() {
        let owner = SystemUser::name_of(found.uid);
        return Err(Failure::new(format!(
            "{} belongs to {owner}, and would belong to you afterwards",
            real.display()
        ))
        .hint(format!("run pgseal as {owner} or as root")));
    }
    let now = files::read(&real, super::disk::LIMIT).map_err(|error| Failure::io("read", &real, &error))?;
    unchanged(&real, &now, old)?;
    files::replace(&real, found.mode, new).map_err(|error| Failure::io("replace", &real, &error))
}

async fn in_the_owners_name(path: &Path, uid: u32, mode: u32, old: &[u8], new: &[u8]) -> Result<()> {
    if uid == 0 {
        return Err(Failure::new(format!(
            "{} is root's, in a folder that another user may write",
            path.display()
        ))
        .hint("let root own the folder too, or give the file to the server's user"));
    }
    let owner = SystemUser::with_uid(uid)?;
    let mut delegate = Delegate::start(&owner).await?;
    let now = delegate.read(path, super::disk::LIMIT).await?;
    unchanged(path, &now, old)?;
    delegate.replace(path, mode, new).await
}

fn unchanged(path: &Path, now: &[u8], old: &[u8]) -> Result<()> {
    if now == old {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} was changed while pgseal worked on it; nothing was written",
        path.display()
    ))
    .hint("again, from what it holds now"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// The file that a word names, for writing.
pub(crate) fn as_file(word: &str) -> Result<PathBuf> {
    let path = PathBuf::from(word.strip_prefix("file:").unwrap_or(word));
    if word == "-" || !path.is_file() {
        return Err(Failure::usage(format!("--in-place needs a file, and {word} is none"))
            .hint("the path of a pg_hba.conf"));
    }
    Ok(path)
}

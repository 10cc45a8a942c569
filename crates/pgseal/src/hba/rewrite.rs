//! One file exchanged for another by one rename, owner and mode kept.

use std::path::{Path, PathBuf};

use super::disk::{LIMIT, anybodys};
use super::doors::LIMIT as LIMIT_OF_OTHERS;
use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::privilege::files::{self, Kind, Status};
use crate::privilege::user::{SystemUser, effective_uid, running_as_root};
use crate::privilege::whose::{Led, Whose, follow};

/// Puts `new` in the place of a file that still holds `old`, owner, group and mode kept. As root, a
/// file that another user could have put there is written in that user's name.
pub(crate) async fn rewrite(path: &Path, old: &[u8], new: &[u8]) -> Result<()> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))?;
    let Led { path: real, whose, .. } =
        follow(&absolute).map_err(|error| Failure::io("find", path, &error))?;
    let found = files::status(&real).map_err(|error| Failure::io("look at", &real, &error))?;
    let found = found.filter(|found| found.kind == Kind::File);
    let found = found.ok_or_else(|| Failure::new(format!("{} is no regular file", real.display())))?;
    match whose {
        Whose::Users(uid) if running_as_root() => return in_a_users_name(&real, uid, &found, old, new).await,
        Whose::Anybodys(why) if running_as_root() => return Err(anybodys(&absolute, &why)),
        _ => {}
    }
    if found.uid != effective_uid() {
        let owner = SystemUser::name_of(found.uid);
        return Err(Failure::new(format!(
            "{} belongs to {owner}, and would belong to you afterwards",
            real.display()
        ))
        .hint(format!("run pgseal as {owner} or as root")));
    }
    let now = files::read(&real, LIMIT).map_err(|error| Failure::io("read", &real, &error))?;
    unchanged(&real, &now, old)?;
    files::replace(&real, found.mode, new).map_err(|error| Failure::io("replace", &real, &error))
}

async fn in_a_users_name(path: &Path, uid: u32, found: &Status, old: &[u8], new: &[u8]) -> Result<()> {
    if found.uid != uid {
        let (owner, other) = (SystemUser::name_of(found.uid), SystemUser::name_of(uid));
        return Err(Failure::new(format!("{} belongs to {owner}, in a place of {other}'s", path.display()))
            .hint(format!("let {owner} own the folder too, or give the file to {other}")));
    }
    let mut delegate = Delegate::start(&SystemUser::with_uid(uid)?).await?;
    let now = delegate.read(path, LIMIT_OF_OTHERS).await?;
    unchanged(path, &now, old)?;
    delegate.replace(path, found.mode, new).await
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

/// The file that a word names, for writing.
pub(crate) fn as_file(word: &str) -> Result<PathBuf> {
    let path = PathBuf::from(word.strip_prefix("file:").unwrap_or(word));
    if word == "-" || !path.is_file() {
        return Err(Failure::usage(format!("--in-place needs a file, and {word} is none"))
            .hint("the path of a pg_hba.conf"));
    }
    Ok(path)
}

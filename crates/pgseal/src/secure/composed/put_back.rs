//! The part of a change that lies in a compose project, taken back: the file as it was, the container made from it
//! again, running or not as before.

use std::path::Path;

use zeroize::Zeroizing;

use crate::compose::client::Compose;
use crate::compose::daemon;
use crate::compose::file::ComposeFile;
use crate::compose::reading::Reading;
use crate::failure::{Failure, Result};
use crate::journal::{Change, ComposeBefore, ComposeChange, Taken, digest};
use crate::place::Place;
use crate::privilege::{files, trusted};
use crate::target::Target;

/// A compose file is some kB.
const LIMIT: u64 = 4 << 20;

/// Whether the file is neither as the change left it nor as it was before.
pub(in super::super) fn project_changed_by_others(change: &Change) -> Result<bool> {
    let Some(ComposeChange { edited: Some(edited), .. }) = &change.compose else { return Ok(false) };
    let now = now(edited.path.as_path())?;
    let is = |digest: &Option<String>| now == *digest;
    Ok(!is(&Some(edited.after.clone())) && !is(&edited.before.as_ref().map(|before| before.digest.clone())))
}

/// Whether the file is as the change left it.
pub(in super::super) fn project_is_edited(change: &Change) -> Result<bool> {
    let Some(ComposeChange { edited: Some(edited), .. }) = &change.compose else { return Ok(false) };
    Ok(now(&edited.path)? == Some(edited.after.clone()))
}

fn now(path: &Path) -> Result<Option<String>> {
    if files::status(path).map_err(|error| Failure::io("look at", path, &error))?.is_none() {
        return Ok(None);
    }
    let bytes = files::read(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
    Ok(Some(digest(&bytes)))
}

/// The file of before: what is there now, with what was taken out of it in its place again.
async fn as_it_was(place: &mut Place, path: &Path, before: &ComposeBefore) -> Result<Zeroizing<Vec<u8>>> {
    let now = files::read(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
    let was = match &before.kept {
        Some(kept) => Some(place.hands.read(kept, LIMIT).await?),
        None => with_taken(&now, &before.taken),
    };
    was.filter(|was| digest(was) == before.digest).ok_or_else(|| {
        Failure::new(format!("what the journal holds does not make {} what it was before", path.display()))
            .because("it was not written over")
            .hint(format!("put what the change took out back by hand: pgseal history {}", path.display()))
    })
}

fn with_taken(now: &[u8], taken: &[Taken]) -> Option<Zeroizing<Vec<u8>>> {
    let mut was =
        Zeroizing::new(Vec::with_capacity(now.len() + taken.iter().map(|one| one.text.len()).sum::<usize>()));
    let mut rest = now;
    for one in taken {
        let (kept, behind) = rest.split_at_checked(one.at.checked_sub(was.len())?)?;
        was.extend_from_slice(kept);
        was.extend_from_slice(one.text.as_bytes());
        rest = behind.get(one.put..)?;
    }
    was.extend_from_slice(rest);
    Some(was)
}

/// The project's file as it was. It goes before the server's files: what its command says then holds over what they say,
/// so that the container starts at each step in between.
pub(in super::super) async fn put_file_back(place: &mut Place, change: &Change) -> Result<()> {
    let Some(ComposeChange { edited: Some(edited), .. }) = &change.compose else { return Ok(()) };
    let path = &edited.path;
    trusted::file_for_root(path)?;
    if now(path)? != Some(edited.after.clone()) {
        return Ok(());
    }
    match &edited.before {
        Some(before) => {
            let bytes = as_it_was(place, path, before).await?;
            files::replace(path, before.mode, &bytes).map_err(|error| Failure::io("replace", path, &error))
        }
        None => files::remove(path).map_err(|error| Failure::io("remove", path, &error)),
    }
}

/// The container made from the project again, running or not as before. The place is another one afterwards: that of the
/// container that is there then.
pub(in super::super) async fn put_container_back(place: &mut Place, change: &Change) -> Result<()> {
    let Some(compose) = &change.compose else { return Ok(()) };
    let docker = daemon::answering().await?;
    let client = Compose::find(&docker).await?;
    let file = ComposeFile::read(&compose.file)?;
    let reading = Reading::of(&client, &file, Some(&compose.service)).await?;
    let (folder, words) = (file.folder(), reading.words.as_slice());
    if compose.was_running {
        super::start::up(&client, folder, words, &compose.service).await?;
        *place = super::start::ready(&place.word, &compose.file, &compose.service).await?;
    } else {
        super::start::make(&client, folder, words, &compose.service).await?;
        *place = Target::place(&place.word).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_out_stands_where_it_stood() {
        let taken = |all: &[(usize, &str)]| -> Vec<Taken> {
            all.iter().map(|(at, text)| Taken { at: *at, text: (*text).to_owned(), put: 0 }).collect()
        };
        let with = |now: &str, all: &[(usize, &str)]| {
            with_taken(now.as_bytes(), &taken(all)).map(|was| String::from_utf8_lossy(&was).into_owned())
        };
        assert_eq!(with("adf", &[(1, "bc"), (4, "e"), (6, "g")]).as_deref(), Some("abcdefg"));
        let instead =
            [Taken { at: 1, text: "b".to_owned(), put: 2 }, Taken { at: 3, text: String::new(), put: 1 }];
        assert_eq!(with_taken(b"aXXcYd", &instead).unwrap().as_slice(), b"abcd");
        assert_eq!(with("c", &[(0, "ab")]).as_deref(), Some("abc"));
        assert_eq!(with("a", &[]).as_deref(), Some("a"));
        // Of another file, or in no order.
        assert_eq!(with("a", &[(2, "b")]), None);
        assert_eq!(with("abc", &[(2, "b"), (0, "x")]), None);
    }
}

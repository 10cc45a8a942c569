//! The folders on disk: one a server, and in it one a change.

use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::change::{Change, Origin, Phase, Trouble, digest};
use super::state::{make, make_all, private, state_folder, state_folder_if_any};
use crate::failure::{Failure, Result};
use crate::privilege::files;

/// A record with its diffs.
const LIMIT: u64 = 64 << 20;
const RECORD: &str = "change.json";
const PHASE: &str = "phase.json";
const TROUBLE: &str = "trouble.json";

/// The changes of one server.
#[derive(Clone)]
pub(crate) struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// The journal of the server with this system identifier and data directory; `None` when nothing
    /// was ever written about it.
    pub(crate) fn find(identifier: u64, data: &Path) -> Result<Option<Self>> {
        let Some(root) = state_folder_if_any()? else { return Ok(None) };
        let folder = root.join("changes").join(key(identifier, data));
        match files::status(&folder).map_err(|error| Failure::io("look at", &folder, &error))? {
            None => Ok(None),
            Some(found) => {
                private(&folder, found)?;
                Ok(Some(Self { folder }))
            }
        }
    }

    /// The same, made where it is not there yet.
    pub(crate) fn open(identifier: u64, data: &Path) -> Result<Self> {
        let root = state_folder()?;
        make_all(&root)?;
        let folder = root.join("changes").join(key(identifier, data));
        for part in [root.join("changes"), folder.clone()] {
            make(&part)?;
        }
        Ok(Self { folder })
    }

    /// The journals of all servers that anything was ever written about.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let folder = state_folder()?.join("changes");
        match files::status(&folder).map_err(|error| Failure::io("look at", &folder, &error))? {
            None => return Ok(Vec::new()),
            Some(found) => private(&folder, found)?,
        }
        let names = files::names(&folder).map_err(|error| Failure::io("list", &folder, &error))?;
        let servers = names.into_iter().filter(|(_, is_folder)| *is_folder);
        Ok(servers
            .filter_map(|(name, _)| Some(Self { folder: folder.join(String::from_utf8(name).ok()?) }))
            .collect())
    }

    /// The change that installed the certificate which the server has, as far as changes tell.
    pub(crate) fn installed(&self) -> Result<Option<Change>> {
        let mut changes = self.changes()?;
        changes.retain(|(_, phase)| *phase == Phase::Committed);
        Ok(changes.into_iter().rev().map(|(change, _)| change).find(|change| change.certificate.is_some()))
    }

    /// Where it lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every change, oldest first, with how far it came.
    pub(crate) fn changes(&self) -> Result<Vec<(Change, Phase)>> {
        let mut all = Vec::new();
        for folder in self.folders()? {
            if has_begun(&folder)? {
                all.push((read(&folder.join(RECORD))?, read(&folder.join(PHASE))?));
            }
        }
        Ok(all)
    }

    /// The folders of changes, oldest first, also of those that never began.
    fn folders(&self) -> Result<Vec<PathBuf>> {
        let names = files::names(&self.folder).map_err(|error| Failure::io("list", &self.folder, &error))?;
        let mut folders: Vec<PathBuf> = names
            .into_iter()
            .filter_map(|(name, _)| Some(self.folder.join(String::from_utf8(name).ok()?)))
            .collect();
        folders.sort();
        Ok(folders)
    }

    /// How far a change has come.
    pub(crate) fn phase(&self, change: &Change) -> Result<Phase> {
        read(&self.folder_of(change).join(PHASE))
    }

    /// The change that nobody finished, if there is one.
    pub(crate) fn unfinished(&self) -> Result<Option<(Change, Phase)>> {
        Ok(self.changes()?.into_iter().rev().find(|(_, phase)| phase.is_unfinished()))
    }

    /// Where the certificate came from that the last change which stands has installed.
    pub(crate) fn origin(&self) -> Result<Option<Origin>> {
        let mut changes = self.changes()?;
        changes.retain(|(_, phase)| *phase == Phase::Committed);
        Ok(changes.into_iter().rev().find_map(|(change, _)| change.origin))
    }

    /// The last change that stands.
    pub(crate) fn last_committed(&self) -> Result<Option<Change>> {
        let mut changes = self.changes()?;
        changes.retain(|(_, phase)| *phase == Phase::Committed);
        Ok(changes.pop().map(|(change, _)| change))
    }

    /// Writes a change down, with its before-images, as begun. On disk when this returns.
    pub(crate) fn begin(&self, change: &Change, images: &[(String, Zeroizing<Vec<u8>>)]) -> Result<()> {
        self.sweep()?;
        let begun = self.write_whole(change, images);
        if begun.is_err() {
            let _ = fs::remove_dir_all(self.folder_of(change));
        }
        begun
    }

    /// Removes what is left of changes that were cut off before they began. Whoever writes here holds the
    /// server's lock, so none of them is still at it.
    fn sweep(&self) -> Result<()> {
        for folder in self.folders()? {
            if !has_begun(&folder)? {
                fs::remove_dir_all(&folder).map_err(|error| Failure::io("remove", &folder, &error))?;
            }
        }
        Ok(())
    }

    fn write_whole(&self, change: &Change, images: &[(String, Zeroizing<Vec<u8>>)]) -> Result<()> {
        let folder = self.folder_of(change);
        let made = files::make_folder(&folder, 0o700);
        made.map_err(|error| Failure::io("make the folder", &folder, &error))?;
        for (name, bytes) in images {
            let path = folder.join(name);
            files::create(&path, 0o600, bytes).map_err(|error| Failure::io("write", &path, &error))?;
        }
        self.set(change, &Phase::Begun)?;
        // Last: with it the change has begun.
        write(&folder.join(RECORD), change)
    }

    pub(crate) fn set(&self, change: &Change, phase: &Phase) -> Result<()> {
        write(&self.folder_of(change).join(PHASE), phase)
    }

    /// What came in the way of whoever works at the change unseen. The last word stands.
    pub(crate) fn set_trouble(&self, change: &Change, trouble: &Trouble) -> Result<()> {
        write(&self.folder_of(change).join(TROUBLE), trouble)
    }

    /// The same, where there was any.
    pub(crate) fn trouble(&self, change: &Change) -> Result<Option<Trouble>> {
        let path = self.folder_of(change).join(TROUBLE);
        let found = files::status(&path).map_err(|error| Failure::io("look at", &path, &error))?;
        found.map(|_| read(&path)).transpose()
    }

    /// A before-image.
    pub(crate) fn image(&self, change: &Change, name: &str) -> Result<Zeroizing<Vec<u8>>> {
        let path = self.folder_of(change).join(name);
        files::read(&path, LIMIT).map_err(|error| Failure::io("read", &path, &error))
    }

    pub(crate) fn folder_of(&self, change: &Change) -> PathBuf {
        // By time first, so that names sort.
        let time: String = change.began.chars().filter(char::is_ascii_digit).take(20).collect();
        self.folder.join(format!("{time}-{}", change.id))
    }
}

/// Without its record a change never began: the record is written before the first byte.
fn has_begun(folder: &Path) -> Result<bool> {
    let record = folder.join(RECORD);
    let found = files::status(&record).map_err(|error| Failure::io("look at", &record, &error))?;
    Ok(found.is_some())
}

/// What a server is called in the folders of pgseal.
pub(crate) fn key(identifier: u64, data: &Path) -> String {
    let place = digest(data.as_os_str().as_encoded_bytes());
    format!("{identifier}-{}", place.get(..8).unwrap_or_default())
}

fn read<T: for<'a> serde::Deserialize<'a>>(path: &Path) -> Result<T> {
    let bytes = files::read(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("the journal's {} cannot be read: {error}", path.display())))
}

fn write<T: serde::Serialize>(path: &Path, value: &T) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::new(format!("could not write {}: {error}", path.display())))?;
    files::replace(path, 0o600, &bytes).map_err(|error| Failure::io("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, began: &str) -> Change {
        Change {
            format: 1,
            id: id.to_owned(),
            began: began.to_owned(),
            data: "/d".into(),
            title: "a change".to_owned(),
            files: Vec::new(),
            folders: Vec::new(),
            settings: Vec::new(),
            origin: None,
            records: Vec::new(),
            certificate: None,
            target: None,
            compose: None,
            founded: None,
            view: super::super::View::default(),
            served: None,
            promise: None,
        }
    }

    fn journal(folder: &Path) -> Journal {
        Journal { folder: folder.to_owned() }
    }

    #[test]
    fn changes_come_back_in_the_order_of_their_times() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let (new, old) = (change("0000", "2026-02-01T00:00:00Z"), change("ffff", "2026-01-01T00:00:00Z"));
        for one in [&new, &old] {
            journal.begin(one, &[("before-0".to_owned(), Zeroizing::new(b"x".to_vec()))]).unwrap();
        }
        journal.set(&old, &Phase::Committed).unwrap();
        let all = journal.changes().unwrap();
        assert_eq!(all, [(old.clone(), Phase::Committed), (new.clone(), Phase::Begun)]);
        assert_eq!(journal.unfinished().unwrap(), Some((new.clone(), Phase::Begun)));
        assert_eq!(journal.last_committed().unwrap(), Some(old));
        assert_eq!(journal.image(&new, "before-0").unwrap().as_slice(), b"x");
    }

    #[test]
    fn a_change_without_its_record_never_began() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let one = change("0000", "2026-02-01T00:00:00Z");
        journal.begin(&one, &[]).unwrap();
        fs::remove_file(journal.folder_of(&one).join(RECORD)).unwrap();
        assert_eq!(journal.changes().unwrap(), []);
    }
}

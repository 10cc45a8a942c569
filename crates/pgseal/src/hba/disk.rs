//! Configuration files on this machine's disks: whatever the person who runs pgseal may read, and as root
//! what others could have put there in their name only.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, Files, ListedFile};

use super::snapshot::Door;
use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::privilege::user::SystemUser;
use crate::privilege::whose::{Led, Whose, follow};

/// Far above any pg_hba.conf: 2 million lines are 100 MB.
pub(crate) const LIMIT: u64 = 512 << 20;

/// The disk itself, for what a file of one's own includes.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        let path = as_path(path);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(FileFault::IsDirectory),
            Ok(_) => {}
            Err(error) => return Err(fault(&error)),
        }
        files::read_plain(path, LIMIT).map(|bytes| bytes.to_vec()).map_err(|error| fault(&error))
    }

    fn list(&self, directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        listed(as_path(directory)).map_err(|error| fault(&error))
    }
}

/// The disk for root. What a file includes is its owner's wish, so once a file was another user's, all
/// that follows is read in that user's name.
pub(crate) struct RootsDisk {
    /// Who put the main file there, or what it includes, where that is not root.
    master: Option<Delegate>,
    /// Owners of what root's own file includes.
    owners: BTreeMap<u32, Delegate>,
    /// Several of them: nobody knows any more whose wish it is.
    several: bool,
}

impl RootsDisk {
    /// For a main file that these hands have put there.
    pub(crate) async fn of(path: &Path, whose: &Whose) -> Result<Self> {
        let master = match whose {
            Whose::Roots => None,
            Whose::Users(uid) => Some(Delegate::start(&SystemUser::with_uid(*uid)?).await?),
            Whose::Anybodys(why) => return Err(anybodys(path, why)),
        };
        Ok(Self { master, owners: BTreeMap::new(), several: false })
    }

    /// The user in whose name the path is read; nobody where root reads it.
    async fn reader(&mut self, whose: Whose) -> Result<Option<&mut Delegate>, FileFault> {
        if self.several {
            let why = "as root it is not read, since files of several users are included";
            return Err(FileFault::Other(why.to_owned()));
        }
        if self.master.is_some() {
            return Ok(self.master.as_mut());
        }
        match whose {
            Whose::Roots => Ok(None),
            Whose::Anybodys(why) => {
                Err(FileFault::Other(format!("as root it is not read, since the path {why}")))
            }
            Whose::Users(uid) => Ok(Some(match self.owners.entry(uid) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let started = async { Delegate::start(&SystemUser::with_uid(uid)?).await }.await;
                    place.insert(started.map_err(|why| FileFault::Other(why.sentence().to_owned()))?)
                }
            })),
        }
    }
}

impl Door for RootsDisk {
    async fn read(&mut self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        let Led { path, whose, is_folder } = follow(as_path(path)).map_err(|error| fault(&error))?;
        if is_folder {
            return Err(FileFault::IsDirectory);
        }
        let real = as_bytes(&path);
        match self.reader(whose).await? {
            Some(owner) => Door::read(owner, &real).await,
            None => Disk.read(&real),
        }
    }

    async fn list(&mut self, folder: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        let Led { path, whose, .. } = follow(as_path(folder)).map_err(|error| fault(&error))?;
        let real = as_bytes(&path);
        match self.reader(whose).await? {
            Some(owner) => Door::list(owner, &real).await,
            None => Disk.list(&real),
        }
    }

    fn heard(&mut self) {
        if self.master.is_none() {
            self.several = self.owners.len() > 1;
            self.master = self.owners.pop_first().map(|(_, owner)| owner);
        }
    }
}

/// Why root keeps away from a path that more users than one may write.
pub(crate) fn anybodys(path: &Path, why: &str) -> Failure {
    Failure::new(format!("as root {} is not used, since the path {why}", path.display()))
        .hint("let root own the file and its folders alone, or run pgseal as an ordinary user")
}

pub(crate) fn as_path(path: &ByteString) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

pub(crate) fn as_bytes(path: &Path) -> ByteString {
    path.as_os_str().as_bytes().into()
}

/// The names in a folder, links followed to see which are folders.
fn listed(folder: &Path) -> io::Result<Vec<ListedFile>> {
    let names = files::names(folder)?;
    Ok(names.into_iter().map(|(name, is_directory)| ListedFile { name: name.into(), is_directory }).collect())
}

/// The operating system's word, as PostgreSQL would print it.
pub(crate) fn fault(error: &io::Error) -> FileFault {
    match error.kind() {
        io::ErrorKind::NotFound => FileFault::NotFound,
        io::ErrorKind::IsADirectory => FileFault::IsDirectory,
        io::ErrorKind::NotADirectory => FileFault::NotADirectory,
        io::ErrorKind::PermissionDenied => FileFault::Denied,
        _ => FileFault::Other(error.to_string()),
    }
}

//! Configuration files on this machine's disks, read as the person who runs pgseal.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, Files, ListedFile};

use crate::privilege::files;

/// Far above any pg_hba.conf: 2 million lines are 100 MB.
pub(crate) const LIMIT: u64 = 512 << 20;

/// The disk itself.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        let path = as_path(path);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(FileFault::IsDirectory),
            Ok(_) => {}
            Err(error) => return Err(fault(&error)),
        }
        files::read_named(path, LIMIT).map(|bytes| bytes.to_vec()).map_err(|error| fault(&error))
    }

    fn list(&self, directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        listed(as_path(directory)).map_err(|error| fault(&error))
    }
}

pub(crate) fn as_path(path: &ByteString) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

/// The names in a folder, links followed to see which are folders.
pub(crate) fn listed(folder: &Path) -> io::Result<Vec<ListedFile>> {
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

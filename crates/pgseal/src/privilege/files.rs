//! The few file operations everything else is built from, each safe against links and crashes.
//!
//! Runs with whatever uid the process has: the delegate uses it in the server user's name, root and
//! ordinary users use it on folders that only they may write.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags, access};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::faults;

/// What kind of thing lies at a path; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// Kind, owner and mode of what lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) kind: Kind,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Permission bits, 0..=0o7777.
    pub(crate) mode: u32,
    /// Bytes.
    pub(crate) size: u64,
}

/// Looks at a path without following a link there; `None` when nothing is there.
pub(crate) fn status(path: &Path) -> io::Result<Option<Status>> {
    faults::look("stat", path)?;
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let kind = match found.file_type() {
        kind if kind.is_symlink() => Kind::Link,
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_file() => Kind::File,
        _ => Kind::Other,
    };
    Ok(Some(Status {
        kind,
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o7777,
        size: found.size(),
    }))
}

/// Reads a regular file of at most `limit` bytes; a link is not followed, a larger file is an error.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    faults::look("read", path)?;
    bounded(open_plain(path)?, limit)
}

/// Opens a regular file, never through a link.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Reads what a person named on the command line or in their own settings: links are followed and
/// pipes (`/dev/stdin`, `<(…)`) are read, up to `limit` bytes.
pub(crate) fn read_named(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    faults::look("read", path)?;
    bounded(File::open(path)?, limit)
}

/// Reads a regular file that a person's settings name: links are followed, and anything else than a
/// regular file is an error rather than a wait.
pub(crate) fn read_plain(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    faults::look("read", path)?;
    let file = OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    bounded(file, limit)
}

fn bounded(file: File, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: a vector that grows leaves copies of a secret behind.
    let room = usize::try_from(file.metadata()?.size().min(limit)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Writes a new file that nobody has put there before: `O_EXCL`, born with its mode, on disk when
/// this returns. A write that fails leaves nothing behind.
pub(crate) fn create(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    faults::change("create", path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)?;
    let written = fill(&mut file, path, mode, bytes).and_then(|()| sync_folder_of(path));
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn fill(file: &mut File, path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    for part in faults::parts(bytes) {
        faults::change("write", path)?;
        file.write_all(part)?;
    }
    // The umask may have taken bits away; what is left is never widened beyond `mode`.
    faults::change("chmod", path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    faults::change("sync", path)?;
    file.sync_all()
}

/// What a path leads to, links followed, and what it is; `None` when nothing is there.
pub(crate) fn look(path: &Path) -> io::Result<Option<(PathBuf, Status)>> {
    faults::look("resolve", path)?;
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = status(&real)?;
    Ok(found.map(|found| (real, found)))
}

/// The last `limit` bytes of a regular file, however long it is.
pub(crate) fn read_end(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    faults::look("read", path)?;
    let file = open_plain(path)?;
    let length = file.metadata()?.len();
    part(file, length.saturating_sub(limit), limit)
}

/// At most `limit` bytes of a regular file from `offset` on.
pub(crate) fn read_from(path: &Path, offset: u64, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    faults::look("read", path)?;
    part(open_plain(path)?, offset, limit)
}

fn part(mut file: File, offset: u64, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a whole new file in the place of another by one `rename(2)`, on disk when this returns. Owner and
/// group of what was there are kept; where that is not allowed, nothing is changed.
pub(crate) fn replace(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path)?;
    // A crash may have left one; it is ours by its name, and nobody else may write this folder.
    faults::change("remove", &temporary)?;
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create(&temporary, mode, bytes)?;
    let renamed = keep_owner(path, &temporary, mode)
        .and_then(|()| faults::change("rename", path))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_folder_of(path));
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed
}

/// Gives the new file the owner and group of the old one, if there is a file there.
fn keep_owner(old: &Path, new: &Path, mode: u32) -> io::Result<()> {
    let (Some(old), Some(own)) = (status(old)?, status(new)?) else { return Ok(()) };
    if old.kind != Kind::File || (old.uid, old.gid) == (own.uid, own.gid) {
        return Ok(());
    }
    let changed = |old: u32, own: u32| (old != own).then_some(old);
    faults::change("chown", new)?;
    let file = OpenOptions::new().read(true).custom_flags(flags(OFlags::NOFOLLOW)).open(new)?;
    fchown(&file, changed(old.uid, own.uid), changed(old.gid, own.gid))?;
    // chown(2) clears what set-user-ID bits there may be; the rest of the mode is said again.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Whether files may be put into a folder by this user, on a disk that takes them.
pub(crate) fn may_write(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Removes a file, on disk when this returns.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    faults::change("remove", path)?;
    fs::remove_file(path).and_then(|()| sync_folder_of(path))
}

/// The names in a folder, and which of them are folders (links followed).
pub(crate) fn names(folder: &Path) -> io::Result<Vec<(Vec<u8>, bool)>> {
    faults::look("list", folder)?;
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            let is_folder = fs::metadata(entry.path()).is_ok_and(|found| found.is_dir());
            Ok((entry.file_name().into_vec(), is_folder))
        })
        .collect()
}

/// Removes an empty folder, on disk when this returns.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    faults::change("remove the folder", path)?;
    fs::remove_dir(path).and_then(|()| sync_folder_of(path))
}

/// Makes one folder with this mode, on disk when this returns; one that is there already is an error. One
/// that cannot be made whole is not there afterwards.
pub(crate) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    faults::change("make the folder", path)?;
    fs::DirBuilder::new().mode(mode).create(path)?;
    let made = faults::change("chmod", path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .and_then(|()| sync_folder_of(path));
    if made.is_err() {
        let _ = fs::remove_dir(path);
    }
    made
}

/// Opens a folder itself, never through a link, for locking or changing its owner.
pub(crate) fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY)).open(path)
}

/// The same for a path that was resolved before: a link on the way was put there since, and is not followed.
pub(crate) fn open_resolved_folder(path: &Path) -> io::Result<File> {
    faults::look("open the folder", path)?;
    without_links(path)
}

#[cfg(target_os = "linux")]
fn without_links(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, ResolveFlags, openat2};
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, path, how, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(folder) => Ok(File::from(folder)),
        // Before Linux 5.6, and where a sandbox of the system's does not know it.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => open_folder(path),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn without_links(path: &Path) -> io::Result<File> {
    open_folder(path)
}

/// The name that a file has while it is written.
pub(crate) fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path that names no file"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".pgseal-new");
    Ok(path.with_file_name(hidden))
}

/// What was made, renamed or removed in a folder is on disk when this returns.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    faults::change("sync the folder", folder)?;
    open_folder(folder)?.sync_all()
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync(folder),
        _ => Ok(()),
    }
}

/// The bits of `open(2)` that std leaves to the caller.
fn flags(flags: OFlags) -> i32 {
    // O_* flags are a C int; the highest one is far below the sign bit.
    i32::try_from(flags.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_new_file_has_its_mode_from_birth_and_is_never_written_over() {
        let folder = folder();
        let path = folder.path().join("key");
        create(&path, 0o600, b"one").unwrap();
        assert_eq!(status(&path).unwrap().unwrap().mode, 0o600);
        assert_eq!(create(&path, 0o600, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path, 10).unwrap().as_slice(), b"one");
    }

    #[test]
    fn a_replaced_file_leaves_no_temporary_behind() {
        let folder = folder();
        let path = folder.path().join("conf");
        create(&path, 0o644, b"old").unwrap();
        replace(&path, 0o600, b"new").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_slice(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_are_neither_read_nor_written_through() {
        let folder = folder();
        let target = folder.path().join("target");
        create(&target, 0o600, b"canary").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(read(&link, 10).is_err());
        assert!(create(&link, 0o600, b"x").is_err());
        replace(&link, 0o600, b"x").unwrap();
        assert_eq!(read(&target, 10).unwrap().as_slice(), b"canary");
    }

    #[test]
    fn a_file_above_the_limit_is_an_error_and_not_half_a_file() {
        let folder = folder();
        let path = folder.path().join("big");
        create(&path, 0o600, &[b'x'; 11]).unwrap();
        assert!(read(&path, 10).is_err());
        assert_eq!(read(&path, 11).unwrap().len(), 11);
    }
}

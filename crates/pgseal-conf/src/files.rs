//! The seam to wherever configuration files live: a disk, a container, a test. Knows how PostgreSQL names a file that
//! another one mentions; refuses to open any itself.

use crate::{ByteString, PgVersion};

/// The longest file that is read, in bytes: just under 1 GiB.
pub const MAX_FILE_BYTES: usize = (1 << 30) - 1;

/// Why a file or directory gave nothing. `Display` is the operating system's word for it, as PostgreSQL prints it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// ENOENT.
    #[error("No such file or directory")]
    NotFound,
    /// EISDIR, found when reading: a directory opens like a file.
    #[error("Is a directory")]
    IsDirectory,
    /// ENOTDIR.
    #[error("Not a directory")]
    NotADirectory,
    /// EACCES.
    #[error("Permission denied")]
    Denied,
    /// Anything else, in the words of whoever tried.
    #[error("{0}")]
    Other(String),
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// The name alone.
    pub name: ByteString,
    /// Whether it is a directory, links followed.
    pub is_directory: bool,
}

/// Serves the files that a configuration names. Paths are absolute whenever the first one was.
pub trait Files {
    /// All bytes of a file.
    fn read(&self, path: &ByteString) -> Result<Vec<u8>, FileFault>;
    /// The names in a directory, in any order.
    fn list(&self, directory: &ByteString) -> Result<Vec<ListedFile>, FileFault>;
}

/// No files but the one at hand: everything it mentions is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &ByteString) -> Result<Vec<u8>, FileFault> {
        Err(FileFault::NotFound)
    }

    fn list(&self, _directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        Err(FileFault::NotFound)
    }
}

/// Files held in memory, by path.
impl Files for std::collections::BTreeMap<ByteString, Vec<u8>> {
    fn read(&self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        match self.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None if self.list(path).is_ok() => Err(FileFault::IsDirectory),
            None => Err(FileFault::NotFound),
        }
    }

    fn list(&self, directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        let prefix = [directory.as_bytes(), b"/"].concat();
        let mut listed: Vec<ListedFile> = Vec::new();
        for path in self.keys() {
            let Some(rest) = path.as_bytes().strip_prefix(prefix.as_slice()) else { continue };
            let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
            let entry = ListedFile { name: name.into(), is_directory: name.len() < rest.len() };
            if listed.last() != Some(&entry) {
                listed.push(entry);
            }
        }
        if listed.is_empty() { Err(FileFault::NotFound) } else { Ok(listed) }
    }
}

/// The path that `location`, read in the file `from`, means (`AbsoluteConfigLocation`): itself if absolute, otherwise
/// relative to the directory of `from`.
pub(crate) fn locate(location: &[u8], from: &ByteString, version: PgVersion) -> ByteString {
    if location.starts_with(b"/") {
        return location.into();
    }
    let directory = from.as_bytes().iter().rposition(|byte| *byte == b'/');
    let directory =
        directory.map_or(b"".as_slice(), |slash| from.as_bytes().get(..=slash).unwrap_or_default());
    joined(directory, location, version).into()
}

/// `join_path_components` and `canonicalize_path`.
pub(crate) fn join(directory: &ByteString, name: &ByteString, version: PgVersion) -> ByteString {
    joined(&[directory.as_bytes(), b"/"].concat(), name.as_bytes(), version).into()
}

fn joined(directory: &[u8], mut name: &[u8], version: PgVersion) -> Vec<u8> {
    if version >= PgVersion::V15 {
        return canonical(&[directory, name].concat());
    }
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
    }
    trimmed(&[directory, name].concat())
}

/// The path without empty and `.` steps, and `..` taken by name alone (path.c from 15 on).
fn canonical(path: &[u8]) -> Vec<u8> {
    let absolute = path.starts_with(b"/");
    let mut steps: Vec<&[u8]> = Vec::new();
    for step in path.split(|byte| *byte == b'/') {
        match step {
            b"" | b"." => {}
            b".." if steps.last().is_some_and(|last| *last != b"..") => {
                steps.pop();
            }
            b".." if absolute => {}
            _ => steps.push(step),
        }
    }
    named(absolute, &steps)
}

/// The path without empty steps, and without `.` and `..` at its end, which alone take names with them; the file system
/// follows those in the middle, links and all (path.c before 15).
fn trimmed(path: &[u8]) -> Vec<u8> {
    let absolute = path.starts_with(b"/");
    let mut steps: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|step| !step.is_empty()).collect();
    let mut strips = 0_usize;
    while let Some(last) = steps.last() {
        match *last {
            b"." if steps.len() > 1 || absolute || strips > 0 => {}
            b".." => strips += 1,
            _ if strips > 0 => strips -= 1,
            _ => break,
        }
        steps.pop();
    }
    if !absolute {
        steps.extend(std::iter::repeat_n(b"..".as_slice(), strips));
    }
    named(absolute, &steps)
}

fn named(absolute: bool, steps: &[&[u8]]) -> Vec<u8> {
    let joined = steps.join(b"/".as_slice());
    match (absolute, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// The files of a directory that `include_dir` takes (`GetConfFilesInDir`): names ending in `.conf` that do not start
/// with a dot, in the order of their bytes.
pub(crate) fn conf_files(listed: Vec<ListedFile>) -> Vec<ByteString> {
    let taken = |name: &[u8]| name.len() >= 6 && !name.starts_with(b".") && name.ends_with(b".conf");
    let mut names: Vec<ByteString> = listed
        .into_iter()
        .filter(|entry| !entry.is_directory && taken(entry.name.as_bytes()))
        .map(|entry| entry.name)
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mentioned_file_lies_beside_the_one_that_mentions_it() {
        let from = ByteString::from("/etc/pg/pg_hba.conf");
        for (location, expected) in [
            ("x", "/etc/pg/x"),
            ("/x//y", "/x//y"),
            ("../x", "/etc/x"),
            ("./a//b/", "/etc/pg/a/b"),
            ("../../../x", "/x"),
            ("", "/etc/pg"),
        ] {
            assert_eq!(locate(location.as_bytes(), &from, PgVersion::V15), expected, "{location}");
        }
        assert_eq!(locate(b"x", &"pg_hba.conf".into(), PgVersion::V15), "x");
        assert_eq!(locate(b"", &"pg_hba.conf".into(), PgVersion::V15), ".");
        for (location, expected) in [
            ("./../x", "/etc/pg/../x"),
            ("sub/./x", "/etc/pg/sub/./x"),
            ("sub//x/", "/etc/pg/sub/x"),
            ("sub/x/..", "/etc/pg/sub"),
            ("sub/.", "/etc/pg/sub"),
            ("../..", "/"),
            ("../../..", "/"),
            ("a/./..", "/etc/pg"),
        ] {
            assert_eq!(locate(location.as_bytes(), &from, PgVersion::V14), expected, "{location}");
        }
    }

    #[test]
    fn only_conf_files_are_taken_from_a_directory() {
        let entry = |name: &str, is_directory| ListedFile { name: name.into(), is_directory };
        let listed = vec![
            entry("b.conf", false),
            entry("a.conf", false),
            entry(".conf", false),
            entry(".a.conf", false),
            entry("d.conf", true),
            entry("x.con", false),
            entry("B.conf", false),
        ];
        assert_eq!(conf_files(listed), ["B.conf", "a.conf", "b.conf"].map(ByteString::from));
    }
}

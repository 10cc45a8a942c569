//! All files of a folder as they are at one moment, to be compared with another: content, mode, owner, and whether a file
//! was written anew. Knows nothing of what they are for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// One file, directory or socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pictured {
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    written: (i64, i64),
    content: Option<Vec<u8>>,
}

/// What two files have in common that nobody can tell apart but by when they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    mode: u32,
    owner: (u32, u32),
    content: Option<Vec<u8>>,
}

/// What lies under `root` and is wanted, by its path in it. A directory that is not wanted is not looked into.
pub(crate) fn picture(root: &Path, wanted: impl Fn(&Path) -> bool) -> BTreeMap<PathBuf, Pictured> {
    let mut seen = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("could not read {}: {e}", dir.display())) {
            let path = entry.expect("an entry of a directory can be read").path();
            let inside = path.strip_prefix(root).expect("it lies under its root").to_owned();
            if !wanted(&inside) {
                continue;
            }
            // A file that a running server removes meanwhile was none of ours.
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.is_dir() {
                ahead.push(path.clone());
            }
            let pictured = Pictured {
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                inode: meta.ino(),
                written: (meta.mtime(), meta.mtime_nsec()),
                content: meta.is_file().then(|| fs::read(&path).unwrap_or_default()),
            };
            seen.insert(inside, pictured);
        }
    }
    seen
}

impl Pictured {
    /// The bytes of a file.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Content, mode and owner.
    pub(crate) fn kept(self) -> Kept {
        Kept { mode: self.mode, owner: self.owner, content: self.content }
    }

    /// The permission bits.
    pub(crate) fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

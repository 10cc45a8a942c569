//! The files of a server that lives elsewhere: fetched one by one as they are asked for, through
//! whatever door there is, until nothing more is asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, Files, ListedFile};

/// More files than any real configuration includes.
const MOST_FILES: usize = 1000;
/// More than any real configuration adds up to.
const MOST_BYTES: usize = 128 << 20;

/// A door to a server's files.
pub(crate) trait Door {
    fn read(&mut self, path: &ByteString) -> impl Future<Output = Result<Vec<u8>, FileFault>>;
    fn list(&mut self, folder: &ByteString) -> impl Future<Output = Result<Vec<ListedFile>, FileFault>>;
    /// From now on what is asked for may be what the files that were read name.
    fn heard(&mut self) {}
}

/// What has been fetched, and what was asked for and is not here yet.
#[derive(Default)]
pub(crate) struct Snapshot {
    read: BTreeMap<ByteString, Result<Vec<u8>, FileFault>>,
    listed: BTreeMap<ByteString, Result<Vec<ListedFile>, FileFault>>,
    wanted: RefCell<BTreeSet<(Kind, ByteString)>>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    File,
    Folder,
}

impl Snapshot {
    /// Calls `ask` over and over, fetching what it asks for, until it has everything.
    pub(crate) async fn of<T>(door: &mut impl Door, ask: impl Fn(&dyn Files) -> T) -> (T, Self) {
        let mut snapshot = Self::default();
        loop {
            let answer = ask(&snapshot);
            let wanted = snapshot.wanted.take();
            if wanted.is_empty() {
                return (answer, snapshot);
            }
            for (kind, path) in wanted {
                snapshot.fetch(door, kind, path).await;
            }
            door.heard();
        }
    }

    async fn fetch(&mut self, door: &mut impl Door, kind: Kind, path: ByteString) {
        let full = self.is_full();
        match kind {
            Kind::File => {
                let bytes = if full { Err(too_much()) } else { door.read(&path).await };
                self.bytes += bytes.as_ref().map_or(0, Vec::len);
                self.read.insert(path, bytes);
            }
            Kind::Folder => {
                let names = if full { Err(too_much()) } else { door.list(&path).await };
                self.listed.insert(path, names);
            }
        }
    }

    /// The first path that did not come through for a reason that counts.
    pub(crate) fn refused(&self, counts: impl Fn(&FileFault) -> bool) -> Option<(&ByteString, &FileFault)> {
        let files = self.read.iter().filter_map(|(path, read)| Some((path, read.as_ref().err()?)));
        let folders = self.listed.iter().filter_map(|(path, listed)| Some((path, listed.as_ref().err()?)));
        files.chain(folders).find(|(_, why)| counts(why))
    }

    fn is_full(&self) -> bool {
        self.read.len() + self.listed.len() >= MOST_FILES || self.bytes >= MOST_BYTES
    }

    /// It is asked for, and until it is here it counts as missing. Once there is too much it never
    /// comes, and an optional file must not count as missing for that.
    fn want<T>(&self, kind: Kind, path: &ByteString) -> Result<T, FileFault> {
        if self.is_full() {
            return Err(too_much());
        }
        self.wanted.borrow_mut().insert((kind, path.clone()));
        Err(FileFault::NotFound)
    }
}

fn too_much() -> FileFault {
    let megabytes = MOST_BYTES >> 20;
    FileFault::Other(format!("given up: more than {MOST_FILES} files, or {megabytes} MiB, are included"))
}

impl Files for Snapshot {
    fn read(&self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        self.read.get(path).cloned().unwrap_or_else(|| self.want(Kind::File, path))
    }

    fn list(&self, directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        self.listed.get(directory).cloned().unwrap_or_else(|| self.want(Kind::Folder, directory))
    }
}

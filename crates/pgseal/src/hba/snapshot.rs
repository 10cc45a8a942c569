//! The files of a server that lives elsewhere: fetched one by one as they are asked for, through
//! whatever door there is, until nothing more is asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, Files, ListedFile};

/// More files than any real configuration includes.
const MOST_FILES: usize = 1000;

/// A door to a server's files.
pub(crate) trait Door {
    fn read(&mut self, path: &ByteString) -> impl Future<Output = Result<Vec<u8>, FileFault>>;
    fn list(&mut self, folder: &ByteString) -> impl Future<Output = Result<Vec<ListedFile>, FileFault>>;
}

/// What has been fetched, and what was asked for and is not here yet.
#[derive(Default)]
pub(crate) struct Snapshot {
    read: BTreeMap<ByteString, Result<Vec<u8>, FileFault>>,
    listed: BTreeMap<ByteString, Result<Vec<ListedFile>, FileFault>>,
    wanted: RefCell<BTreeSet<(Kind, ByteString)>>,
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
            if wanted.is_empty() || snapshot.read.len() + snapshot.listed.len() > MOST_FILES {
                return (answer, snapshot);
            }
            for (kind, path) in wanted {
                match kind {
                    Kind::File => {
                        let bytes = door.read(&path).await;
                        snapshot.read.insert(path, bytes);
                    }
                    Kind::Folder => {
                        let names = door.list(&path).await;
                        snapshot.listed.insert(path, names);
                    }
                }
            }
        }
    }

    fn want<T>(&self, kind: Kind, path: &ByteString) -> Result<T, FileFault> {
        self.wanted.borrow_mut().insert((kind, path.clone()));
        Err(FileFault::NotFound)
    }
}

impl Files for Snapshot {
    fn read(&self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        self.read.get(path).cloned().unwrap_or_else(|| self.want(Kind::File, path))
    }

    fn list(&self, directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        self.listed.get(directory).cloned().unwrap_or_else(|| self.want(Kind::Folder, directory))
    }
}

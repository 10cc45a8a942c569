//! Public files of pgseal's own user that go with a change, and come back with it: never the server's, never a key.

use std::path::Path;

use super::change::{Change, Record};
use crate::failure::{Failure, Result};
use crate::privilege::{files, trusted};

/// Certificates are some kB.
const LIMIT: u64 = 4 << 20;
const PUBLIC: u32 = 0o644;

/// Writes what the change is to leave. Before it stands: whoever is cut off in between has it taken back.
pub(crate) fn write(change: &Change) -> Result<()> {
    change.records.iter().try_for_each(|record| put(&record.path, &record.after))
}

/// Puts back what was there before. A file that somebody else changed since stays as it is.
pub(crate) fn take_back(change: &Change) -> Result<()> {
    for Record { path, before, after } in &change.records {
        if read(path)?.as_deref() != Some(after.as_bytes()) {
            continue;
        }
        match before {
            Some(before) => put(path, before)?,
            None => files::remove(path).map_err(|error| Failure::io("remove", path, &error))?,
        }
    }
    Ok(())
}

/// What is there now, as the record of a change that is about to begin.
pub(crate) fn record(path: &Path, after: String) -> Result<Record> {
    let before = read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Record { path: path.to_owned(), before, after })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    if files::status(path).map_err(|error| Failure::io("look at", path, &error))?.is_none() {
        return Ok(None);
    }
    let bytes = files::read(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
    Ok(Some(bytes.to_vec()))
}

fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        trusted::folder_for_root(folder)?;
    }
    files::replace(path, PUBLIC, text.as_bytes()).map_err(|error| Failure::io("write", path, &error))
}

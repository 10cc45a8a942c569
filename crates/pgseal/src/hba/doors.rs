//! The two doors to a server's configuration files: the delegate of its user, and SQL.

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, ListedFile};
use pgseal_wire::Session;
use zeroize::Zeroizing;

use super::disk::{as_path, fault};
use super::snapshot::Door;
use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request};
use crate::sql::{bytes_of, rows_of};

/// As much of one file as comes through, in bytes: 100,000 lines and more.
pub(crate) const LIMIT: u64 = 8 << 20;

impl Door for Delegate {
    async fn read(&mut self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        bytes_in(self.ask(&read_through(path), &[]).await)
    }

    async fn list(&mut self, folder: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        names_in(self.ask(&listed(folder), &[]).await)
    }
}

/// How a file is asked for that the server reads, links followed as it follows them.
pub(crate) fn read_through(path: &ByteString) -> Request {
    Request::ReadThrough { path: as_path(path).to_owned(), limit: LIMIT }
}

pub(crate) fn listed(folder: &ByteString) -> Request {
    Request::List { folder: as_path(folder).to_owned() }
}

type Answered = crate::failure::Result<(Reply, Zeroizing<Vec<u8>>)>;

/// The bytes in an answer, or PostgreSQL's word for why there are none.
pub(crate) fn bytes_in(answered: Answered) -> Result<Vec<u8>, FileFault> {
    match answered {
        Ok((Reply::Bytes, bytes)) => Ok(bytes.to_vec()),
        other => Err(none_in(other)),
    }
}

pub(crate) fn names_in(answered: Answered) -> Result<Vec<ListedFile>, FileFault> {
    match answered {
        Ok((Reply::Names(names), _)) => Ok(names
            .into_iter()
            .map(|(name, is_directory)| ListedFile { name: name.into(), is_directory })
            .collect()),
        other => Err(none_in(other)),
    }
}

fn none_in(answered: Answered) -> FileFault {
    match answered {
        Ok((Reply::Failed(trouble), _)) => fault(&trouble.to_error()),
        Ok((other, _)) => FileFault::Other(format!("{other:?}")),
        Err(failure) => FileFault::Other(failure.sentence().to_owned()),
    }
}

/// The server's files through `pg_read_binary_file` and `pg_ls_dir`.
pub(crate) struct SqlDoor<'s>(pub(crate) &'s Session);

impl Door for SqlDoor<'_> {
    async fn read(&mut self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        let path =
            as_path(path).to_str().ok_or_else(|| FileFault::Other("a path that is not UTF-8".to_owned()))?;
        bytes_of(self.0, "SELECT pg_read_binary_file($1)", &[&path]).await.map_err(sql_fault)
    }

    async fn list(&mut self, folder: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        const NAMES: &str =
            "SELECT name, (pg_stat_file($1 || '/' || name, true)).isdir FROM pg_ls_dir($1) AS name";
        let folder = as_path(folder)
            .to_str()
            .ok_or_else(|| FileFault::Other("a path that is not UTF-8".to_owned()))?;
        let rows = rows_of(self.0, NAMES, &[&folder]).await.map_err(sql_fault)?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let name: String = row.try_get(0).ok()?;
                let is_directory = row.try_get::<_, Option<bool>>(1).ok()?.unwrap_or(false);
                Some(ListedFile { name: name.as_str().into(), is_directory })
            })
            .collect())
    }
}

/// undefined_file (58P01) is the only one that PostgreSQL's own reading treats apart.
fn sql_fault(why: String) -> FileFault {
    if why.starts_with("58P01") { FileFault::NotFound } else { FileFault::Other(why) }
}

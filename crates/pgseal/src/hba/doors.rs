//! The two doors to a server's configuration files: the delegate of its user, and SQL.

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, ListedFile};
use pgseal_wire::Session;

use super::disk::{as_path, fault};
use super::snapshot::Door;
use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request};
use crate::sql::{bytes_of, rows_of};

/// As much of one file as comes through, in bytes: 100,000 lines and more.
pub(crate) const LIMIT: u64 = 8 << 20;

impl Door for Delegate {
    async fn read(&mut self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        let request = Request::ReadThrough { path: as_path(path).to_owned(), limit: LIMIT };
        match self.ask(&request, &[]).await {
            Ok((Reply::Bytes, bytes)) => Ok(bytes.to_vec()),
            Ok((Reply::Failed(trouble), _)) => Err(fault(&trouble.to_error())),
            Ok((other, _)) => Err(FileFault::Other(format!("{other:?}"))),
            Err(failure) => Err(FileFault::Other(failure.sentence().to_owned())),
        }
    }

    async fn list(&mut self, folder: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        let request = Request::List { folder: as_path(folder).to_owned() };
        match self.ask(&request, &[]).await {
            Ok((Reply::Names(names), _)) => Ok(names
                .into_iter()
                .map(|(name, is_directory)| ListedFile { name: name.into(), is_directory })
                .collect()),
            Ok((Reply::Failed(trouble), _)) => Err(fault(&trouble.to_error())),
            Ok((other, _)) => Err(FileFault::Other(format!("{other:?}"))),
            Err(failure) => Err(FileFault::Other(failure.sentence().to_owned())),
        }
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

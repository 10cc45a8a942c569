//! The pg_hba.conf of a server that runs, with all it includes: through the folder's delegate, or
//! over SQL.

use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt as _;

use pgseal_conf::files::{FileFault, ListedFile};
use pgseal_conf::hba::{Ruleset, Server};
use pgseal_conf::{ByteString, PgVersion};
use pgseal_wire::Session;

use super::disk::{LIMIT, as_path, fault};
use super::snapshot::{Door, Snapshot};
use super::source::Source;
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::folder::state;
use crate::privilege::delegate::Delegate;
use crate::privilege::message::{Reply, Request};
use crate::privilege::user::server_user;
use crate::server::control;
use crate::verify::sql::{administrator, bytes_of, rows_of, text_of};
use crate::verify::target::{connection_subject, folder_subject};

/// What a folder's server has on disk, and whether that is what it has loaded.
pub(crate) async fn of_folder(folder: &Folder) -> Result<Source> {
    let settings = state::made(folder)?;
    let mut delegate = Delegate::start(&server_user(Some(&settings.server.run_as))?).await?;
    let version =
        settings.server.version.parse::<PgVersion>().map_err(|error| Failure::new(error.to_string()))?;
    let path: ByteString = folder.data().join("pg_hba.conf").as_os_str().as_bytes().into();
    let runs = control::find(folder, &settings, &mut delegate).await?.is_some();
    let (source, _) = fetch(&mut delegate, &path, version).await?;
    let loaded = if runs {
        match administrator(&folder_subject(folder, &settings)).await {
            Ok(session) => compared(&session, &path).await,
            Err(why) => format!("whether the server has loaded it could not be told: {why}"),
        }
    } else {
        "no server runs: it is what the next start would load".to_owned()
    };
    Ok(source.said_to_be(loaded))
}

/// What a server reads as its hba_file now, over SQL. Superusers and members of
/// pg_read_server_files may.
pub(crate) async fn of_server(text: &str) -> Result<Source> {
    let subject = connection_subject(text, None).await?;
    let session = administrator(&subject).await.map_err(|why| {
        Failure::new(format!("could not log in to read the server's pg_hba.conf: {why}"))
            .hint("a connection string with sslrootcert, whose user may read server files")
    })?;
    let cannot = |why: String| {
        Failure::new(format!("could not read the server's pg_hba.conf: {why}"))
            .hint("a superuser, or a member of pg_read_server_files and pg_read_all_settings")
    };
    let path: ByteString = text_of(&session, "SELECT setting FROM pg_settings WHERE name = 'hba_file'", &[])
        .await
        .map_err(&cannot)?
        .into();
    let number =
        text_of(&session, "SELECT current_setting('server_version_num')", &[]).await.map_err(&cannot)?;
    let number = number.parse().unwrap_or(0);
    let version = PgVersion::from_version_num(number).map_err(|error| Failure::new(error.to_string()))?;
    let mut door = SqlDoor(&session);
    let (source, fault) = fetch(&mut door, &path, version).await?;
    if let Some(fault) = fault {
        return Err(cannot(fault));
    }
    let loaded = compared(&session, &path).await;
    session.close().await;
    Ok(source.said_to_be(loaded))
}

/// Everything that reading the file asks for, and why the file itself could not be read.
async fn fetch(
    door: &mut impl Door,
    path: &ByteString,
    version: PgVersion,
) -> Result<(Source, Option<String>)> {
    let text = RefCell::new(None);
    let (_, snapshot) = Snapshot::of(door, |files| {
        *text.borrow_mut() = Some(files.read(path));
        Ruleset::load(path, files, Server::of(version)).loads()
    })
    .await;
    let (text, fault) = match text.into_inner() {
        Some(Ok(text)) => (text, None),
        Some(Err(fault)) => (Vec::new(), Some(format!("{path}: {fault}"))),
        None => (Vec::new(), Some(format!("{path} was not read"))),
    };
    Ok((Source::from_server(path.clone(), text, Box::new(snapshot), version), fault))
}

/// pg_hba_file_rules reads the file, not what is loaded; the times tell the rest. A file's time is
/// told in whole seconds, so within one second neither came first.
async fn compared(session: &Session, path: &ByteString) -> String {
    const TIMES: &str = "SELECT CASE WHEN modification > date_trunc('second', pg_conf_load_time()) THEN 'newer' \
                         WHEN modification < date_trunc('second', pg_conf_load_time()) THEN 'older' ELSE 'same' END \
                         || ' ' || modification || ', ' || pg_conf_load_time() FROM pg_stat_file($1)";
    const UNKNOWN: &str = "whether the server has loaded it could not be told";
    let path = path.to_string();
    match text_of(session, TIMES, &[&path]).await {
        Ok(times) => match times.split_once(' ') {
            Some(("newer", rest)) => {
                format!("changed since the server's last reload ({rest}): not what decides now")
            }
            Some(("older", _)) => {
                "older than the server's last reload: it is what decides, if that reload took it".to_owned()
            }
            _ => format!("{UNKNOWN}: it was changed in the second of the last reload"),
        },
        Err(why) => format!("{UNKNOWN}: {why}"),
    }
}

impl Door for Delegate {
    async fn read(&mut self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        let request = Request::Read { path: as_path(path).to_owned(), limit: LIMIT.min(8 << 20) };
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
struct SqlDoor<'s>(&'s Session);

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

//! A live server's pg_hba.conf with all it includes, and what is known of its being the loaded one.

use std::cell::RefCell;

use pgseal_conf::hba::{Ruleset, Server};
use pgseal_conf::{ByteString, PgVersion};
use pgseal_wire::Session;

use super::doors::SqlDoor;
use super::loaded::Loaded;
use super::roles::roles;
use super::snapshot::{Door, Snapshot};
use super::source::Source;
use crate::sql::text_of;

/// What a server reads as its hba_file now, over SQL; an error is one sentence. Superusers may,
/// and others who were granted EXECUTE on these functions (restricted by default: "Generic File Access Functions").
pub(crate) async fn over_sql(session: &Session) -> Result<Source, String> {
    let path = text_of(session, "SELECT current_setting('hba_file')", &[]).await?;
    let number = text_of(session, "SELECT current_setting('server_version_num')", &[]).await?;
    let version =
        PgVersion::from_version_num(number.parse().unwrap_or(0)).map_err(|error| error.to_string())?;
    let path = ByteString::from(path);
    let source = fetch(&mut SqlDoor(session), &path, version).await?;
    let loaded = compared(session, &path).await;
    Ok(source.said_to_be(loaded).with_roles(roles(session).await.ok()))
}

/// Everything that reading the file asks for, and why the file itself could not be read.
pub(crate) async fn fetch(
    door: &mut impl Door,
    path: &ByteString,
    version: PgVersion,
) -> Result<Source, String> {
    let text = RefCell::new(None);
    let (_, snapshot) = Snapshot::of(door, |files| {
        *text.borrow_mut() = Some(files.read(path));
        Ruleset::load(path, files, Server::of(version)).loads()
    })
    .await;
    match text.into_inner() {
        Some(Ok(text)) => Ok(Source::from_server(path.clone(), text, Box::new(snapshot), version)),
        Some(Err(fault)) => Err(format!("{path}: {fault}")),
        None => Err(format!("{path} was not read")),
    }
}

/// pg_hba_file_rules reads the file, not what is loaded; the times tell the rest. A file's time is
/// told in whole seconds, so within one second neither came first.
pub(crate) async fn compared(session: &Session, path: &ByteString) -> Loaded {
    const TIMES: &str = "SELECT CASE WHEN modification > date_trunc('second', pg_conf_load_time()) THEN 'newer' \
                         WHEN modification < date_trunc('second', pg_conf_load_time()) THEN 'older' ELSE 'same' END \
                         || ' ' || modification || ', ' || pg_conf_load_time() FROM pg_stat_file($1)";
    match text_of(session, TIMES, &[&path.to_string()]).await {
        Ok(times) => match times.split_once(' ') {
            Some(("newer", rest)) => Loaded::Newer(rest.to_owned()),
            Some(("older", _)) => Loaded::Older,
            _ => Loaded::Unknown("it was changed in the second of the last reload".to_owned()),
        },
        Err(why) => Loaded::Unknown(why),
    }
}

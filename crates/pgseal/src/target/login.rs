//! Who logs in to a server on this machine: user and password from the person, host and port from the
//! server itself.

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::Conninfo;
use pgseal_wire::ClientCertificate;

use super::environment::variable;
use super::own_certificate::own_certificate;
use super::passfile;
use crate::failure::Result;
use crate::folder::client_files;
use crate::folder::layout::Folder;
use crate::folder::settings::Settings;
use crate::place::{Login, Place};
use crate::privilege::secret::Secret;
use crate::privilege::{files, trusted};
use crate::server::process::RunningServer;

/// The database that every cluster has from initdb.
const DATABASE: &str = "postgres";
/// A folder's password file has a line a name.
const LIMIT: u64 = 1 << 20;

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) username: Option<String>,
    pub(crate) dbname: Option<String>,
}

/// `-U`, then PGUSER, then the superuser that a container was made with, then the server's own system user, as psql
/// would have it when run as that user. A folder of `pgseal up` knows its superuser and the password.
pub(crate) fn login(place: &Place, server: &RunningServer, asked: &Asked) -> Result<Login> {
    if let Some(login) = of_folder(place, asked)? {
        return Ok(login);
    }
    let Login { username, dbname, .. } = nobody_yet(place, asked);
    let password = match variable("PGPASSWORD").filter(|password| !password.is_empty()) {
        Some(password) => Some(Secret::new(password)),
        None => from_passfile(server, &dbname, &username)?.or_else(|| of_container(place, &username)),
    };
    Ok(Login { username, dbname, password, certificate: own_certificate()? })
}

/// Who would log in, without what it takes to.
pub(crate) fn nobody_yet(place: &Place, asked: &Asked) -> Login {
    let username = asked
        .username
        .clone()
        .or_else(|| variable("PGUSER").filter(|user| !user.is_empty()))
        .or_else(|| place.variable("POSTGRES_USER"))
        .unwrap_or_else(|| place.hands.user().name.clone());
    let dbname = asked.dbname.clone().unwrap_or_else(|| DATABASE.to_owned());
    Login { username, dbname, password: None, certificate: ClientCertificate::None }
}

/// The password that a container was given for its first superuser, as whoever may use docker can see it anyway.
fn of_container(place: &Place, username: &str) -> Option<Secret> {
    let first = place.variable("POSTGRES_USER").unwrap_or_else(|| "postgres".to_owned());
    let password = place.variable("POSTGRES_PASSWORD").filter(|_| first == username)?;
    Some(Secret::new(password))
}

/// A line for `localhost`, or for the socket's folder, as libpq would take either.
fn from_passfile(server: &RunningServer, dbname: &str, username: &str) -> Result<Option<Secret>> {
    let mut asked = Conninfo::default();
    asked.fill_defaults(&variable, PgVersion::V18);
    let folder = server.socket_folder.as_ref().map(|folder| folder.display().to_string());
    for host in ["localhost".to_owned()].into_iter().chain(folder) {
        if let Some(password) = passfile::password(&asked, &host, server.port, dbname, username)? {
            return Ok(Some(password));
        }
    }
    Ok(None)
}

fn of_folder(place: &Place, asked: &Asked) -> Result<Option<Login>> {
    let Some(root) = place.made_folder().filter(|_| asked.username.is_none()) else { return Ok(None) };
    let folder = Folder::at(root.to_owned());
    trusted::folder_for_root(folder.root())?;
    let settings = Settings::read(&folder)?;
    let text = files::read(&folder.passfile(), LIMIT).ok();
    let password = text.and_then(|text| client_files::password_in(&text, &settings));
    Ok(Some(Login {
        username: settings.server.username.clone(),
        dbname: asked.dbname.clone().unwrap_or_else(|| settings.server.dbname.clone()),
        password,
        certificate: own_certificate()?,
    }))
}

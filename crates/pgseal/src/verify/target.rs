//! What a TARGET word means: a folder made by `pgseal up`, or a connection string as libpq reads it.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::{Conninfo, Endpoint, HostSpec, is_connection_string, pgpass, service};
use pgseal_pki::{Certificate, read_bundle};
use pgseal_wire::{RootFile, Roots};

use super::subject::{Issued, Subject};
use crate::failure::{Failure, Result};
use crate::folder::client_files;
use crate::folder::layout::Folder;
use crate::folder::settings::Settings;
use crate::privilege::files;
use crate::privilege::secret::Secret;
use crate::privilege::user::SystemUser;

/// PEM files of a folder are a few kB; password and service files of people may be larger.
const FILE_LIMIT: u64 = 1 << 20;

/// The two kinds of target that exist so far.
pub(crate) enum Target {
    Folder(PathBuf),
    Connection(String),
}

impl Target {
    /// Reads the word. `dir:` says that it is a folder, whatever it looks like.
    pub(crate) fn parse(word: &str) -> Result<Self> {
        if let Some(path) = word.strip_prefix("dir:") {
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        match (is_connection_string(word), Path::new(word).exists()) {
            (true, false) => return Ok(Self::Connection(word.to_owned())),
            (false, true) => return Ok(Self::Folder(PathBuf::from(word))),
            (true, true) => {
                return Err(Failure::usage(format!("{word} could be a folder or a connection string"))
                    .hint(format!("dir:{word}, or another keyword first in the connection string")));
            }
            (false, false) => {}
        }
        Err(Failure::usage(format!("there is no folder {word}, and it is no connection string either"))
            .hint("a folder made by pgseal up, or postgresql://USER@HOST:PORT/DBNAME"))
    }
}

/// What is promised of a folder's server.
pub(crate) fn folder_subject(folder: &Folder, settings: &Settings) -> Subject {
    let roots = RootFile::read(&folder.client_ca());
    let issued = match read_certificate(&folder.issued()) {
        Ok(certificate) => Issued::This(certificate.fingerprint()),
        Err(why) => Issued::Unreadable(why),
    };
    let password = files::read(&folder.passfile(), FILE_LIMIT)
        .ok()
        .and_then(|text| client_files::password_in(&text, settings));
    Subject {
        host: settings.host(),
        port: settings.server.port,
        addresses: settings.addresses(),
        names: settings.certificate.names.clone(),
        roots: loaded(roots),
        issued,
        username: settings.server.username.clone(),
        dbname: settings.server.dbname.clone(),
        password,
    }
}

fn read_certificate(path: &Path) -> Result<Certificate, String> {
    let cannot = |why: &dyn std::fmt::Display| format!("could not read {}: {why}", path.display());
    let pem = files::read(path, FILE_LIMIT).map_err(|error| cannot(&error))?;
    let bundle = read_bundle(&pem).map_err(|error| cannot(&error))?;
    bundle.certificates.into_iter().next().ok_or_else(|| cannot(&"it holds no certificate"))
}

fn loaded(roots: RootFile) -> Result<Roots, String> {
    match roots {
        RootFile::Loaded(roots) => Ok(roots),
        RootFile::Absent { path } => Err(format!("root certificate file \"{path}\" does not exist")),
        RootFile::Unusable(error) => Err(error.to_string()),
    }
}

/// What is promised of the server that a connection string names, with `PG*`, service file and
/// password file read as libpq reads them. `sslrootcert` given on the command line wins.
pub(crate) async fn connection_subject(text: &str, sslrootcert: Option<&str>) -> Result<Subject> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("the connection string cannot be read: {error}"))
            .hint("postgresql://USER@HOST:PORT/DBNAME?sslrootcert=FILE")
    };
    let mut asked = Conninfo::parse(text).map_err(|error| bad(&error))?;
    apply_service(&mut asked)?;
    asked.fill_defaults(&variable, PgVersion::V18);
    let hosts = asked.hosts().map_err(|error| bad(&error))?;
    let [server] = hosts.as_slice() else {
        return Err(Failure::usage(format!("the connection string names {} servers", hosts.len()))
            .hint("verify them one by one"));
    };
    let (host, addresses) = addresses(server).await?;
    let username = match asked.get("user") {
        Some(user) => user.to_owned(),
        None => SystemUser::current()?.name,
    };
    let dbname = asked.get("dbname").unwrap_or(&username).to_owned();
    let password = asked.get("password").map(|text| Secret::new(text.to_owned()));
    let password = match password {
        Some(password) => Some(password),
        None => from_passfile(&asked, &host, server.port, &dbname, &username)?,
    };
    Ok(Subject {
        names: vec![host.clone()],
        host,
        port: server.port,
        addresses,
        roots: roots(sslrootcert.or_else(|| asked.get("sslrootcert"))),
        issued: Issued::ByOthers,
        username,
        dbname,
        password,
    })
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn home(file: &str) -> Option<PathBuf> {
    variable("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(file))
}

/// The service's parameters, from the user's service file or the system's (fe-connect.c,
/// parseServiceInfo).
fn apply_service(asked: &mut Conninfo) -> Result<()> {
    let Some(name) = asked.service_name(&variable) else {
        return Ok(());
    };
    let own = variable("PGSERVICEFILE").map(PathBuf::from).or_else(|| home(".pg_service.conf"));
    let system = variable("PGSYSCONFDIR").map(|folder| Path::new(&folder).join("pg_service.conf"));
    for path in own.into_iter().chain(system) {
        let Ok(text) = files::read_named(&path, FILE_LIMIT) else { continue };
        let found = service::find(text.as_slice(), &name).map_err(|error| {
            Failure::new(format!("could not read the service file {}: {error}", path.display()))
        })?;
        if let Some(parameters) = found {
            asked.fill_from(&parameters);
            return Ok(());
        }
    }
    // libpq's own words.
    Err(Failure::new(format!("definition of service \"{name}\" not found"))
        .hint("check PGSERVICEFILE and ~/.pg_service.conf"))
}

async fn addresses(server: &HostSpec) -> Result<(String, Vec<IpAddr>)> {
    let name = server.host.clone();
    match server.endpoint() {
        Endpoint::Address(ip) => Ok((name.unwrap_or_else(|| ip.to_string()), vec![ip])),
        Endpoint::Socket(path) => {
            Err(Failure::usage(format!("{path} is a Unix socket, which never carries TLS"))
                .hint("name the host that clients on the network use"))
        }
        Endpoint::Default => {
            Err(Failure::usage("the connection string names no host")
                .hint("postgresql://USER@HOST:PORT/DBNAME"))
        }
        Endpoint::Name(host) => Ok((host.to_owned(), resolved(host, server.port).await?)),
    }
}

async fn resolved(host: &str, port: u16) -> Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        Failure::new(format!("could not translate host name \"{host}\" to address: {error}"))
            .hint("check the name, or give hostaddr=")
    })?;
    // Each once, in the resolver's order.
    let mut seen = BTreeSet::new();
    Ok(found.map(|address| address.ip()).filter(|ip| seen.insert(*ip)).collect())
}

fn from_passfile(
    asked: &Conninfo,
    host: &str,
    port: u16,
    dbname: &str,
    user: &str,
) -> Result<Option<Secret>> {
    let Some(path) = asked.get("passfile").map(PathBuf::from).or_else(|| home(".pgpass")) else {
        return Ok(None);
    };
    // libpq follows links here, and passes over a file that is not there.
    let Ok(found) = fs::metadata(&path) else {
        return Ok(None);
    };
    if found.permissions().mode() & 0o077 != 0 {
        return Err(Failure::new(format!(
            "password file \"{}\" has group or world access; permissions should be u=rw (0600) or less",
            path.display()
        ))
        .hint(format!("chmod 0600 {}", path.display())));
    }
    let text = files::read_named(&path, FILE_LIMIT)
        .map_err(|error| Failure::io("read the password file", &path, &error))?;
    let found = pgpass::lookup(text.as_slice(), host, &port.to_string(), dbname, user);
    Ok(found.and_then(|password| password.as_str().map(|text| Secret::new(text.to_owned()))))
}

/// `--sslrootcert FILE|system|none`, or libpq's `sslrootcert`, or the home file.
fn roots(asked: Option<&str>) -> Result<Roots, String> {
    match asked {
        Some("none") => Err("no roots to verify with (--sslrootcert none)".to_owned()),
        Some("system") => Roots::system().map_err(|error| error.to_string()),
        Some(path) if !path.is_empty() => loaded(RootFile::read(Path::new(path))),
        _ => match home(".postgresql/root.crt") {
            Some(path) => loaded(RootFile::read(&path)),
            None => Err("no root certificate was given, and there is no HOME to look in".to_owned()),
        },
    }
}

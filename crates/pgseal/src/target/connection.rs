//! A connection string, with `PG*`, service file and password file read as libpq reads them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::{Conninfo, Endpoint, HostSpec, Keyword};
use pgseal_wire::{RootFile, Roots, SslNegotiation};

use super::environment::{home, variable};
use super::own_certificate::certificate_of;
use super::{passfile, service};
use crate::failure::{Failure, Result};
use crate::privilege::secret::Secret;
use crate::privilege::user::SystemUser;
use crate::verify::subject::{Issued, Subject};

/// More addresses of one name than this are not looked at.
const MOST_ADDRESSES: usize = 16;

/// Parameters that change what a libpq client does, and that a proof does not act on. Given, they are
/// refused rather than passed over.
const NOT_ACTED_ON: [&str; 9] = [
    "channel_binding",
    "gssencmode",
    "require_auth",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "target_session_attrs",
];

pub(super) fn loaded(roots: RootFile) -> Result<Roots, String> {
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
    service::apply(&mut asked)?;
    asked.fill_defaults(&variable, PgVersion::V18);
    acted_on(&asked)?;
    let certificate = certificate_of(&asked)?;
    let negotiation = match asked.get("sslnegotiation") {
        Some("direct") => SslNegotiation::Direct,
        _ => SslNegotiation::Postgres,
    };
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
        None => passfile::password(&asked, &host, server.port, &dbname, &username)?,
    };
    Ok(Subject {
        names: vec![host.clone()],
        host,
        port: server.port,
        addresses,
        roots: roots(sslrootcert.or_else(|| asked.get("sslrootcert"))),
        issued: Issued::ByOthers,
        negotiation,
        username,
        dbname,
        password,
        certificate,
        wants_certificates: false,
        kept_out: None,
    })
}

/// Refuses a parameter that would be passed over, wherever it was said.
fn acted_on(asked: &Conninfo) -> Result<()> {
    let said = |name: &&str| {
        let usual = Keyword::find(name, PgVersion::V18).and_then(|keyword| keyword.default);
        asked
            .get(name)
            .is_some_and(|value| !value.is_empty() && Some(value) != usual && !harmless(name, value))
    };
    let passed_over: Vec<&str> = NOT_ACTED_ON.into_iter().filter(|name| said(name)).collect();
    if passed_over.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!("a proof does not act on {} yet", passed_over.join(", ")))
        .because("it would say nothing of what such a client does")
        .hint("leave it out of the connection string, the service and the environment"))
}

/// Values with which a client does no more than a proof looks at.
fn harmless(name: &str, value: &str) -> bool {
    matches!(
        (name, value),
        ("channel_binding", "prefer" | "require")
            | ("gssencmode", "disable" | "prefer")
            | ("sslcertmode", "allow" | "disable")
    )
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
    Ok(found.map(|address| address.ip()).filter(|ip| seen.insert(*ip)).take(MOST_ADDRESSES).collect())
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

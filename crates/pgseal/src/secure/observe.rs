//! Looks at a running server from inside and outside. Changes nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use pgseal_conf::{ByteString, PgVersion};
use pgseal_wire::Session;

use super::facts::{Facts, OwnFiles, ServerFile, Setting};
use super::fixed::FixedPair;
use super::{present, view};
use crate::failure::{Failure, Result};
use crate::hba::fetch::fetch;
use crate::hba::roles::roles;
use crate::journal::digest;
use crate::place::{Login, Place};
use crate::policy::HYBRID_GROUPS;
use crate::server::process::RunningServer;
use crate::sessions::sessions;
use crate::sql::{rows_of, text_of};

/// Configuration files: 2 million lines of pg_hba.conf are 100 MB, and a frame carries 16 MiB.
const LIMIT: u64 = 15 << 20;

/// What the certificate's files are called in our folder.
pub(crate) const PEM: &str = "server-with-key.pem";
pub(crate) const CERTIFICATE: &str = "server.crt";
pub(crate) const AUTHORITY: &str = "ca.crt";
/// The CAs of clients, where we put them.
pub(crate) const CLIENT_AUTHORITIES: &str = "client-ca.crt";

/// Everything there is to know before a change.
pub(crate) async fn observe(
    place: &mut Place,
    server: &RunningServer,
    session: &Session,
    who: &Login,
) -> Result<Facts> {
    must_be_superuser(session, who).await?;
    let identifier = identity(place, session).await?;
    not_managed_by_others(place).await?;
    let number = ask(session, "SELECT current_setting('server_version_num')").await?;
    let version = PgVersion::from_version_num(number.parse().unwrap_or(0))
        .map_err(|error| Failure::new(error.to_string()))?;
    let settings = settings(session).await?;
    let named =
        |name: &str| settings.get(name).map(|setting| PathBuf::from(&setting.value)).unwrap_or_default();
    let main = server_file(place, &named("config_file")).await?;
    let auto = server_file_if_any(place, &place.data.join("postgresql.auto.conf")).await?;
    let hba = server_file(place, &named("hba_file")).await?;
    let files = place.settings(&main.named, version).await?;
    let rules = fetch(&mut place.hands, &bytes_of_path(&hba.named), version)
        .await
        .map_err(|why| Failure::new(format!("could not read the server's pg_hba.conf: {why}")))?;
    let tls_folder = place.tls_folder().await?;
    let tls_folder_is_there = place.hands.look(&tls_folder).await?.is_some();
    let listens_on = listened(settings.get("listen_addresses").map_or("", |setting| &setting.value)).await;
    let (addresses, port) = reached_from_here(place, server, &listens_on).await;
    let (view, served) = match addresses.first() {
        Some(address) => view::look_closely(*address, port, who).await,
        None => (crate::journal::View::default(), Vec::new()),
    };
    Ok(Facts {
        version,
        version_text: ask(session, "SELECT current_setting('server_version')").await?,
        identifier,
        stopped: false,
        started: ask(session, "SELECT pg_postmaster_start_time()::text").await?,
        in_recovery: ask(session, "SELECT pg_is_in_recovery()::text").await? == "true",
        certificate: present::look(place, &settings).await,
        own: own_files_and_beside(place, &tls_folder, &settings).await?,
        client_authorities: client_authorities(place, &settings).await?,
        taken_by_upgrade: super::upgrade::taken(place).await?,
        fixed: FixedPair::find(place, &settings).await,
        hybrid_groups: hybrid_groups(place, server, version).await,
        start_refused: super::restart::refusals(place, session, &settings).await.unwrap_or_default(),
        settings,
        files,
        main,
        auto,
        hba,
        rules,
        rules_moved: None,
        tls_folder,
        tls_folder_is_there,
        addresses,
        port,
        listens_on: specific(&listens_on),
        host_name: crate::server::machine::host_name(),
        own_names: place.names().iter().filter_map(|name| name.parse().ok()).collect(),
        sessions: sessions(session)
            .await
            .map_err(|why| Failure::new(format!("could not list sessions: {why}")))?,
        recorded: BTreeMap::new(),
        roles: roles(session).await.ok(),
        without_scram: without_scram(session, false).await?,
        md5_roles: without_scram(session, true).await?,
        newer_source: None,
        view,
        served,
    })
}

/// Settings take them since 18 only.
async fn hybrid_groups(place: &mut Place, server: &RunningServer, version: PgVersion) -> Vec<&'static str> {
    if version < PgVersion::V18 {
        return Vec::new();
    }
    place.known_to_openssl(server, &HYBRID_GROUPS).await
}

async fn ask(session: &Session, sql: &str) -> Result<String> {
    text_of(session, sql, &[])
        .await
        .map_err(|why| Failure::new(format!("the server did not answer \"{sql}\": {why}")))
}

/// Files and SQL must speak of the same server: data directory and system identifier agree.
async fn identity(place: &mut Place, session: &Session) -> Result<u64> {
    let said = ask(session, "SELECT current_setting('data_directory')").await?;
    let real = place.hands.look(Path::new(&said)).await?.map(|(real, _)| real);
    let identifier = place.identifier().await?;
    let over_sql = ask(session, "SELECT system_identifier::text FROM pg_control_system()").await?;
    if real.as_ref() == Some(&place.data) && over_sql == identifier.to_string() {
        return Ok(identifier);
    }
    Err(Failure::new(format!("the server that was reached is not the one of {}", place.data.display()))
        .because(format!(
            "it says data_directory {said} and system identifier {over_sql}; the files say {identifier}"
        ))
        .because("nothing was changed"))
}

async fn must_be_superuser(session: &Session, who: &Login) -> Result<()> {
    let rows = rows_of(session, "SELECT rolsuper FROM pg_roles WHERE rolname = session_user", &[])
        .await
        .map_err(Failure::new)?;
    let superuser = rows.first().and_then(|row| row.try_get::<_, bool>(0).ok()).unwrap_or(false);
    if superuser {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} is no superuser, and a plan rests on what only superusers see",
        who.username
    ))
    .because("nothing was changed")
    .hint("-U, PGUSER and PGPASSWORD of a superuser"))
}

/// Roles that may log in without a SCRAM verifier; of all, or of those that have a password.
pub(crate) async fn without_scram(session: &Session, with_password: bool) -> Result<Vec<String>> {
    const WITHOUT: &str = "SELECT rolname::text FROM pg_authid WHERE rolcanlogin AND \
         CASE WHEN rolpassword IS NULL THEN NOT $1 ELSE rolpassword NOT LIKE 'SCRAM-SHA-256$%' END \
         ORDER BY rolname LIMIT 100000";
    let rows = rows_of(session, WITHOUT, &[&with_password])
        .await
        .map_err(|why| Failure::new(format!("could not read pg_authid: {why}")))?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

/// Who manages the server's files would write over ours.
pub(super) async fn not_managed_by_others(place: &mut Place) -> Result<()> {
    for (file, who, way) in [
        (
            "patroni.dynamic.json",
            "Patroni",
            "patronictl edit-config: parameters ssl, ssl_cert_file, ssl_key_file and pg_hba",
        ),
        (
            "postgresql.base.conf",
            "Patroni",
            "patronictl edit-config: parameters ssl, ssl_cert_file, ssl_key_file and pg_hba",
        ),
        (
            "custom.conf",
            "CloudNativePG",
            "the Cluster resource: spec.certificates and spec.postgresql.pg_hba",
        ),
    ] {
        if place.hands.look(&place.data.join(file)).await?.is_some() {
            return Err(Failure::new(format!(
                "{who} manages this server ({} is there) and would write over what is changed here",
                place.data.join(file).display()
            ))
            .because("nothing was changed")
            .hint(way));
        }
    }
    Ok(())
}

pub(crate) async fn settings(session: &Session) -> Result<BTreeMap<String, Setting>> {
    const SETTINGS: &str = "SELECT name, coalesce(setting, ''), source, coalesce(boot_val, '') FROM pg_settings \
         WHERE name LIKE 'ssl%' OR name IN ('listen_addresses', 'port', 'password_encryption', 'config_file', \
         'hba_file', 'ident_file', 'data_directory', 'log_destination', 'logging_collector')";
    let rows = rows_of(session, SETTINGS, &[])
        .await
        .map_err(|why| Failure::new(format!("could not read pg_settings: {why}")))?;
    let read = |row: &tokio_postgres::Row| -> std::result::Result<(String, Setting), tokio_postgres::Error> {
        Ok((
            row.try_get(0)?,
            Setting { value: row.try_get(1)?, source: row.try_get(2)?, boot: row.try_get(3)? },
        ))
    };
    rows.iter()
        .map(read)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Failure::new(format!("could not read pg_settings: {error}")))
}

/// The file behind a path that the server named, read as the server reads it.
pub(crate) async fn server_file(place: &mut Place, named: &Path) -> Result<ServerFile> {
    let found = server_file_if_any(place, named).await?;
    found.ok_or_else(|| Failure::new(format!("there is no {}", named.display())))
}

/// The same where there need not be one. One that cannot be read is an error all the same: what is planned
/// as if it were not there would be written over it.
pub(crate) async fn server_file_if_any(place: &mut Place, named: &Path) -> Result<Option<ServerFile>> {
    let Some((real, status)) = place.hands.look(named).await? else { return Ok(None) };
    let bytes = place.hands.read(&real, LIMIT).await?.to_vec();
    Ok(Some(ServerFile { named: named.to_owned(), real, status, bytes }))
}

pub(crate) async fn own_files(place: &mut Place, folder: &Path) -> Result<OwnFiles> {
    let pem = folder.join(PEM);
    let mut own = OwnFiles::default();
    if let Some((_, status)) = place.hands.look(&pem).await? {
        own.pem = Some((status, digest(&place.hands.read(&pem, LIMIT).await?)));
    }
    own.certificate = server_file_if_any(place, &folder.join(CERTIFICATE)).await?;
    own.authority = server_file_if_any(place, &folder.join(AUTHORITY)).await?;
    own.client_authorities = server_file_if_any(place, &folder.join(CLIENT_AUTHORITIES)).await?;
    Ok(own)
}

/// The same, with what lies beside the certificate that is named, where that is in another folder of ours.
pub(super) async fn own_files_and_beside(
    place: &mut Place,
    folder: &Path,
    settings: &BTreeMap<String, Setting>,
) -> Result<OwnFiles> {
    let mut own = own_files(place, folder).await?;
    let present = in_data(place, settings.get("ssl_cert_file").map_or("", |setting| &setting.value));
    if present.ends_with(PEM) && present != folder.join(PEM) {
        own.authority_beside = server_file_if_any(place, &present.with_file_name(AUTHORITY)).await?;
    }
    Ok(own)
}

/// What `ssl_ca_file` names, where it names something.
pub(super) async fn client_authorities(
    place: &mut Place,
    settings: &BTreeMap<String, Setting>,
) -> Result<Option<ServerFile>> {
    match settings.get("ssl_ca_file").map(|setting| setting.value.as_str()).filter(|name| !name.is_empty()) {
        Some(name) => server_file_if_any(place, &in_data(place, name)).await,
        None => Ok(None),
    }
}

/// The addresses behind `listen_addresses`; an unspecified one stands for all of its family.
pub(super) async fn listened(setting: &str) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for word in setting.split(',').map(|word| word.trim().trim_matches('"')).filter(|word| !word.is_empty()) {
        let found: Vec<IpAddr> = match word {
            "*" => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            word => match word.parse() {
                Ok(ip) => vec![ip],
                Err(_) => tokio::net::lookup_host((word, 0))
                    .await
                    .map(|found| found.map(|address| address.ip()).collect())
                    .unwrap_or_default(),
            },
        };
        for ip in found {
            if !all.contains(&ip) {
                all.push(ip);
            }
        }
    }
    all
}

/// Where that can be reached from this machine: its own loopback for "every address".
pub(super) fn reached(listened: &[IpAddr]) -> Vec<IpAddr> {
    let has_ipv6 = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let mut all = Vec::new();
    for ip in listened {
        let ip = match ip {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            other => *other,
        };
        if !all.contains(&ip) && (ip.is_ipv4() || has_ipv6) {
            all.push(ip);
        }
    }
    all
}

/// Where that server is reached, which listens on these, and at which port.
async fn reached_from_here(
    place: &Place,
    server: &RunningServer,
    listens_on: &[IpAddr],
) -> (Vec<IpAddr>, u16) {
    match place.reach(server).await {
        Some((address, port)) => (vec![address], port),
        None => (reached(listens_on), server.port),
    }
}

/// The same, of the first address, by the setting alone: for that nobody has to be a superuser.
pub(crate) async fn at_first(
    place: &Place,
    server: &RunningServer,
    listen_addresses: &str,
) -> Option<(IpAddr, u16)> {
    let listens_on = listened(listen_addresses).await;
    let (addresses, port) = reached_from_here(place, server, &listens_on).await;
    addresses.first().map(|address| (*address, port))
}

pub(super) fn specific(listened: &[IpAddr]) -> Vec<IpAddr> {
    listened.iter().copied().filter(|ip| !ip.is_unspecified()).collect()
}

pub(super) fn bytes_of_path(path: &Path) -> ByteString {
    path.as_os_str().as_bytes().into()
}

/// A path as the server writes it: relative to the data directory.
pub(crate) fn in_data(place: &Place, path: &str) -> PathBuf {
    place.data.join(OsStr::new(path))
}

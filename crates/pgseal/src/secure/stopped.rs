//! A server that does not run, as its files have it. Changes nothing, and asks no server: what only a server
//! could tell (sessions, roles) is left out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pgseal_conf::PgVersion;
use pgseal_conf::hba::{Channel, ClientName, Connection, Purpose, Ruleset, World, decide};
use pgseal_conf::settings::{Effective, Settings, parse_bool};
use pgseal_pki::Certificate;

use super::facts::{Facts, Setting};
use super::fixed::FixedPair;
use super::observe::{
    bytes_of_path, client_authorities, listened, not_managed_by_others, own_files_and_beside, reached,
    server_file, server_file_if_any, specific,
};
use super::present;
use crate::failure::{Failure, Result};
use crate::hba::fetch::fetch;
use crate::hba::source::Source;
use crate::journal::View;
use crate::place::{Login, Place};

/// What holds where nothing says otherwise (guc.c, guc_tables.c), as far as TLS and logins go.
const BUILT_IN: [(&str, &str); 15] = [
    ("ssl", "off"),
    ("ssl_cert_file", "server.crt"),
    ("ssl_key_file", "server.key"),
    ("ssl_ca_file", ""),
    ("ssl_crl_file", ""),
    ("ssl_crl_dir", ""),
    ("ssl_max_protocol_version", ""),
    ("ssl_ciphers", "HIGH:MEDIUM:+3DES:!aNULL"),
    ("ssl_prefer_server_ciphers", "on"),
    ("ssl_passphrase_command", ""),
    ("ssl_passphrase_command_supports_reload", "off"),
    ("listen_addresses", "localhost"),
    ("port", "5432"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
];
/// What a version has of its own.
const BEFORE_18: [(&str, &str); 1] = [("ssl_ecdh_curve", "prime256v1")];
const SINCE_18: [(&str, &str); 2] = [("ssl_groups", "X25519:prime256v1"), ("ssl_tls13_ciphers", "")];

/// Everything there is to know before a change.
pub(super) async fn observe(place: &mut Place, who: &Login) -> Result<Facts> {
    let identifier = place.identifier().await?;
    not_managed_by_others(place).await?;
    let version = place.version().await?;
    let main = place.main_file().await?;
    let main = server_file(place, &main).await?;
    let files = place.settings(&main.named, version).await?;
    let settings = settings(place, &files, version);
    let auto = server_file_if_any(place, &place.data.join("postgresql.auto.conf")).await?;
    let hba = place.hba_file(version).await?;
    let hba = server_file(place, &hba).await?;
    let rules = rules(place, &hba.named, version).await?;
    let tls_folder = place.tls_folder().await?;
    let value = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    let port: u16 = value("port").parse().unwrap_or(0);
    let listens_on = listened(value("listen_addresses")).await;
    let addresses = reached(&listens_on);
    let certificate = present::look(place, &settings).await;
    let on = parse_bool(value("ssl").as_bytes()) == Some(true);
    let served: Vec<Certificate> = match &certificate {
        Ok(present) if on && present.key.is_ok() => {
            [&present.leaf].into_iter().chain(&present.others).cloned().collect()
        }
        _ => Vec::new(),
    };
    let view = expected(served.first(), &rules.ruleset(version), &addresses, port, who);
    let standby = place.hands.look(&place.data.join("standby.signal")).await?.is_some();
    Ok(Facts {
        version,
        version_text: version.to_string(),
        identifier,
        stopped: true,
        started: String::new(),
        in_recovery: standby,
        certificate,
        own: own_files_and_beside(place, &tls_folder, &settings).await?,
        client_authorities: client_authorities(place, &settings).await?,
        taken_by_upgrade: super::upgrade::taken(place).await?,
        fixed: FixedPair::find(place, &settings).await,
        // Nobody has loaded it.
        hybrid_groups: Vec::new(),
        settings,
        files,
        main,
        auto,
        hba,
        rules,
        start_refused: Vec::new(),
        rules_moved: None,
        tls_folder_is_there: place.hands.look(&tls_folder).await?.is_some(),
        tls_folder,
        addresses,
        port,
        listens_on: specific(&listens_on),
        host_name: crate::server::machine::host_name(),
        own_names: place.names().iter().filter_map(|name| name.parse().ok()).collect(),
        sessions: Vec::new(),
        recorded: BTreeMap::new(),
        roles: None,
        without_scram: Vec::new(),
        md5_roles: Vec::new(),
        newer_source: None,
        view,
        served,
    })
}

/// What the wire shows of a server that runs and has read its files as they are now, looked at on that port: at the
/// address where it was looked at before, as long as it listens there. What the files leave open is as it was before.
pub(super) async fn implied(place: &mut Place, port: u16, before: &View, who: &Login) -> Result<View> {
    let version = place.version().await?;
    let main = place.main_file().await?;
    let files = place.settings(&main, version).await?;
    let settings = settings(place, &files, version);
    let hba = place.hba_file(version).await?;
    let rules = rules(place, &hba, version).await?.ruleset(version);
    let value = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    let listens_on = reached(&listened(value("listen_addresses")).await);
    let known = before.at.map(|at| at.ip()).filter(|ip| listens_on.contains(ip));
    let addresses: Vec<IpAddr> = known.into_iter().chain(listens_on).collect();
    let on = parse_bool(value("ssl").as_bytes()) == Some(true);
    let present = present::look(place, &settings).await.ok().filter(|present| present.key.is_ok());
    let mut view = expected(present.as_ref().map(|present| &present.leaf), &rules, &addresses, port, who);
    if !on {
        view.certificate = None;
    } else if present.is_none() {
        // Then a reload changes nothing of what is served.
        view.certificate.clone_from(&before.certificate);
    }
    if !rules.loads() || view.plaintext.is_none() {
        view.plaintext = before.plaintext;
    }
    Ok(view)
}

/// The rules that a start would load.
pub(super) async fn rules(place: &mut Place, hba: &Path, version: PgVersion) -> Result<Source> {
    fetch(&mut place.hands, &bytes_of_path(hba), version)
        .await
        .map_err(|why| Failure::new(format!("could not read {}: {why}", hba.display())))
}

/// `pg_settings` as a start would have it.
pub(super) fn settings(place: &Place, files: &Settings, version: PgVersion) -> BTreeMap<String, Setting> {
    let old = |before: u16| version.major() < before;
    let of_version = if old(18) { BEFORE_18.as_slice() } else { SINCE_18.as_slice() };
    let least = if old(13) { "TLSv1" } else { "TLSv1.2" };
    let encryption = if old(14) { "md5" } else { "scram-sha-256" };
    let further = [("ssl_min_protocol_version", least), ("password_encryption", encryption)];
    let mut all: BTreeMap<String, Setting> = BUILT_IN
        .iter()
        .chain(of_version)
        .chain(&further)
        .map(|(name, boot)| ((*name).to_owned(), setting(files, name, boot)))
        .collect();
    for (name, file) in [("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")] {
        all.insert(name.to_owned(), setting(files, name, &place.data.join(file).to_string_lossy()));
    }
    all
}

fn setting(files: &Settings, name: &str, boot: &str) -> Setting {
    let effective = files.effective(name);
    let source = match &effective {
        None => "default",
        Some(Effective::CommandLine(_)) => "command line",
        Some(_) => "configuration file",
    };
    let value = effective.map(|found| String::from_utf8_lossy(found.value().as_bytes()).into_owned());
    Setting {
        value: value.unwrap_or_else(|| boot.to_owned()),
        source: source.to_owned(),
        boot: boot.to_owned(),
    }
}

/// What the wire would show if the server were started as its files stand.
fn expected(
    leaf: Option<&Certificate>,
    rules: &Ruleset,
    addresses: &[IpAddr],
    port: u16,
    who: &Login,
) -> View {
    let plaintext = addresses.first().map(|address| Connection {
        channel: Channel::Plain,
        address: Some(*address),
        name: ClientName::Unknown,
        user: who.username.as_str().into(),
        purpose: Purpose::Database(who.dbname.as_str().into()),
    });
    let world = World { roles: None, interfaces: None };
    View {
        at: addresses.first().map(|address| (*address, port).into()),
        user: who.username.clone(),
        dbname: who.dbname.clone(),
        certificate: leaf.map(|leaf| leaf.fingerprint().to_string()),
        plaintext: plaintext.and_then(|who| decide(&rules.rules, &who, &world).admits(&rules.rules)),
    }
}

/// The server program of the last start, where it may be run here: as root only one that is root's.
pub(super) async fn program(place: &mut Place) -> Result<Option<PathBuf>> {
    let found = place.program().await?;
    Ok(found
        .filter(|program| program.file_name().is_some_and(|name| name == "postgres"))
        .and_then(|program| crate::privilege::trusted::program(&program).ok()))
}

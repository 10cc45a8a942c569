//! A folder made by `pgseal up`: everything about its server is in it.

use std::net::{IpAddr, Ipv4Addr};

use pgseal_wire::{ClientCertificate, RootFile, SslNegotiation};

use super::connection::loaded;
use crate::failure::Result;
use crate::folder::layout::Folder;
use crate::folder::settings::Settings;
use crate::folder::{client_files, issued};
use crate::place::docker::Docker;
use crate::place::tunnel::Tunnel;
use crate::privilege::files;
use crate::verify::subject::{Issued, Subject};

/// The folder's password file has a line a name.
const LIMIT: u64 = 1 << 20;
/// Of a server that `up` made in a container.
const PORT_INSIDE: u16 = 5432;

/// What is promised of a folder's server.
pub(crate) fn folder_subject(folder: &Folder, settings: &Settings) -> Subject {
    let roots = RootFile::read(&folder.client_ca());
    let issued = match issued::certificate(folder) {
        Ok(certificate) => Issued::This(certificate.fingerprint()),
        Err(failure) => Issued::Unreadable(failure.sentence().to_owned()),
    };
    let password = files::read(&folder.passfile(), LIMIT)
        .ok()
        .and_then(|text| client_files::password_in(&text, settings));
    Subject {
        host: settings.host(),
        port: settings.server.port,
        addresses: settings.addresses(),
        names: settings.certificate.names.clone(),
        roots: loaded(roots),
        issued,
        negotiation: SslNegotiation::Postgres,
        username: settings.server.username.clone(),
        dbname: settings.server.dbname.clone(),
        password,
        certificate: ClientCertificate::None,
        wants_certificates: false,
        kept_out: None,
    }
}

/// The same for a container of that id. What a daemon elsewhere publishes on its own loopback is for itself: the way there
/// is docker's, as long as the tunnel is held.
pub(crate) async fn led_to(
    subject: Subject,
    docker: &Docker,
    container: &str,
) -> Result<(Subject, Option<Tunnel>)> {
    if docker.remote().is_none() || !subject.addresses.iter().all(IpAddr::is_loopback) {
        return Ok((subject, None));
    }
    let tunnel = Tunnel::open(docker, container, PORT_INSIDE).await?;
    let addresses = vec![Ipv4Addr::LOCALHOST.into()];
    Ok((Subject { addresses, port: tunnel.port(), ..subject }, Some(tunnel)))
}

//! What is true of docker and of this machine before the first byte is written. Looks, and changes nothing; an image
//! that docker has none of is pulled.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use pgseal_pki::SubjectAltName;

use super::super::run::say_progress;
use super::super::wish::Wish;
use crate::compose::client::Compose;
use crate::compose::daemon;
use crate::compose::image::Image;
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::place::docker::Docker;
use crate::privilege::trusted;
use crate::server::machine::host_name;
use crate::server::port;

/// Where none is named.
const DEFAULT_IMAGE: &str = "postgres:16-alpine";
const DEFAULT_PORT: u16 = 5432;

/// Facts for a new server in a container.
pub(crate) struct ComposeFacts {
    pub(crate) folder: Folder,
    pub(crate) docker: Docker,
    pub(crate) compose: Compose,
    pub(crate) image: Image,
    pub(crate) port: u16,
    pub(crate) listen: Vec<IpAddr>,
    /// This machine's name, where it is one that a certificate can carry.
    pub(crate) host_name: Option<SubjectAltName>,
}

pub(crate) async fn observe(
    wish: &Wish,
    folder: &Folder,
    folder_is_there: bool,
    may_pull: bool,
) -> Result<ComposeFacts> {
    if !folder_is_there {
        trusted::parent_for_root(folder.root().parent().unwrap_or_else(|| folder.root()))?;
    }
    let docker = daemon::answering().await?;
    let compose = Compose::find(&docker).await?;
    let listen = if wish.listen.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { wish.listen.clone() };
    let port = free_port(&docker, &listen, wish.port.unwrap_or(DEFAULT_PORT))?;
    let image = wish.image.as_deref().unwrap_or(DEFAULT_IMAGE);
    let image = Image::look(&docker, image, may_pull.then_some(&say_progress)).await?;
    let folder = folder.clone();
    Ok(ComposeFacts { folder, docker, compose, image, port, listen, host_name: host_name() })
}

/// The port, where it is free on all of the addresses; one that is, for 0. Of a daemon's machine elsewhere nothing
/// is known.
fn free_port(docker: &Docker, listen: &[IpAddr], wanted: u16) -> Result<u16> {
    if docker.remote().is_some() {
        return if wanted == 0 {
            Err(Failure::usage("--port 0 takes a port that is free here, and the containers run elsewhere")
                .hint("--port with a number"))
        } else {
            Ok(wanted)
        };
    }
    let mut port = wanted;
    for ip in listen {
        let address = SocketAddr::new(*ip, port);
        match TcpListener::bind(address).and_then(|listener| listener.local_addr()) {
            Ok(bound) => port = bound.port(),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(taken(address)),
            // Below 1024, or of the daemon's own machine: docker will say it.
            Err(_) if port != 0 => {}
            Err(error) => {
                return Err(Failure::new(format!("could not find a free port on {ip}: {error}"))
                    .hint("--listen with an address of this machine, or --port with a number"));
            }
        }
    }
    Ok(port)
}

fn taken(address: SocketAddr) -> Failure {
    let by = port::holder(address).map_or_else(
        || "the system does not tell by what".to_owned(),
        |holder| format!("it is held by {holder}"),
    );
    Failure::new(format!("port {} is taken on {}", address.port(), address.ip()))
        .because(by)
        .hint("--port with another one, or --port 0 for any that is free")
}

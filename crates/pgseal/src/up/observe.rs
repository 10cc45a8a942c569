//! What is true on this machine before `up` writes its first byte. Looks, and changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use pgseal_pki::SubjectAltName;

use super::binaries::Binaries;
use super::wish::Wish;
use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request, Trouble};
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::privilege::trusted;
use crate::privilege::user::SystemUser;
use crate::server::machine::host_name;
use crate::server::port;

/// Facts for a new server.
#[derive(Clone, Debug)]
pub(crate) struct UpFacts {
    pub(crate) folder: Folder,
    pub(crate) invoker: SystemUser,
    pub(crate) server_user: SystemUser,
    pub(crate) binaries: Binaries,
    pub(crate) port: u16,
    pub(crate) listen: Vec<IpAddr>,
    /// This machine's name, where it is one that a certificate can carry.
    pub(crate) host_name: Option<SubjectAltName>,
}

/// PostgreSQL's own port.
const DEFAULT_PORT: u16 = 5432;

pub(crate) async fn observe(
    wish: &Wish,
    folder: &Folder,
    folder_is_there: bool,
    delegate: &mut Delegate,
) -> Result<UpFacts> {
    reachable(folder, folder_is_there, delegate).await?;
    let binaries = Binaries::find(wish.bindir.as_deref(), delegate).await?;
    binaries.must_have_ssl(delegate).await?;
    let (listen, port) = free_port(wish, delegate).await?;
    Ok(UpFacts {
        folder: folder.clone(),
        invoker: SystemUser::current()?,
        server_user: delegate.user().clone(),
        binaries,
        port,
        listen,
        host_name: host_name(),
    })
}

/// The server's user must pass through every parent, and as root nobody else may move them.
async fn reachable(folder: &Folder, folder_is_there: bool, delegate: &mut Delegate) -> Result<()> {
    let root = folder.root();
    let parent = root.parent().unwrap_or(Path::new("/"));
    let deepest = if folder_is_there { root } else { parent };
    if !folder_is_there {
        trusted::parent_for_root(parent)?;
    }
    if let Err(trouble) = delegate.reach(deepest).await? {
        let user = delegate.user().name.clone();
        let closed = closed_parent(deepest, delegate).await?;
        return Err(Failure::new(format!(
            "user {user}, who runs the server, cannot pass through {}: {}",
            closed.display(),
            trouble.to_error()
        ))
        .because(format!("nothing was written to {}", root.display()))
        .hint(format!("chmod o+x {}, or a folder elsewhere, such as /srv/pgseal", closed.display())));
    }
    Ok(())
}

/// The topmost folder that stops the user.
async fn closed_parent(deepest: &Path, delegate: &mut Delegate) -> Result<PathBuf> {
    let mut parents: Vec<&Path> = deepest.ancestors().collect();
    parents.reverse();
    for parent in parents {
        if delegate.reach(parent).await?.is_err() {
            return Ok(parent.to_owned());
        }
    }
    Ok(deepest.to_owned())
}

/// The addresses to listen on and a port that is free on all of them. Without `--listen` the
/// loopbacks, as far as the machine has them.
async fn free_port(wish: &Wish, delegate: &mut Delegate) -> Result<(Vec<IpAddr>, u16)> {
    let listen = if wish.listen.is_empty() {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        wish.listen.clone()
    };
    let wanted = wish.port.unwrap_or(DEFAULT_PORT);
    let addresses: Vec<SocketAddr> = listen.iter().map(|ip| SocketAddr::new(*ip, wanted)).collect();
    let outcomes = match delegate.ask(&Request::TryListen { addresses: addresses.clone() }, &[]).await?.0 {
        Reply::Listened(outcomes) => outcomes,
        other => return Err(delegate.unexpected("try the port for", Path::new("/"), &other)),
    };
    let mut usable = Vec::new();
    let mut port = None;
    for (address, outcome) in addresses.iter().zip(outcomes) {
        match outcome {
            Ok(got) => {
                usable.push(address.ip());
                port = Some(got);
            }
            // A machine without IPv6 has no loopback or wildcard there, and nobody misses it.
            Err(trouble)
                if absent(&trouble) && (address.ip().is_loopback() || address.ip().is_unspecified()) => {}
            Err(trouble) => return Err(cannot_listen(*address, &trouble, &delegate.user().name)),
        }
    }
    port.map(|port| (usable, port))
        .ok_or_else(|| Failure::new("this machine has none of the addresses to listen on"))
}

/// EADDRNOTAVAIL, EAFNOSUPPORT: the machine has no such address.
fn absent(trouble: &Trouble) -> bool {
    let code = trouble.code.map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::ADDRNOTAVAIL | rustix::io::Errno::AFNOSUPPORT))
}

fn cannot_listen(address: SocketAddr, trouble: &Trouble, user: &str) -> Failure {
    let error = trouble.to_error();
    if error.kind() != std::io::ErrorKind::AddrInUse {
        return Failure::new(format!("user {user} cannot listen on {address}: {error}"))
            .hint("--listen with an address of this machine, and --port above 1023");
    }
    let by = port::holder(address).map_or_else(
        || "the system does not tell by what".to_owned(),
        |holder| format!("it is held by {holder}"),
    );
    Failure::new(format!("port {} is taken on {}: {error}", address.port(), address.ip()))
        .because(by)
        .hint("--port with another one, or --port 0 for any that is free")
}

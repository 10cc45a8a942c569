//! What lies in the home of the person who looks, and changes what their own libpq does with this server.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::{Endpoint, HostSpec};
use pgseal_pki::{Certificate, read_bundle};

use super::Notes;
use crate::privilege::files;
use crate::target::environment::{home, variable};
use crate::target::own_services;

const LIMIT: u64 = 4 << 20;
/// For the addresses of one name.
const PATIENCE: Duration = Duration::from_secs(5);
/// As many services are looked at.
const MOST: usize = 50;

/// Where the server that is looked at is reached from here.
pub(super) struct Reached<'a> {
    pub(super) addresses: &'a [IpAddr],
    pub(super) port: u16,
    /// At each address of this machine.
    pub(super) everywhere: bool,
}

impl Reached<'_> {
    fn is_at(&self, ip: IpAddr) -> bool {
        // Nobody can bind to an address that is another machine's.
        self.addresses.contains(&ip) || (self.everywhere && UdpSocket::bind((ip, 0)).is_ok())
    }
}

pub(super) async fn look(chain: Option<&[Certificate]>, reached: Option<Reached<'_>>, notes: &mut Notes<'_>) {
    let chain = chain.filter(|chain| !chain.is_empty());
    if let Some(reached) = reached.filter(|_| chain.is_some()) {
        services(&reached, notes).await;
    }
    if let (Some(path), Some(chain)) = (home(".postgresql/root.crt"), chain) {
        root(&path, chain, notes);
    }
    let passfile = variable("PGPASSFILE").map(Into::into).or_else(|| home(".pgpass"));
    if let Some(path) = passfile
        && let Ok(Some(found)) = files::status(&path)
        && found.mode & 0o077 != 0
    {
        notes.find("password-file-open", format!("{} has mode {:04o}", path.display(), found.mode));
    }
    if let Some(mode) = variable("PGSSLMODE")
        && matches!(mode.as_str(), "disable" | "allow" | "prefer")
    {
        notes.find("environment-without-tls", format!("PGSSLMODE={mode}"));
    }
}

/// Services of the person's own that lead to this server, as libpq fills them up from the environment.
async fn services(reached: &Reached<'_>, notes: &mut Notes<'_>) {
    for (name, mut service) in own_services().into_iter().take(MOST) {
        service.fill_defaults(&variable, PgVersion::LATEST);
        let mode = service.get("sslmode").unwrap_or_default().to_owned();
        if !matches!(mode.as_str(), "disable" | "allow" | "prefer") {
            continue;
        }
        for server in service.hosts().unwrap_or_default().iter().filter(|server| server.port == reached.port)
        {
            if leads_to(server, reached).await {
                notes.find(
                    "service-without-tls",
                    format!("[{name}] has sslmode={mode} for {}", shown(server)),
                );
                break;
            }
        }
    }
}

/// Over a Unix socket, which never carries TLS, nobody comes to a port; a name that cannot be resolved leads nowhere.
async fn leads_to(server: &HostSpec, reached: &Reached<'_>) -> bool {
    match server.endpoint() {
        Endpoint::Address(ip) => reached.is_at(ip),
        Endpoint::Name(name) => {
            let asked = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, server.port))).await;
            asked.is_ok_and(|told| told.is_ok_and(|mut found| found.any(|found| reached.is_at(found.ip()))))
        }
        Endpoint::Socket(_) | Endpoint::Default => false,
    }
}

fn shown(server: &HostSpec) -> String {
    match (&server.host, server.hostaddr) {
        (Some(host), _) => format!("{host}:{}", server.port),
        (None, Some(ip)) => SocketAddr::new(ip, server.port).to_string(),
        (None, None) => server.port.to_string(),
    }
}

/// libpq takes this file without being told to, and verifies by it from sslmode=require on.
fn root(path: &Path, chain: &[Certificate], notes: &mut Notes<'_>) {
    let Ok(bytes) = files::read_named(path, LIMIT) else { return };
    let roots = match read_bundle(&bytes) {
        Ok(bundle) => bundle.certificates,
        Err(error) => return notes.find("home-root-of-another-ca", format!("{}: {error}", path.display())),
    };
    let known = chain.iter().any(|certificate| {
        roots.iter().any(|root| root == certificate || certificate.check_signed_by(root).is_ok())
    });
    if !known {
        let evidence = format!("{} holds no CA of this server's certificate", path.display());
        notes.find("home-root-of-another-ca", evidence);
    }
}

//! What lies in the home of the person who looks, and changes what their own libpq does with this server.

use std::path::Path;

use pgseal_pki::{Certificate, LibpqRules, libpq_matches, read_bundle};

use super::Notes;
use crate::privilege::files;
use crate::target::environment::{home, variable};
use crate::target::own_services;

const LIMIT: u64 = 4 << 20;
const DEFAULT_PORT: u16 = 5432;

pub(super) fn look(chain: Option<&[Certificate]>, port: Option<u16>, notes: &mut Notes<'_>) {
    if let Some((leaf, port)) = chain.and_then(<[_]>::first).zip(port) {
        services(leaf, port, notes);
    }
    if let (Some(path), Some(chain)) = (home(".postgresql/root.crt"), chain.filter(|chain| !chain.is_empty()))
    {
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

/// Services of the person's own that lead to this server, by a name of its certificate.
fn services(leaf: &Certificate, port: u16, notes: &mut Notes<'_>) {
    for (name, service) in own_services() {
        let to_it =
            service.get("host").is_some_and(|host| libpq_matches(leaf, host, LibpqRules::default()).is_ok());
        let its_port = service.get("port").map_or(Some(DEFAULT_PORT), |port| port.parse().ok()) == Some(port);
        // What the service does not say the environment does.
        let said = service.get("sslmode").map(str::to_owned).or_else(|| variable("PGSSLMODE"));
        let usual = if service.get("sslrootcert") == Some("system") { "verify-full" } else { "prefer" };
        let mode = said.unwrap_or_else(|| usual.to_owned());
        if to_it && its_port && matches!(mode.as_str(), "disable" | "allow" | "prefer") {
            notes.find("service-without-tls", format!("[{name}] has sslmode={mode}"));
        }
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

//! What lies in the home of the person who looks, and changes what their own libpq does with this server.

use std::path::Path;

use pgseal_pki::{Certificate, read_bundle};

use super::Notes;
use crate::privilege::files;
use crate::target::environment::{home, variable};

const LIMIT: u64 = 4 << 20;

pub(super) fn look(chain: Option<&[Certificate]>, notes: &mut Notes<'_>) {
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

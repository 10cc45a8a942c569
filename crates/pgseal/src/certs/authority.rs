//! A CA's folder: its certificate, its key, who may read them. Knows files; what is issued is pgseal-pki's.

use std::path::{Path, PathBuf};

use pgseal_pki::{AuthorityError, CertificateAuthority};
use zeroize::Zeroizing;

use super::passphrase::Passphrase;
use crate::failure::{Failure, Result};
use crate::privilege::{files, trusted};

/// Certificates and keys are some kB.
const LIMIT: u64 = 4 << 20;

/// Whom a CA certifies. Apart, since whoever holds a server's certificate must not pass for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
}

impl Role {
    /// The name of its certificate's file.
    pub(crate) const fn certificate(self) -> &'static str {
        match self {
            Self::Server => "server-ca.crt",
        }
    }

    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Server => "server-ca.key",
        }
    }
}

/// The CA in a folder, ready to issue. Its key and its folder must be its owner's alone.
pub(crate) fn load(folder: &Path, role: Role, passphrase: &Passphrase) -> Result<CertificateAuthority> {
    let absolute = std::path::absolute(folder).map_err(|error| Failure::io("resolve", folder, &error))?;
    trusted::folder_for_root(&absolute)?;
    let (certificate, key) = (absolute.join(role.certificate()), absolute.join(role.key()));
    for path in [&key, &absolute] {
        must_be_private(folder, path)?;
    }
    let (certificates, sealed) = (read(&certificate)?, read(&key)?);
    let opened = match CertificateAuthority::load(&certificates, &sealed, None) {
        Err(AuthorityError::PassphraseNeeded) => {
            let words = passphrase.reveal(&format!("the CA key {}", key.display()))?;
            CertificateAuthority::load(&certificates, &sealed, Some(words.reveal().as_bytes()))
        }
        other => other,
    };
    opened.map_err(|error| Failure::new(format!("the CA in {} cannot issue: {error}", folder.display())))
}

/// Its own certificate's file.
pub(crate) fn certificate_of(folder: &Path, role: Role) -> PathBuf {
    folder.join(role.certificate())
}

fn must_be_private(folder: &Path, path: &Path) -> Result<()> {
    let found = files::status(path).map_err(|error| Failure::io("look at", path, &error))?;
    let found = found.ok_or_else(|| {
        Failure::usage(format!("--ca {}: there is no {}", folder.display(), path.display()))
            .hint("--new-ca DIR makes one")
    })?;
    if found.mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("the CA key is not private: {} has mode {:04o}", path.display(), found.mode))
        .hint(format!("chmod go= {}, and if somebody may have read it, make a new CA", path.display())))
}

/// As root only what nobody else could have put there.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    trusted::file_for_root(path)?;
    files::read_plain(path, LIMIT).map_err(|error| Failure::io("read", path, &error))
}

//! A CA's folder: its certificate, its key, who may read them. Knows files; what is issued is pgseal-pki's.

use std::fmt;
use std::path::{Path, PathBuf};

use pgseal_pki::{AuthorityError, AuthorityRequest, Certificate, CertificateAuthority, read_bundle};
use zeroize::Zeroizing;

use super::passphrase::Passphrase;
use crate::failure::{Failure, Result};
use crate::privilege::secret::Secret;
use crate::privilege::{files, trusted};

/// Certificates and keys are some kB.
const LIMIT: u64 = 4 << 20;
const PRIVATE_FOLDER: u32 = 0o700;
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Whom a CA certifies. Apart, since whoever holds a server's certificate must not pass for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

impl Role {
    /// The name of its certificate's file.
    pub(crate) const fn certificate(self) -> &'static str {
        match self {
            Self::Server => "server-ca.crt",
            Self::Client => "client-ca.crt",
        }
    }

    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Server => "server-ca.key",
            Self::Client => "client-ca.key",
        }
    }

    /// The name of its revocation list's file.
    pub(crate) const fn list(self) -> &'static str {
        match self {
            Self::Server => "server-ca.crl",
            Self::Client => "client-ca.crl",
        }
    }

    const fn option(self) -> &'static str {
        match self {
            Self::Server => "",
            Self::Client => " --client",
        }
    }
}

/// The CA in a folder, ready to issue. Its key and its folder must be its owner's alone.
pub(crate) fn load(folder: &Path, role: Role, passphrase: &Passphrase) -> Result<CertificateAuthority> {
    let absolute = resolved(folder)?;
    trusted::folder_for_root(&absolute)?;
    let (certificate, key) = (absolute.join(role.certificate()), absolute.join(role.key()));
    for path in [&key, &absolute] {
        must_be_private(folder, role, path)?;
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

/// Makes a CA in a folder: 0700, its key 0600 and never over another one.
pub(crate) fn create(
    folder: &Path,
    role: Role,
    request: &AuthorityRequest,
    passphrase: Option<&Secret>,
) -> Result<CertificateAuthority> {
    let absolute = resolved(folder)?;
    place_for(folder, &absolute, role)?;
    let authority = CertificateAuthority::create(request)
        .map_err(|error| Failure::new(format!("could not make the CA: {error}")))?;
    let key = match passphrase {
        None => Zeroizing::new(authority.key_pem().as_str().to_owned()),
        Some(passphrase) => authority
            .encrypted_key_pem(passphrase.reveal().as_bytes())
            .map_err(|error| Failure::new(format!("could not encrypt the CA's key: {error}")))?,
    };
    if files::status(&absolute).map_err(|error| Failure::io("look at", &absolute, &error))?.is_none() {
        files::make_folder(&absolute, PRIVATE_FOLDER)
            .map_err(|error| Failure::io("make the folder", &absolute, &error))?;
    }
    let write = |name: &str, mode: u32, bytes: &[u8]| {
        let path = absolute.join(name);
        files::create(&path, mode, bytes).map_err(|error| Failure::io("write", &path, &error))
    };
    write(role.key(), SECRET, key.as_bytes())?;
    if let Err(failure) = write(role.certificate(), PUBLIC, authority.certificate_pem().as_bytes()) {
        // Half a CA would be in the way of a whole one.
        let _ = files::remove(&absolute.join(role.key()));
        return Err(failure);
    }
    Ok(authority)
}

fn place_for(folder: &Path, absolute: &Path, role: Role) -> Result<()> {
    let look = |path: &Path| files::status(path).map_err(|error| Failure::io("look at", path, &error));
    if look(absolute)?.is_some() {
        trusted::folder_for_root(absolute)?;
        must_be_private(folder, role, absolute)?;
        for name in [role.key(), role.certificate()] {
            if look(&absolute.join(name))?.is_some() {
                return Err(Failure::usage(format!("{} is there already", absolute.join(name).display()))
                    .because("a CA is never written over; nothing was changed")
                    .hint(format!(
                        "pgseal cert ca show {}{}, or another folder",
                        folder.display(),
                        role.option()
                    )));
            }
        }
        return Ok(());
    }
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    if !parent.is_dir() {
        return Err(Failure::usage(format!("there is no folder {}", parent.display()))
            .hint(format!("mkdir -p {}", parent.display())));
    }
    trusted::parent_for_root(parent)
}

/// The CA's own certificates, its issuers behind it. Nothing is needed but to read them.
pub(crate) fn certificates(folder: &Path, role: Role) -> Result<Vec<Certificate>> {
    let path = certificate_of(&resolved(folder)?, role);
    if files::status(&path).map_err(|error| Failure::io("look at", &path, &error))?.is_none() {
        return Err(missing(folder, role, &path));
    }
    let bundle = read_bundle(&read(&path)?)
        .map_err(|error| Failure::new(format!("{} cannot be read as PEM: {error}", path.display())))?;
    if bundle.certificates.is_empty() {
        return Err(Failure::new(format!("{} holds no certificate", path.display())));
    }
    Ok(bundle.certificates)
}

/// Its own certificate's file.
pub(crate) fn certificate_of(folder: &Path, role: Role) -> PathBuf {
    folder.join(role.certificate())
}

pub(crate) fn resolved(folder: &Path) -> Result<PathBuf> {
    std::path::absolute(folder).map_err(|error| Failure::io("resolve", folder, &error))
}

fn missing(folder: &Path, role: Role, path: &Path) -> Failure {
    Failure::usage(format!("there is no {role} CA in {}: no {}", folder.display(), path.display()))
        .because("nothing was changed")
        .hint(format!("pgseal cert ca init {}{} makes one", folder.display(), role.option()))
}

fn must_be_private(folder: &Path, role: Role, path: &Path) -> Result<()> {
    let found = files::status(path).map_err(|error| Failure::io("look at", path, &error))?;
    let found = found.ok_or_else(|| missing(folder, role, path))?;
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

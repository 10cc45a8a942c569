//! Whom clients are told to trust: a CA, where it is known from, and the path under which they find it.
//!
//! Knows the places that a CA can come from; refuses to trust what only the server itself vouches for, unless asked to.

use std::path::Path;

use pgseal_pki::Certificate;
use pgseal_wire::{RootFile, Roots};

use crate::failure::{Failure, Result};
use crate::target::{Client, Given};

/// Where the public authorities lie in one file: Debian and its kin, Red Hat and its kin, openSUSE, Alpine and macOS.
const SYSTEM_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How a CA came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A root file that lies here.
    File,
    /// It lies beside the server's certificate, and signed it.
    Server,
    /// The public authorities.
    System,
    /// The server itself said so, just now.
    FirstUse,
}

impl From {
    /// The word in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Server => "server",
            Self::System => "system",
            Self::FirstUse => "first-use",
        }
    }
}

/// A CA that clients can be told of.
pub(crate) struct Trusted {
    pub(crate) from: From,
    pub(crate) given: Given,
    /// Empty for the public authorities.
    pub(crate) certificates: Vec<Certificate>,
    /// Where clients find it.
    pub(crate) path: String,
    /// Whether it lies there already, on this machine.
    pub(crate) lies_there: bool,
}

impl Trusted {
    /// What a client file has to hold; None for the public authorities.
    pub(crate) fn pem(&self) -> Option<String> {
        (self.from != From::System).then(|| self.certificates.iter().map(Certificate::pem).collect())
    }
}

/// The CA that this client has. `path` is where the user says that its clients find it.
pub(crate) fn of_client(client: &Client, path: Option<&str>) -> Result<Option<Trusted>> {
    match &client.given {
        Given::Nothing => Ok(None),
        Given::System => of_system(path).map(Some),
        Given::File(file) => of_file(file, path).map(Some),
        Given::Known(roots) => Ok(Some(known(From::Server, roots.clone(), path, client))),
    }
}

fn of_file(file: &str, path: Option<&str>) -> Result<Trusted> {
    let roots = match RootFile::read(Path::new(file)) {
        RootFile::Loaded(roots) => roots,
        RootFile::Absent { path } => {
            return Err(Failure::new(format!("root certificate file \"{path}\" does not exist"))
                .hint("--sslrootcert FILE"));
        }
        RootFile::Unusable(error) => {
            return Err(Failure::new(error.to_string()).hint("pgseal cert show FILE"));
        }
    };
    let here = std::fs::canonicalize(file)
        .map_err(|error| Failure::io("find the root certificate file", Path::new(file), &error))?;
    let here = here.to_str().ok_or_else(|| {
        Failure::new(format!(
            "the path {} is not UTF-8, and no connection string can hold it",
            here.display()
        ))
    })?;
    Ok(Trusted {
        from: From::File,
        certificates: roots.certificates().to_vec(),
        given: Given::File(file.to_owned()),
        lies_there: path.is_none_or(|path| path == here),
        path: path.unwrap_or(here).to_owned(),
    })
}

/// The public authorities, as a file: drivers without a word for them can be given that.
pub(crate) fn of_system(path: Option<&str>) -> Result<Trusted> {
    let here = SYSTEM_FILES.into_iter().find(|file| Path::new(file).exists());
    let Some(file) = path.or(here) else {
        return Err(Failure::new("no file with the public authorities was found on this system")
            .because(format!("looked for {}", SYSTEM_FILES.join(", ")))
            .hint("the package ca-certificates, or --ca-path PATH for where clients have theirs"));
    };
    Ok(Trusted {
        from: From::System,
        given: Given::System,
        certificates: Vec::new(),
        path: file.to_owned(),
        lies_there: Some(file) == here,
    })
}

/// A CA that lies in no file of a client's yet: its place is the one where libpq looks unasked.
fn known(from: From, roots: Roots, path: Option<&str>, client: &Client) -> Trusted {
    Trusted {
        from,
        certificates: roots.certificates().to_vec(),
        given: Given::Known(roots),
        lies_there: false,
        path: path.map_or_else(|| client.no_root_file(), str::to_owned),
    }
}

/// What the server shows as its own authority: the self-signed end of its chain.
pub(crate) fn of_first_use(chain: &[Certificate], path: Option<&str>, client: &Client) -> Result<Trusted> {
    let Some(authority) = chain.iter().find(|one| one.self_signed()) else {
        let leaf = chain.first().map(|leaf| leaf.issuer().to_string()).unwrap_or_default();
        return Err(Failure::stopped(
            "the server shows its certificate without the authority that signed it",
        )
        .because(format!("it was signed by {leaf}, whose certificate is not among what it sends"))
        .hint("fetch that CA from who runs the server, then --sslrootcert FILE"));
    };
    let roots = Roots::from_certificates("what the server showed", vec![authority.clone()])
        .map_err(|error| Failure::new(error.to_string()))?;
    Ok(known(From::FirstUse, roots, path, client))
}

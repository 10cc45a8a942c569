//! Whom we trust: libpq's root file, or the system's store.

use std::fmt;
use std::path::Path;

use pgseal_pki::{Certificate, RevocationList};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::revocation::{self, Revocation};
use crate::libpq::LibpqVersion;

/// A root file larger than this is no root file (the whole of Mozilla's store is 0.2 MiB).
const MAX_ROOT_FILE: u64 = 8 * 1024 * 1024;

/// The word that is no file from libpq 16 on.
const SYSTEM: &str = "system";

/// Trusted certificates, and where they came from. Only the system's store may be empty.
#[derive(Debug, Clone)]
pub struct Roots {
    described_as: String,
    certificates: Vec<Certificate>,
    system: bool,
    /// Lists that lay among the certificates; they count once lists are asked.
    beside: Vec<RevocationList>,
    asked: Option<Vec<RevocationList>>,
}

impl Roots {
    /// From PEM text. `described_as` is what errors call it, usually the file's path.
    pub fn from_pem(described_as: impl Into<String>, pem: &[u8]) -> Result<Self, RootsError> {
        let described_as = described_as.into();
        let fail = |problem: String| RootsError { described_as: described_as.clone(), problem };
        let mut certificates = Vec::new();
        for block in CertificateDer::pem_slice_iter(pem) {
            let der = block.map_err(|error| fail(format!("broken PEM: {error}")))?;
            let certificate = Certificate::from_der(&der).map_err(|error| fail(error.to_string()))?;
            certificates.push(certificate);
        }
        let beside = revocation::sections(pem).unwrap_or_default().lists;
        Ok(Self { beside, ..Self::from_certificates(described_as, certificates)? })
    }

    /// From certificates that are already read.
    pub fn from_certificates(
        described_as: impl Into<String>,
        certificates: Vec<Certificate>,
    ) -> Result<Self, RootsError> {
        let described_as = described_as.into();
        if certificates.is_empty() {
            // libpq's words (SSL_CTX_load_verify_locations of OpenSSL 3).
            let problem = "no certificate or crl found".to_owned();
            return Err(RootsError { described_as, problem });
        }
        Ok(Self { described_as, certificates, system: false, beside: Vec::new(), asked: None })
    }

    /// The system's store, as `sslrootcert=system` of libpq 16 and later. Certificates in it
    /// that cannot be read are passed over, as OpenSSL does.
    pub fn system() -> Result<Self, RootsError> {
        let roots = Self::of_system();
        if roots.certificates.is_empty() {
            return Err(RootsError {
                described_as: roots.described_as,
                problem: "the system's store holds no certificate that can be read".to_owned(),
            });
        }
        Ok(roots)
    }

    fn of_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let certificates = found.certs.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
        Self { described_as: SYSTEM.to_owned(), certificates, system: true, beside: Vec::new(), asked: None }
    }

    /// The same roots with revocation lists to ask, where they are to be asked.
    #[must_use]
    pub fn asking(mut self, revocation: &Revocation) -> Self {
        if let Revocation::Asked(found) = revocation {
            self.certificates.extend(found.certificates.iter().cloned());
            self.asked = Some(found.lists.iter().chain(&self.beside).cloned().collect());
        }
        self
    }

    /// The lists that every chain is judged by; None where nobody asks.
    pub fn lists(&self) -> Option<&[RevocationList]> {
        self.asked.as_deref()
    }

    /// Whether they are the system's, with which libpq takes no mode but verify-full.
    pub const fn is_system(&self) -> bool {
        self.system
    }

    /// The file's path, or `system`.
    pub fn described_as(&self) -> &str {
        &self.described_as
    }

    /// The certificates, in the order of the file.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

/// Roots that cannot be had. The text is libpq's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read root certificate file \"{described_as}\": {problem}")]
pub struct RootsError {
    /// The file.
    pub described_as: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Roots that were wanted and are not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoots {
    /// There is no such file.
    Absent {
        /// The path that was looked at.
        path: String,
    },
    /// It is there and cannot be used.
    Unusable(RootsError),
}

impl NoRoots {
    /// libpq's words for it (`initialize_SSL`, fe-secure-openssl.c).
    pub fn libpq_text(&self, libpq: LibpqVersion) -> String {
        match self {
            Self::Unusable(error) => error.to_string(),
            Self::Absent { path } => {
                let or_system = if libpq.knows_system_roots() {
                    ", use the system's trusted roots with sslrootcert=system,"
                } else {
                    ""
                };
                format!(
                    "root certificate file \"{path}\" does not exist\nEither provide the file{or_system} \
                     or change sslmode to disable server certificate verification."
                )
            }
        }
    }
}

/// The first line of libpq's text.
impl fmt::Display for NoRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(error) => write!(f, "{error}"),
            Self::Absent { path } => write!(f, "root certificate file \"{path}\" does not exist"),
        }
    }
}

/// `sslrootcert` as libpq finds it.
#[derive(Debug, Clone)]
pub enum RootFile {
    /// There is no such file: prefer and require do not verify, verify-* refuse.
    Absent {
        /// The path that was looked at.
        path: String,
    },
    /// It is there and cannot be used: every TLS attempt fails.
    Unusable(RootsError),
    /// It is there: every TLS attempt verifies the chain.
    Loaded(Roots),
}

impl RootFile {
    /// Whether this is the system's store and no file.
    pub const fn is_system(&self) -> bool {
        matches!(self, Self::Loaded(roots) if roots.is_system())
    }

    /// What a libpq of this version makes of `sslrootcert`: from 16 on `system` is the system's
    /// store, before that a file of that name.
    pub fn of(sslrootcert: &str, libpq: LibpqVersion) -> Self {
        if Self::means_the_system(sslrootcert, libpq) {
            return Self::Loaded(Roots::of_system());
        }
        Self::read(Path::new(sslrootcert))
    }

    /// Whether it is no file, but the word for the system's store.
    pub fn means_the_system(sslrootcert: &str, libpq: LibpqVersion) -> bool {
        sslrootcert == SYSTEM && libpq.knows_system_roots()
    }

    /// Reads a root file. Not being able to look at it is the same as its absence, as with
    /// libpq's `stat()` (`initialize_SSL`, fe-secure-openssl.c).
    pub fn read(path: &Path) -> Self {
        let shown = path.display().to_string();
        if std::fs::metadata(path).is_err() {
            return Self::Absent { path: shown };
        }
        let unusable = |problem: String| Self::Unusable(RootsError { described_as: shown.clone(), problem });
        match revocation::bounded(path, MAX_ROOT_FILE) {
            Err(problem) => unusable(problem),
            Ok(pem) => match Roots::from_pem(shown.clone(), &pem) {
                Ok(roots) => Self::Loaded(roots),
                Err(error) => Self::Unusable(error),
            },
        }
    }

    /// The same with revocation lists: libpq looks for them only where there are roots.
    #[must_use]
    pub fn asking(self, revocation: &Revocation) -> Self {
        match self {
            Self::Loaded(roots) => Self::Loaded(roots.asking(revocation)),
            other => other,
        }
    }
}

/// The path.
impl fmt::Display for RootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent { path } => path,
            Self::Unusable(error) => &error.described_as,
            Self::Loaded(roots) => roots.described_as(),
        })
    }
}

//! Whom we trust: libpq's root file, or the system's store.

use std::fmt;
use std::io::Read;
use std::path::Path;

use pgseal_pki::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::libpq::LibpqVersion;

/// A root file larger than this is no root file (the whole of Mozilla's store is 0.2 MiB).
const MAX_ROOT_FILE: u64 = 8 * 1024 * 1024;

/// Trusted certificates, and where they came from. Never empty.
#[derive(Debug, Clone)]
pub struct Roots {
    described_as: String,
    certificates: Vec<Certificate>,
    system: bool,
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
        Self::from_certificates(described_as, certificates)
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
        Ok(Self { described_as, certificates, system: false })
    }

    /// The system's store, as `sslrootcert=system` of libpq 16 and later. Certificates in it
    /// that cannot be read are passed over, as OpenSSL does.
    pub fn system() -> Result<Self, RootsError> {
        let found = rustls_native_certs::load_native_certs();
        let certificates: Vec<_> =
            found.certs.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
        let roots = Self::from_certificates("system", certificates).map_err(|error| RootsError {
            problem: "the system's store holds no certificate that can be read".to_owned(),
            ..error
        })?;
        Ok(Self { system: true, ..roots })
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

    /// Reads a root file. Not being able to look at it is the same as its absence, as with
    /// libpq's `stat()` (`initialize_SSL`, fe-secure-openssl.c).
    pub fn read(path: &Path) -> Self {
        let shown = path.display().to_string();
        let Ok(metadata) = std::fs::metadata(path) else {
            return Self::Absent { path: shown };
        };
        let unusable = |problem: String| Self::Unusable(RootsError { described_as: shown.clone(), problem });
        if !metadata.is_file() {
            // Opening or reading a pipe could take for ever.
            return unusable("it is no regular file".to_owned());
        }
        let mut pem = Vec::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(MAX_ROOT_FILE + 1).read_to_end(&mut pem));
        match read {
            Err(error) => unusable(crate::wire_error::system_text(&error)),
            Ok(_) if pem.len() as u64 > MAX_ROOT_FILE => {
                unusable(format!("larger than {MAX_ROOT_FILE} bytes"))
            }
            Ok(_) => match Roots::from_pem(shown.clone(), &pem) {
                Ok(roots) => Self::Loaded(roots),
                Err(error) => Self::Unusable(error),
            },
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

//! The certificate that a client shows: `sslcert`, `sslkey`, `sslpassword`, `sslcertmode`, found and refused as
//! libpq does.
//!
//! Knows files, their modes and what OpenSSL would load from them; refuses to know where a home is.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use pgseal_pki::bundle::OpenError;
use pgseal_pki::{Certificate, KeyError, KeyPem, PrivateKey, read_bundle};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::revocation::bounded;
use super::roots::RootFile;
use crate::libpq::LibpqVersion;
use crate::wire_error::system_text;

/// Files of certificates and keys larger than this are no such files.
const MAX_FILE: u64 = 1024 * 1024;

/// libpq's `sslcertmode` (16 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum SslCertMode {
    /// Never shown, even if there is one.
    Disable,
    /// Shown where there is one and the server asks. libpq's default, and its only way before 16.
    #[default]
    Allow,
    /// The server has to ask for one and to be shown one.
    Require,
}

impl SslCertMode {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Disable, Self::Allow, Self::Require];

    /// The word as libpq spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Require => "require",
        }
    }
}

impl fmt::Display for SslCertMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of the three. Its text is libpq's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid sslcertmode value: \"{}\"", .0.escape_debug())]
pub struct InvalidSslCertMode(pub String);

impl FromStr for SslCertMode {
    type Err = InvalidSslCertMode;

    /// Case-sensitive, as libpq reads it.
    fn from_str(word: &str) -> Result<Self, InvalidSslCertMode> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == word)
            .ok_or_else(|| InvalidSslCertMode(word.to_owned()))
    }
}

/// What there is to show.
#[derive(Debug, Clone, Default)]
pub enum ClientCertificate {
    /// Nothing: no file, or not to be shown.
    #[default]
    None,
    /// A certificate with its key.
    Ready(Arc<ClientIdentity>),
    /// Every TLS attempt ends here: libpq looks at these files before it begins the handshake.
    Unusable(ClientCertificateError),
}

/// A chain and its key, ready to be shown. The key is in rustls's keeping.
pub struct ClientIdentity {
    leaf: Certificate,
    others: Vec<Certificate>,
    certified: Arc<CertifiedKey>,
}

impl ClientIdentity {
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// The certificate itself.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// What is sent behind it: the issuers of the file, else those found among the roots.
    pub fn others(&self) -> &[Certificate] {
        &self.others
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientIdentity({})", self.leaf.subject())
    }
}

/// Why a certificate cannot be shown, in libpq's words (`initialize_SSL`, fe-secure-openssl.c). Behind the colon of
/// the texts with `why` libpq prints what its OpenSSL says; it is that where OpenSSL's words are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCertificateError {
    /// It could not be looked at, for another reason than that it is not there.
    #[error("could not open certificate file \"{path}\": {why}")]
    CertificateOutOfReach {
        /// The file.
        path: String,
        /// The system's words.
        why: String,
    },
    /// It holds no certificate that can be read.
    #[error("could not read certificate file \"{path}\": {why}")]
    CertificateUnreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate is there and its key is not.
    #[error("certificate present, but not private key file \"{0}\"")]
    NoKey(String),
    /// The key could not be looked at.
    #[error("could not stat private key file \"{path}\": {why}")]
    KeyOutOfReach {
        /// The file.
        path: String,
        /// The system's words.
        why: String,
    },
    /// A directory, a pipe.
    #[error("private key file \"{0}\" is not a regular file")]
    KeyNotRegular(String),
    /// Others may read it.
    #[error(
        "private key file \"{0}\" has group or world access; file must have permissions u=rw (0600) or less if owned by \
         the current user, or permissions u=rw,g=r (0640) or less if owned by root"
    )]
    KeyOpenToOthers(String),
    /// It holds no key that can be read, needs a passphrase, or is another certificate's.
    #[error("could not load private key file \"{path}\": {why}")]
    KeyUnreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key is of another kind than the certificate's.
    #[error("certificate does not match private key file \"{0}\": no certificate assigned")]
    KeyOfAnotherKind(String),
    /// OpenSSL could load it and rustls cannot: the third answer, no verdict on libpq.
    #[error("the private key file \"{path}\" cannot be used here: {why}")]
    NotSupportedHere {
        /// The file.
        path: String,
        /// What is missing here.
        why: String,
    },
}

impl ClientCertificateError {
    /// Whether libpq might succeed where this failed.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::NotSupportedHere { .. })
    }
}

/// Which files to look at.
#[derive(Clone, Default)]
pub struct ClientFiles<'a> {
    /// `sslcert`, else the home's `postgresql.crt`; None: there is no home.
    pub certificate: Option<&'a Path>,
    /// `sslkey`, else the home's `postgresql.key`.
    pub key: Option<&'a str>,
    /// `sslpassword`.
    pub passphrase: Option<&'a str>,
    /// `sslcertmode`.
    pub mode: SslCertMode,
}

impl ClientCertificate {
    /// Looks at the files as a libpq of this version does. A certificate that is not there is passed over.
    /// `roots` are asked for the issuers that the file lacks, since OpenSSL sends those along.
    pub fn read(files: &ClientFiles<'_>, roots: &RootFile, libpq: LibpqVersion) -> Self {
        match identity(files, roots, libpq) {
            Ok(Some(identity)) => Self::Ready(Arc::new(identity)),
            Ok(None) => Self::None,
            Err(error) => Self::Unusable(error),
        }
    }
}

fn identity(
    files: &ClientFiles<'_>,
    roots: &RootFile,
    libpq: LibpqVersion,
) -> Result<Option<ClientIdentity>, ClientCertificateError> {
    let Some(path) = files.certificate.filter(|_| files.mode != SslCertMode::Disable) else {
        return Ok(None);
    };
    let Some(mut chain) = chain(path)? else { return Ok(None) };
    let Some(leaf) = chain.first().cloned() else { return Ok(None) };
    let Some(key) = files.key else {
        // Without a home there is no key to look for, and OpenSSL finds none that fits.
        return Err(ClientCertificateError::KeyOfAnotherKind(String::new()));
    };
    let key_pem = key_file(key, files.passphrase, &leaf, libpq)?;
    let ours =
        |why: &str| ClientCertificateError::NotSupportedHere { path: key.to_owned(), why: why.to_owned() };
    let der = PrivateKeyDer::try_from(key_pem.pkcs8_der().to_vec()).map_err(ours)?;
    let key = any_supported_type(&der).map_err(|error| ours(&error.to_string()))?;
    if chain.len() == 1
        && let RootFile::Loaded(roots) = roots
    {
        complete(&mut chain, roots.certificates());
    }
    let sent = chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
    let others = chain.split_off(1);
    Ok(Some(ClientIdentity { leaf, others, certified: Arc::new(CertifiedKey::new(sent, key)) }))
}

/// The certificates of the file, the client's own first; None where there is no such file.
fn chain(path: &Path) -> Result<Option<Vec<Certificate>>, ClientCertificateError> {
    let shown = path.display().to_string();
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => {
            let why = system_text(&error);
            return Err(ClientCertificateError::CertificateOutOfReach { path: shown, why });
        }
    }
    let unreadable = |why: String| ClientCertificateError::CertificateUnreadable { path: shown.clone(), why };
    let pem = bounded(path, MAX_FILE).map_err(unreadable)?;
    let mut chain = Vec::new();
    for block in CertificateDer::pem_slice_iter(&pem) {
        let der = block.map_err(|error| unreadable(error.to_string()))?;
        chain.push(Certificate::from_der(&der).map_err(|error| unreadable(error.to_string()))?);
    }
    if chain.is_empty() {
        // OpenSSL's words.
        return Err(unreadable("no start line".to_owned()));
    }
    Ok(Some(chain))
}

/// The issuers among the trusted ones, the root too: what OpenSSL sends where the file holds the leaf alone
/// (`ssl_add_cert_chain`).
fn complete(chain: &mut Vec<Certificate>, trusted: &[Certificate]) {
    const MOST: usize = 10;
    while let Some(last) = chain.last()
        && !last.self_issued()
        && chain.len() < MOST
    {
        let issuer = trusted.iter().find(|one| {
            one.subject().same_as(last.issuer()) && last.check_signed_by(one).is_ok() && *one != last
        });
        let Some(issuer) = issuer else { return };
        chain.push(issuer.clone());
    }
}

fn key_file(
    path: &str,
    passphrase: Option<&str>,
    leaf: &Certificate,
    libpq: LibpqVersion,
) -> Result<KeyPem, ClientCertificateError> {
    use ClientCertificateError as E;
    let shown = || path.to_owned();
    if path.contains(':') {
        let why = "libpq takes it for a key of an OpenSSL engine (engine:key)".to_owned();
        return Err(E::NotSupportedHere { path: shown(), why });
    }
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(E::NoKey(shown())),
        Err(_) if !libpq.tells_why_a_key_is_out_of_reach() => return Err(E::NoKey(shown())),
        Err(error) => return Err(E::KeyOutOfReach { path: shown(), why: system_text(&error) }),
    };
    if !found.is_file() {
        return Err(E::KeyNotRegular(shown()));
    }
    if open_to_others(&found) {
        return Err(E::KeyOpenToOthers(shown()));
    }
    let bytes = bounded(Path::new(path), MAX_FILE).map_err(|why| E::KeyUnreadable { path: shown(), why })?;
    let key = open_key(&Zeroizing::new(bytes), path, passphrase)?;
    if key.belongs_to(leaf) {
        return Ok(key);
    }
    if key.kind().to_string().split(' ').next() == leaf.public_key().kind().to_string().split(' ').next() {
        // OpenSSL's words.
        return Err(E::KeyUnreadable { path: shown(), why: "key values mismatch".to_owned() });
    }
    Err(E::KeyOfAnotherKind(shown()))
}

/// PEM first, then DER, as libpq tries them.
fn open_key(bytes: &[u8], path: &str, passphrase: Option<&str>) -> Result<KeyPem, ClientCertificateError> {
    use ClientCertificateError as E;
    let unreadable = |why: &str| E::KeyUnreadable { path: path.to_owned(), why: why.to_owned() };
    let found = match read_bundle(bytes) {
        Ok(bundle) => bundle.private_key,
        Err(pgseal_pki::BundleError::KeyInDer) => KeyPem::from_der(bytes).ok().map(PrivateKey::Plain),
        Err(pgseal_pki::BundleError::Key {
            error: KeyError::UnsupportedEncryption | KeyError::Unsupported,
            line,
        }) => {
            let why = format!("the kind of key or of encryption at its line {line} is not read here");
            return Err(E::NotSupportedHere { path: path.to_owned(), why });
        }
        Err(error) => return Err(unreadable(&error.to_string())),
    };
    let key = found.ok_or_else(|| unreadable("no start line"))?;
    key.open(Some(passphrase.unwrap_or_default().as_bytes())).map_err(|error| match error {
        OpenError::Key(KeyError::UnsupportedEncryption | KeyError::Unsupported) => {
            E::NotSupportedHere { path: path.to_owned(), why: error.to_string() }
        }
        // OpenSSL's words.
        _ => unreadable("bad decrypt"),
    })
}

/// 0600 or less, or 0640 or less where root owns it. Who else owns it does not count.
#[cfg(unix)]
fn open_to_others(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let forbidden = if found.uid() == 0 { 0o037 } else { 0o077 };
    found.mode() & forbidden != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &Metadata) -> bool {
    false
}

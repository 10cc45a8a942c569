//! Our own certificate authority: made, loaded, and used to issue server certificates.
//!
//! Knows what a certificate must say so that OpenSSL in strict mode, rustls, Go and Java take it;
//! refuses to know files, and never issues what outlives the authority.

mod error;
mod issue;
mod list;
mod renew;

use time::OffsetDateTime;
use zeroize::Zeroizing;

pub use self::error::AuthorityError;
pub use self::issue::{ClientRequest, IssuedCertificate, LeafRequest};
pub use self::list::ListRequest;
use crate::bundle::{OpenError, read_bundle};
use crate::certificate::Certificate;
use crate::encryption;
use crate::key::{KeyError, KeyPem, KeyType};
use crate::permitted::PermittedNames;
use crate::public_key::KeyKind;
use crate::subject::Subject;

/// What a new authority is to be.
#[derive(Clone, Debug)]
pub struct AuthorityRequest {
    /// Its name, which must not be empty.
    pub subject: Subject,
    /// The kind of its key.
    pub key_type: KeyType,
    /// First moment of validity, cut to whole seconds.
    pub not_before: OffsetDateTime,
    /// Last moment of validity, cut to whole seconds.
    pub not_after: OffsetDateTime,
    /// The only names it may certify, where that is wanted (RFC 5280 section 4.2.1.10).
    pub permitted: Option<PermittedNames>,
}

/// An authority with its key, ready to issue. The key is wiped when dropped; `Debug` shows the
/// certificate only.
pub struct CertificateAuthority {
    certificate: Certificate,
    /// Its own issuers without the root, nearest first; empty for a root.
    issuers: Vec<Certificate>,
    key: KeyPem,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl CertificateAuthority {
    /// Makes a self-signed authority: `CA:TRUE, pathlen:0` and `keyCertSign, cRLSign`, both
    /// critical, and a subject key identifier.
    pub fn create(request: &AuthorityRequest) -> Result<Self, AuthorityError> {
        let key = KeyPem::generate(request.key_type)?;
        let certificate = issue::root(request, &key)?;
        Ok(Self { certificate, issuers: Vec::new(), key })
    }

    /// The same authority with other dates: same key, same name, same constraints, a new serial number. What it
    /// issued before leads to either certificate; whoever holds the old one alone sees the old dates.
    ///
    /// Only for a root: an intermediate is renewed by its own issuer.
    pub fn renewed(
        &self,
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> Result<Self, AuthorityError> {
        if !self.certificate.self_signed() {
            return Err(AuthorityError::NotARoot(self.certificate.subject().to_string()));
        }
        let key = KeyPem::from_der(self.key.pkcs8_der())?;
        let certificate = renew::root(&self.certificate, &key, not_before, not_after)?;
        Ok(Self { certificate, issuers: Vec::new(), key })
    }

    /// Loads an authority from PEM: its certificate first in `certificates`, its issuers after it
    /// in any order (only for one that is not self-signed); its key in `key`, opened with
    /// `passphrase` where it is encrypted.
    ///
    /// Checks that the key belongs to the certificate and that the certificate may issue. Dates are
    /// checked when something is issued.
    pub fn load(certificates: &[u8], key: &[u8], passphrase: Option<&[u8]>) -> Result<Self, AuthorityError> {
        let mut found =
            read_bundle(certificates).map_err(AuthorityError::UnreadableCertificate)?.certificates;
        if found.is_empty() {
            return Err(AuthorityError::NoCertificate);
        }
        let certificate = found.remove(0);
        let key = read_bundle(key)
            .map_err(AuthorityError::UnreadableKey)?
            .private_key
            .ok_or(AuthorityError::NoKey)?
            .open(passphrase)
            .map_err(|error| match error {
                OpenError::PassphraseNeeded => AuthorityError::PassphraseNeeded,
                OpenError::Key(error) => AuthorityError::Key(error),
            })?;
        may_issue(&certificate, &key)?;
        let order = crate::chain::order_of(&certificate, &found);
        let issuers = order
            .issuers
            .into_iter()
            .filter_map(|index| found.get(index))
            .filter(|issuer| !issuer.self_signed())
            .cloned()
            .collect();
        Ok(Self { certificate, issuers, key })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority's own certificate in PEM: what clients put into `sslrootcert`.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// What a server must send beside its leaf: this authority and its issuers, unless they are
    /// roots, which clients hold.
    fn intermediates(&self) -> impl Iterator<Item = &Certificate> {
        let own = (!self.certificate.self_signed()).then_some(&self.certificate);
        own.into_iter().chain(&self.issuers)
    }

    /// The last moment at which a certificate of its can be valid: its own end, or the end of the earliest of
    /// its issuers.
    pub fn valid_until(&self) -> OffsetDateTime {
        let own = self.certificate.not_after();
        self.issuers.iter().map(Certificate::not_after).fold(own, OffsetDateTime::min)
    }

    fn is_confined(&self) -> bool {
        let mut all = self.issuers.iter().chain([&self.certificate]);
        all.any(|one| one.extensions().name_constraints.is_some())
    }

    /// The private key, unencrypted.
    pub fn key_pem(&self) -> &KeyPem {
        &self.key
    }

    /// The private key under a passphrase, in PEM (PKCS#8, PBES2 with AES-256).
    pub fn encrypted_key_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        encryption::close(&self.key, passphrase)
    }

    /// Issues a certificate for a server, with a new key.
    ///
    /// Version 3; `CA:FALSE` critical; key usage digitalSignature, for RSA also keyEncipherment;
    /// extended key usage serverAuth; subject and authority key identifiers; a random serial of 127
    /// bits; DNS and IP subject alternative names as asked, doubles left out. Without a subject the
    /// first DNS name of at most 64 characters, else the first address, becomes the common name,
    /// for clients that look at nothing else (libpq before 15 knows IP addresses only there).
    pub fn issue_server(&self, request: &LeafRequest) -> Result<IssuedCertificate, AuthorityError> {
        self.must_outlive(request.not_after)?;
        issue::server(self, request)
    }

    /// Issues a certificate for a client, with a new key: as [`Self::issue_server`], with extended key usage
    /// clientAuth and without alternative names, of which PostgreSQL reads none of a client's.
    pub fn issue_client(&self, request: &ClientRequest) -> Result<IssuedCertificate, AuthorityError> {
        self.must_outlive(request.not_after)?;
        issue::client(self, request)
    }

    /// Issues once more what this authority has issued, for the same key and with other dates.
    pub fn renew_leaf(
        &self,
        old: &Certificate,
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> Result<Certificate, AuthorityError> {
        if !old.issuer().same_as(self.certificate.subject())
            || old.check_signed_by(&self.certificate).is_err()
        {
            return Err(AuthorityError::IssuedByOthers(old.issuer().to_string()));
        }
        self.must_outlive(not_after)?;
        renew::leaf(&self.certificate, &self.key, old, not_before, not_after)
    }

    /// The intermediates between its leaves and their root in PEM, nearest first; empty for a root.
    pub fn intermediates_pem(&self) -> String {
        self.intermediates().map(Certificate::pem).collect()
    }

    /// Signs a list of what it took back (RFC 5280 section 5), in PEM, with its number and the identifier of the
    /// authority's key.
    pub fn revocation_list(&self, request: &ListRequest) -> Result<String, AuthorityError> {
        list::sign(self, request)
    }

    fn must_outlive(&self, leaf: OffsetDateTime) -> Result<(), AuthorityError> {
        let authority = self.valid_until();
        if leaf > authority { Err(AuthorityError::LeafOutlivesAuthority { leaf, authority }) } else { Ok(()) }
    }
}

/// Whether this certificate with this key can sign certificates that clients will take.
fn may_issue(certificate: &Certificate, key: &KeyPem) -> Result<(), AuthorityError> {
    if !key.belongs_to(certificate) {
        return Err(AuthorityError::KeyMismatch);
    }
    if !certificate.is_ca() || certificate.extensions().malformed.is_some() {
        return Err(AuthorityError::NotAnAuthority(certificate.subject().to_string()));
    }
    if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(AuthorityError::MayNotSign(certificate.subject().to_string()));
    }
    let kind = certificate.public_key().kind();
    let usable =
        matches!(kind, KeyKind::Rsa(_) | KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521);
    if !usable {
        return Err(AuthorityError::UnsuitableKey(kind.to_string()));
    }
    if !issue::can_repeat(certificate.subject()) {
        return Err(AuthorityError::UnrepeatableSubject(certificate.subject().to_string()));
    }
    Ok(())
}

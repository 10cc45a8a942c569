//! The strict verdict: rustls-webpki's own, unmodified. Clients built on rustls and, for names, Go
//! refuse what it refuses.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage};

use crate::certificate::Certificate;

/// Why rustls-webpki refuses the certificate for a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StrictRefusal {
    /// The certificate itself is refused for every name; version 1 is the usual reason.
    #[error("rustls refuses the certificate for every name: {0}")]
    Certificate(String),
    /// Not among the subject alternative names; the common name never counts.
    #[error("\"{host}\" is not among the certificate's subject alternative names{}", known(.names))]
    Mismatch {
        /// The host asked for.
        host: String,
        /// The subject alternative names there are.
        names: Vec<String>,
    },
    /// No trusted path from the certificate to a root.
    #[error("rustls finds no trusted path: {0}")]
    Chain(String),
    /// The host is no DNS name and no IP address.
    #[error("\"{0}\" is neither a DNS name nor an IP address")]
    BadHost(String),
}

fn known(names: &[String]) -> String {
    if names.is_empty() { ", of which it has none".to_owned() } else { format!(" ({})", names.join(", ")) }
}

/// Whether rustls takes `certificate` for `host`: subject alternative names only, version 3 only.
pub fn strict_matches(certificate: &Certificate, host: &str) -> Result<(), StrictRefusal> {
    let asked = ServerName::try_from(host).map_err(|_| StrictRefusal::BadHost(host.to_owned()))?;
    let der = CertificateDer::from(certificate.der());
    let leaf = EndEntityCert::try_from(&der).map_err(|error| StrictRefusal::Certificate(reason(&error)))?;
    leaf.verify_is_valid_for_subject_name(&asked).map_err(|error| match error {
        webpki::Error::CertNotValidForName(_) => {
            StrictRefusal::Mismatch { host: host.to_owned(), names: names_of(certificate) }
        }
        other => StrictRefusal::Certificate(reason(&other)),
    })
}

/// Whether rustls finds a trusted path from `leaf` to one of `roots` at `now`, for a TLS server.
///
/// Differs from [`crate::verify_chain`]: versions 1 and 2 and leaves with `CA:TRUE` are refused, any
/// certificate among `roots` ends a path, roots are not asked for dates or extensions.
pub fn strict_verify_chain(
    leaf: &Certificate,
    presented: &[Certificate],
    roots: &[Certificate],
    now: OffsetDateTime,
) -> Result<(), StrictRefusal> {
    let der = CertificateDer::from(leaf.der());
    let end_entity =
        EndEntityCert::try_from(&der).map_err(|error| StrictRefusal::Certificate(reason(&error)))?;
    let presented: Vec<_> = presented.iter().map(|one| CertificateDer::from(one.der())).collect();
    let roots: Vec<_> = roots.iter().map(|one| CertificateDer::from(one.der())).collect();
    // A root that webpki cannot read anchors nothing.
    let anchors: Vec<TrustAnchor<'_>> =
        roots.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect();
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &presented,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map(|_| ())
        .map_err(|error| match error {
            webpki::Error::UnsupportedCertVersion
            | webpki::Error::UnsupportedCriticalExtension
            | webpki::Error::CaUsedAsEndEntity => StrictRefusal::Certificate(reason(&error)),
            other => StrictRefusal::Chain(reason(&other)),
        })
}

fn names_of(certificate: &Certificate) -> Vec<String> {
    let addresses = certificate.ip_addresses().into_iter().map(|ip| ip.to_string());
    certificate.dns_names().into_iter().chain(addresses).collect()
}

/// webpki's reason in words; it has only names for them.
fn reason(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnsupportedCertVersion => "it is not of X.509 version 3".to_owned(),
        webpki::Error::UnsupportedCriticalExtension => {
            "it holds a critical extension that is not understood".to_owned()
        }
        webpki::Error::CaUsedAsEndEntity => "it is a certificate authority (CA:TRUE)".to_owned(),
        webpki::Error::UnknownIssuer => "its issuer is not known".to_owned(),
        webpki::Error::CertExpired { .. } => "a certificate has expired".to_owned(),
        webpki::Error::CertNotValidYet { .. } => "a certificate is not valid yet".to_owned(),
        webpki::Error::NameConstraintViolation => "a name is not permitted by an authority".to_owned(),
        webpki::Error::RequiredEkuNotFoundContext(_) => {
            "a certificate's extended key usage lacks serverAuth".to_owned()
        }
        webpki::Error::InvalidSignatureForPublicKey => "a signature does not match".to_owned(),
        other => other.to_string(),
    }
}

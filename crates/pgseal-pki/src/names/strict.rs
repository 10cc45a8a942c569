//! The strict verdict: rustls-webpki's own, unmodified. Clients built on rustls and, for names, Go
//! refuse what it refuses.

use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

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
        other => other.to_string(),
    }
}

//! A request for a certificate (PKCS #10, RFC 2986): the key stays, its public half and the names go out.
//!
//! Knows how a request is written; who signs it, and what comes back, is for others.

use rcgen::{CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};

use crate::chain::Purpose;
use crate::key::{KeyError, KeyPem};
use crate::pem;
use crate::san::SubjectAltName;
use crate::subject::Subject;

/// What is asked of whoever signs.
#[derive(Clone, Debug)]
pub struct SigningRequest {
    /// The name; None for a common name taken from the names below.
    pub subject: Option<Subject>,
    /// The names and addresses; none for a client.
    pub sans: Vec<SubjectAltName>,
    /// What the certificate is for.
    pub purpose: Purpose,
}

/// A request could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Neither a subject nor a name.
    #[error("a request needs a subject or a name")]
    NoNames,
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The encoder.
    #[error("the request could not be made: {0}")]
    NotMade(String),
}

impl SigningRequest {
    /// The request in PEM, signed with the key that it is for: subject, subject alternative names, key usage and extended
    /// key usage.
    pub fn pem(&self, key: &KeyPem) -> Result<String, RequestError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let first = || self.sans.iter().find_map(|name| Subject::common_name(&name.to_string()));
        match self.subject.clone().or_else(first) {
            Some(subject) => params.distinguished_name = subject.to_rcgen(),
            None if self.sans.is_empty() => return Err(RequestError::NoNames),
            None => {}
        }
        for name in &self.sans {
            params.subject_alt_names.push(match name {
                SubjectAltName::Dns(name) => {
                    let name = name.as_str().try_into();
                    SanType::DnsName(
                        name.map_err(|_| RequestError::NotMade("a host name is not ASCII".to_owned()))?,
                    )
                }
                SubjectAltName::Ip(address) => SanType::IpAddress(*address),
            });
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match self.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let pair = key.pair()?;
        let made =
            params.serialize_request(&*pair).map_err(|error| RequestError::NotMade(error.to_string()))?;
        Ok(pem::encode("CERTIFICATE REQUEST", made.der()).to_string())
    }
}

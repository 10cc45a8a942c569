//! Writes certificates: the self-signed authority and the server's leaf.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use super::{AuthorityError, AuthorityRequest, CertificateAuthority};
use crate::certificate::Certificate;
use crate::chain::{ChainFault, obeys_constraints};
use crate::dn::DistinguishedName;
use crate::key::{KeyPem, KeyType};
use crate::permitted::PermittedNames;
use crate::san::SubjectAltName;
use crate::subject::Subject;

/// What a server's certificate is to be.
#[derive(Clone, Debug)]
pub struct LeafRequest {
    /// Its name; None for a common name taken from the names below.
    pub subject: Option<Subject>,
    /// The names and addresses it is for, at least one.
    pub sans: Vec<SubjectAltName>,
    /// The kind of its key.
    pub key_type: KeyType,
    /// First moment of validity, cut to whole seconds.
    pub not_before: OffsetDateTime,
    /// Last moment of validity, cut to whole seconds; not after the authority's.
    pub not_after: OffsetDateTime,
}

/// A certificate just issued, with its key.
#[derive(Debug)]
pub struct IssuedCertificate {
    /// The leaf.
    pub certificate: Certificate,
    /// The leaf in PEM.
    pub certificate_pem: String,
    /// The intermediates between leaf and root in PEM, nearest first; empty below a root.
    pub chain_pem: String,
    /// The leaf's private key.
    pub key: KeyPem,
}

impl IssuedCertificate {
    /// The leaf and its intermediates in PEM: what `ssl_cert_file` holds.
    pub fn full_chain_pem(&self) -> String {
        format!("{}{}", self.certificate_pem, self.chain_pem)
    }
}

/// What a client's certificate is to be.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// Its name. Its common name is what `clientcert=verify-full` and the method `cert` compare with the role.
    pub subject: Subject,
    /// The kind of its key.
    pub key_type: KeyType,
    /// First moment of validity, cut to whole seconds.
    pub not_before: OffsetDateTime,
    /// Last moment of validity, cut to whole seconds; not after the authority's.
    pub not_after: OffsetDateTime,
}

pub(super) fn root(request: &AuthorityRequest, key: &KeyPem) -> Result<Certificate, AuthorityError> {
    let mut params = params(request.not_before, request.not_after)?;
    params.distinguished_name = request.subject.to_rcgen();
    if params.distinguished_name.iter().next().is_none() {
        return Err(AuthorityError::NoSubject);
    }
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = request.permitted.as_ref().map(PermittedNames::to_rcgen);
    let pair = key.pair()?;
    finish(params.self_signed(&*pair))
}

pub(super) fn server(
    authority: &CertificateAuthority,
    request: &LeafRequest,
) -> Result<IssuedCertificate, AuthorityError> {
    let mut params = params(request.not_before, request.not_after)?;
    params.subject_alt_names = alt_names(&request.sans)?;
    let subject = request.subject.clone().or_else(|| default_subject(&request.sans, authority.is_confined()));
    if let Some(subject) = subject {
        params.distinguished_name = subject.to_rcgen();
    }
    if request.key_type.is_rsa() {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    leaf(authority, params, request.key_type, ExtendedKeyUsagePurpose::ServerAuth)
}

pub(super) fn client(
    authority: &CertificateAuthority,
    request: &ClientRequest,
) -> Result<IssuedCertificate, AuthorityError> {
    let mut params = params(request.not_before, request.not_after)?;
    params.distinguished_name = request.subject.to_rcgen();
    if params.distinguished_name.iter().next().is_none() {
        return Err(AuthorityError::NoSubject);
    }
    leaf(authority, params, request.key_type, ExtendedKeyUsagePurpose::ClientAuth)
}

/// Signs what both kinds of leaf share, with a new key.
fn leaf(
    authority: &CertificateAuthority,
    mut params: CertificateParams,
    key_type: KeyType,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<IssuedCertificate, AuthorityError> {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages.insert(0, KeyUsagePurpose::DigitalSignature);
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;

    let key = KeyPem::generate(key_type)?;
    let pair = key.pair()?;
    let signer = authority.key.pair()?;
    let issuer = issuer(&authority.certificate, &signer)?;
    let certificate = finish(params.signed_by(&*pair, &issuer))?;
    check(&certificate, authority)?;
    Ok(IssuedCertificate {
        certificate_pem: certificate.pem(),
        chain_pem: authority.intermediates().map(Certificate::pem).collect(),
        certificate,
        key,
    })
}

/// What both kinds share: dates in whole seconds, a random serial.
fn params(
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    // The encoder's own default is a name.
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = whole_second(not_before)?;
    params.not_after = whole_second(not_after)?;
    if params.not_after <= params.not_before {
        return Err(AuthorityError::NeverValid { not_before, not_after });
    }
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// UTC, without the fraction that RFC 5280 section 4.1.2.5 forbids, in a year that it can hold.
pub(super) fn whole_second(moment: OffsetDateTime) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(moment.unix_timestamp())
        .ok()
        .filter(|whole| (0..=9999).contains(&whole.year()))
        .ok_or(AuthorityError::DateOutOfRange(moment))
}

/// A random number of 127 bits: positive, never zero, always sixteen bytes (RFC 5280 section
/// 4.1.2.2 allows twenty).
fn serial() -> Result<SerialNumber, AuthorityError> {
    random_serial().map(|bytes| SerialNumber::from_slice(&bytes))
}

pub(super) fn random_serial() -> Result<[u8; 16], AuthorityError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthorityError::NotMade("no randomness".to_owned()))?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(bytes)
}

fn alt_names(names: &[SubjectAltName]) -> Result<Vec<SanType>, AuthorityError> {
    let mut found: Vec<SanType> = Vec::new();
    for name in names {
        let name = match name {
            SubjectAltName::Dns(name) => {
                SanType::DnsName(name.as_str().try_into().map_err(|_| not_made("a host name is not ASCII"))?)
            }
            SubjectAltName::Ip(address) => SanType::IpAddress(*address),
        };
        if !found.contains(&name) {
            found.push(name);
        }
    }
    if found.is_empty() { Err(AuthorityError::NoNames) } else { Ok(found) }
}

/// The first host name that a common name can hold (64 characters), else the first address; None
/// where nothing fits. Below an authority with name constraints an address is left out: clients
/// hold common names against the constraints on host names, and an address looks like one.
fn default_subject(names: &[SubjectAltName], confined: bool) -> Option<Subject> {
    let of_hosts = names.iter().filter(|name| matches!(name, SubjectAltName::Dns(_)));
    let of_addresses = names.iter().filter(|name| matches!(name, SubjectAltName::Ip(_)) && !confined);
    of_hosts.chain(of_addresses).find_map(|name| Subject::common_name(&name.to_string()))
}

pub(super) fn issuer<'a>(
    certificate: &Certificate,
    key: &'a KeyPair,
) -> Result<Issuer<'static, &'a KeyPair>, AuthorityError> {
    Issuer::from_ca_cert_der(&CertificateDer::from(certificate.der()), key).map_err(|error| not_made(&error))
}

/// The encoder keeps one value of each kind of attribute and one in each place; only such names
/// come out again as they went in.
pub(super) fn can_repeat(name: &DistinguishedName) -> bool {
    let kinds: std::collections::HashSet<&str> =
        name.attributes().iter().map(crate::dn::Attribute::oid).collect();
    !name.is_empty() && kinds.len() == name.attributes().len() && name.is_single_valued()
}

fn finish(made: Result<rcgen::Certificate, rcgen::Error>) -> Result<Certificate, AuthorityError> {
    let made = made.map_err(|error| not_made(&error))?;
    Certificate::from_der(made.der()).map_err(|error| not_made(&error))
}

/// Reads back what was written: the issuer's name and signature, and the constraints above it.
fn check(leaf: &Certificate, authority: &CertificateAuthority) -> Result<(), AuthorityError> {
    if leaf.issuer().der() != authority.certificate.subject().der() {
        return Err(AuthorityError::UnrepeatableSubject(authority.certificate.subject().to_string()));
    }
    leaf.check_signed_by(&authority.certificate).map_err(|error| not_made(&error))?;
    let mut path = vec![leaf, &authority.certificate];
    path.extend(&authority.issuers);
    match obeys_constraints(&path) {
        Ok(()) => Ok(()),
        Err(ChainFault::NameNotPermitted(name) | ChainFault::NameExcluded(name)) => {
            Err(AuthorityError::NotPermitted(name))
        }
        Err(other) => Err(not_made(&other)),
    }
}

pub(super) fn not_made(error: &(impl std::fmt::Display + ?Sized)) -> AuthorityError {
    AuthorityError::NotMade(error.to_string())
}

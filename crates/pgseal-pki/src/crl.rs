//! A certificate revocation list: read, owned, described, and asked about a certificate.
//!
//! Knows RFC 5280 section 5; refuses to know where lists lie and when they are to be asked (see
//! [`crate::chain`]).

use std::collections::HashSet;
use std::fmt;

use time::OffsetDateTime;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::bundle::MAX_PARTS;
use crate::certificate::Certificate;
use crate::der;
use crate::dn::DistinguishedName;
use crate::pem;
use crate::signature::{self, SignatureRefusal};

/// The most bytes of DER that are read as one list: 16 MiB, some 400,000 entries.
pub const MAX_DER: usize = 16 * 1024 * 1024;

/// A list of what an issuer took back.
#[derive(Clone)]
pub struct RevocationList {
    signed_part: Vec<u8>,
    signature: Vec<u8>,
    algorithm_id: Vec<u8>,
    issuer: DistinguishedName,
    this_update: OffsetDateTime,
    next_update: Option<OffsetDateTime>,
    key_id: Option<Vec<u8>>,
    serials: HashSet<Vec<u8>>,
    entries: Vec<Revoked>,
    number: Option<Vec<u8>>,
    complete: bool,
    unknown_critical: bool,
}

/// One certificate that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number as encoded: big-endian, two's complement.
    pub serial: Vec<u8>,
    /// When.
    pub at: OffsetDateTime,
    /// Why, where that was said.
    pub reason: Option<Reason>,
}

/// Why a certificate was taken back (RFC 5280 section 5.3.1), as far as a CA of one's own says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The private key is in wrong hands.
    KeyCompromise,
    /// The authority's own key is in wrong hands.
    CaCompromise,
    /// Its holder is called otherwise now.
    AffiliationChanged,
    /// Another one took its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// Its holder has lost a right.
    PrivilegeWithdrawn,
}

impl Reason {
    /// Every reason, by its code and its name in RFC 5280 as openssl writes it.
    const ALL: [(Self, u8, &'static str); 6] = [
        (Self::KeyCompromise, 1, "keyCompromise"),
        (Self::CaCompromise, 2, "CACompromise"),
        (Self::AffiliationChanged, 3, "affiliationChanged"),
        (Self::Superseded, 4, "superseded"),
        (Self::CessationOfOperation, 5, "cessationOfOperation"),
        (Self::PrivilegeWithdrawn, 9, "privilegeWithdrawn"),
    ];

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.1 == code).map(|row| row.0)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = Self::ALL.into_iter().find(|row| row.0 == *self);
        f.write_str(row.map_or("unspecified", |row| row.2))
    }
}

/// The text was no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown reason \"{}\": choose keyCompromise, CACompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn", .0.escape_default()
)]
pub struct ReasonError(String);

impl std::str::FromStr for Reason {
    type Err = ReasonError;

    /// In any letter case, as openssl's configuration has it.
    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let row = Self::ALL.into_iter().find(|row| row.2.eq_ignore_ascii_case(text));
        row.map(|row| row.0).ok_or_else(|| ReasonError(text.chars().take(40).collect()))
    }
}

/// Reads every list of a PEM file; blocks of other kinds and text between them are passed over. A file
/// that is one list in DER is read, too.
pub fn read_revocation_lists(bytes: &[u8]) -> Result<Vec<RevocationList>, RevocationListError> {
    if let Ok(list) = RevocationList::from_der(bytes) {
        return Ok(vec![list]);
    }
    let parts = pem::parts(bytes, MAX_PARTS).map_err(|_| RevocationListError::Malformed)?;
    let mut lists = Vec::new();
    for part in parts {
        if let pem::Part::Block(block) = part
            && block.label == "X509 CRL"
        {
            let der = block.decode().ok_or(RevocationListError::Malformed)?;
            lists.push(RevocationList::from_der(&der)?);
        }
    }
    Ok(lists)
}

/// The bytes were no revocation list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationListError {
    /// More than [`MAX_DER`] bytes.
    #[error("a revocation list of {0} bytes is too large: at most 16777216 are read")]
    TooLarge(usize),
    /// No CertificateList structure.
    #[error("not a certificate revocation list in DER")]
    Malformed,
}

/// Why a list answers no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationListFault {
    /// Its issuer's key did not make its signature (8).
    #[error("bears a signature that its issuer's key did not make")]
    BadSignature,
    /// Signed with an algorithm that is not checked here (8, if OpenSSL does not know it either).
    #[error("is signed with an algorithm that is not supported")]
    UnsupportedSignature,
    /// Before its first moment (11).
    #[error("is not valid yet")]
    NotYetValid,
    /// Past its last moment (12).
    #[error("has expired")]
    Expired,
    /// Its issuer's key usage lacks cRLSign (35).
    #[error("was signed by an issuer whose key usage lacks cRLSign")]
    MayNotSign,
    /// A critical extension that nobody here processes (36).
    #[error("holds a critical extension that is not understood")]
    UnknownCriticalExtension,
}

impl RevocationListFault {
    pub(crate) const fn openssl_code(self) -> u16 {
        match self {
            Self::BadSignature | Self::UnsupportedSignature => 8,
            Self::NotYetValid => 11,
            Self::Expired => 12,
            Self::MayNotSign => 35,
            Self::UnknownCriticalExtension => 36,
        }
    }
}

impl RevocationList {
    /// Reads one list from DER, all of it.
    pub fn from_der(bytes: &[u8]) -> Result<Self, RevocationListError> {
        if bytes.len() > MAX_DER {
            return Err(RevocationListError::TooLarge(bytes.len()));
        }
        let (rest, parsed) =
            CertificateRevocationList::from_der(bytes).map_err(|_| RevocationListError::Malformed)?;
        if !rest.is_empty() {
            return Err(RevocationListError::Malformed);
        }
        let (signed_part, algorithm_id, signature) = frame(bytes).ok_or(RevocationListError::Malformed)?;
        let extensions = parsed.extensions();
        let entries_understood = parsed.iter_revoked_certificates().all(|entry| {
            entry.extensions().iter().all(|extension| !extension.critical || known_of_entry(extension))
        });
        Ok(Self {
            signed_part,
            signature,
            algorithm_id,
            issuer: DistinguishedName::read(parsed.issuer()),
            this_update: parsed.last_update().to_datetime(),
            next_update: parsed.next_update().map(|time| time.to_datetime()),
            key_id: extensions.iter().find_map(key_id),
            serials: parsed.iter_revoked_certificates().map(|entry| entry.raw_serial().to_vec()).collect(),
            entries: parsed
                .iter_revoked_certificates()
                .map(|entry| Revoked {
                    serial: entry.raw_serial().to_vec(),
                    at: entry.revocation_date.to_datetime(),
                    reason: entry.reason_code().and_then(|(_, code)| Reason::of_code(code.0)),
                })
                .collect(),
            number: extensions.iter().find_map(number),
            complete: extensions.iter().all(is_for_everything),
            unknown_critical: !entries_understood
                || extensions.iter().any(|extension| extension.critical && !known(extension)),
        })
    }

    /// Who issued it, by its own word.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// When it was made.
    pub fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    /// By when the next one is promised; None: never.
    pub fn next_update(&self) -> Option<OffsetDateTime> {
        self.next_update
    }

    /// What stands on it, in its order.
    pub fn entries(&self) -> &[Revoked] {
        &self.entries
    }

    /// Its number (RFC 5280 section 5.2.3), big-endian; None without one. Numbers only grow.
    pub fn number(&self) -> Option<&[u8]> {
        self.number.as_deref()
    }

    /// How many certificates stand on it.
    pub fn len(&self) -> usize {
        self.serials.len()
    }

    /// Whether none stands on it.
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty()
    }

    /// Whether the certificate's serial number stands on it. That the issuer is the same is the
    /// caller's to know.
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        self.serials.contains(certificate.raw_serial())
    }

    /// OpenSSL's `check_crl_time`: whole seconds, the last one counts as past.
    pub fn is_current(&self, now: OffsetDateTime) -> Result<(), RevocationListFault> {
        let second = now.unix_timestamp();
        if self.this_update.unix_timestamp() > second {
            return Err(RevocationListFault::NotYetValid);
        }
        match self.next_update {
            Some(end) if end.unix_timestamp() <= second => Err(RevocationListFault::Expired),
            _ => Ok(()),
        }
    }

    /// Checks that `issuer`'s key signed it.
    pub fn check_signed_by(&self, issuer: &Certificate) -> Result<(), RevocationListFault> {
        signature::check(issuer.public_key(), &self.algorithm_id, &self.signed_part, &self.signature).map_err(
            |refusal| match refusal {
                SignatureRefusal::Mismatch => RevocationListFault::BadSignature,
                SignatureRefusal::Unsupported => RevocationListFault::UnsupportedSignature,
            },
        )
    }

    /// Whether it is neither a delta, nor indirect, nor of a part of what its issuer issued. OpenSSL
    /// takes others only with `X509_V_FLAG_EXTENDED_CRL_SUPPORT` or `X509_V_FLAG_USE_DELTAS`, which
    /// nobody sets here.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn has_unknown_critical(&self) -> bool {
        self.unknown_critical
    }

    /// Whether its authority key identifier, where it has one, is this issuer's.
    pub(crate) fn is_of_key(&self, issuer: &Certificate) -> bool {
        match (&self.key_id, issuer.subject_key_id()) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        }
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList({}, {} entries)", self.issuer, self.serials.len())
    }
}

/// The signed part, the content of the algorithm's identifier, the signature.
fn frame(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let (outer, _) = der::expect(bytes, der::SEQUENCE)?;
    let (signed, rest) = der::expect(outer.content, der::SEQUENCE)?;
    let (algorithm, rest) = der::expect(rest, der::SEQUENCE)?;
    let (signature, _) = der::expect(rest, der::BIT_STRING)?;
    Some((signed.whole.to_vec(), algorithm.content.to_vec(), der::whole_bytes(signature.content)?.to_vec()))
}

fn number(extension: &X509Extension<'_>) -> Option<Vec<u8>> {
    match extension.parsed_extension() {
        ParsedExtension::CRLNumber(number) => Some(number.to_bytes_be()),
        _ => None,
    }
}

fn key_id(extension: &X509Extension<'_>) -> Option<Vec<u8>> {
    match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => Some(found.key_identifier.as_ref()?.0.to_vec()),
        _ => None,
    }
}

/// Dotted identifier of deltaCRLIndicator (RFC 5280 section 5.2.4).
const DELTA: &str = "2.5.29.27";

fn is_for_everything(extension: &X509Extension<'_>) -> bool {
    match extension.parsed_extension() {
        ParsedExtension::IssuingDistributionPoint(point) => {
            let named_only = !point.only_contains_user_certs
                && !point.only_contains_ca_certs
                && !point.only_contains_attribute_certs
                && !point.indirect_crl
                && point.only_some_reasons.is_none();
            named_only && point.distribution_point.is_none()
        }
        _ => extension.oid.to_id_string() != DELTA,
    }
}

/// CRL extensions that OpenSSL processes.
fn known(extension: &X509Extension<'_>) -> bool {
    matches!(
        extension.parsed_extension(),
        ParsedExtension::IssuingDistributionPoint(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::CRLNumber(_)
    ) || extension.oid.to_id_string() == DELTA
}

/// Entry extensions that OpenSSL processes: the reason, and the certificate's issuer where it is the
/// list's own.
fn known_of_entry(extension: &X509Extension<'_>) -> bool {
    match extension.parsed_extension() {
        ParsedExtension::ReasonCode(_) | ParsedExtension::InvalidityDate(_) => true,
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().all(|name| matches!(name, GeneralName::DirectoryName(_)))
        }
        _ => false,
    }
}

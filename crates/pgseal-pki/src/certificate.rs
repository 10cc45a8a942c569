//! A certificate as somebody presented it: read, owned, described, not judged.
//!
//! Knows what the encoding says; refuses to know whether it is trusted (see [`crate::chain`]) or
//! whom it is for (see [`crate::names`]).

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Range;

use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::der;
use crate::dn::DistinguishedName;
use crate::extensions::{AltName, ExtendedKeyUsage, Extensions, KeyUsage};
use crate::fingerprint::Fingerprint;
use crate::public_key::PublicKey;
use crate::signature;

/// The most bytes of DER that are read as one certificate: 64 KiB. Real ones stay under 4 KiB; a
/// libpq client takes at most 100 KiB for the whole chain (`SSL_CTX_set_max_cert_list`).
pub const MAX_DER: usize = 64 * 1024;

/// An X.509 certificate of version 1 to 3 (RFC 5280 section 4.1).
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    signed_part: Range<usize>,
    signature: Vec<u8>,
    signature_algorithm_id: Vec<u8>,
    signature_algorithm: String,
    signature_oid: String,
    version: u8,
    serial: Vec<u8>,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    public_key: PublicKey,
    extensions: Extensions,
    fingerprint: Fingerprint,
}

/// The bytes were no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// More than [`MAX_DER`] bytes.
    #[error("a certificate of {0} bytes is too large: at most 65536 are read")]
    TooLarge(usize),
    /// No X.509 structure.
    #[error("not an X.509 certificate in DER: {0}")]
    Malformed(String),
    /// Bytes follow the certificate.
    #[error("{0} bytes follow the certificate's end")]
    TrailingBytes(usize),
    /// A version number that does not exist.
    #[error("certificate version {0} is none of 1, 2 and 3")]
    Version(u32),
}

impl Certificate {
    /// Reads one certificate from DER, all of it.
    pub fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > MAX_DER {
            return Err(CertificateError::TooLarge(bytes.len()));
        }
        let (rest, parsed) =
            X509Certificate::from_der(bytes).map_err(|error| CertificateError::Malformed(plain(&error)))?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes(rest.len()));
        }
        let version = match parsed.version().0 {
            number @ 0..=2 => u8::try_from(number).unwrap_or(0) + 1,
            number => return Err(CertificateError::Version(number.saturating_add(1))),
        };
        let broken = |what: &str| CertificateError::Malformed(what.to_owned());
        let frame = Frame::of(bytes).ok_or_else(|| broken("its outer frame is no DER"))?;
        Ok(Self {
            signed_part: frame.signed_part,
            signature: frame.signature,
            signature_algorithm_id: frame.algorithm_id,
            signature_algorithm: signature::name_of(&parsed.signature_algorithm),
            signature_oid: parsed.signature_algorithm.algorithm.to_id_string(),
            version,
            serial: parsed.raw_serial().to_vec(),
            subject: DistinguishedName::read(parsed.subject()),
            issuer: DistinguishedName::read(parsed.issuer()),
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            public_key: PublicKey::read(parsed.public_key())
                .ok_or_else(|| broken("its public key is no DER"))?,
            extensions: Extensions::read(&parsed),
            fingerprint: Fingerprint::of(bytes),
            der: bytes.to_vec(),
        })
    }

    /// The bytes it was read from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// In PEM, with a line feed at its end.
    pub fn pem(&self) -> String {
        crate::pem::encode("CERTIFICATE", &self.der).to_string()
    }

    /// SHA-256 over [`Self::der`].
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// 1, 2 or 3. A version 1 certificate holds no extensions, hence no SAN, and rustls refuses it.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The serial number as `openssl x509 -serial` prints it: upper-case hexadecimal, `-` before a
    /// negative one.
    pub fn serial_hex(&self) -> String {
        serial_text(&self.serial)
    }

    /// Whom it is for.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Who signed it, by its own word.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// First moment of validity, inclusive.
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// Last moment of validity, inclusive.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// Whole days until it expires, rounded down: 0 on its last day, negative once it has expired.
    pub fn days_left(&self, now: OffsetDateTime) -> i64 {
        (self.not_after - now).whole_seconds().div_euclid(86_400)
    }

    /// When the last third of its life begins: ACME's clients renew from there on, whether it lives for a day or for years.
    pub fn due(&self) -> OffsetDateTime {
        self.not_after - (self.not_after - self.not_before) / 3
    }

    /// Whether more than half of that third has gone by: who renews has had time to, and has not.
    pub fn overdue(&self, now: OffsetDateTime) -> bool {
        now >= self.not_after - (self.not_after - self.not_before) / 6
    }

    /// Whether it is over within `days`, as far as that is news: one that never lives as long is not always about to
    /// end, but from [`Self::due`] on.
    pub fn expires_within(&self, days: i64, now: OffsetDateTime) -> bool {
        self.days_left(now) < days && now >= self.due()
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub fn spki_der(&self) -> &[u8] {
        self.public_key.spki_der()
    }

    /// The algorithm of its signature, such as `ecdsa-with-SHA256`.
    pub fn signature_algorithm(&self) -> &str {
        &self.signature_algorithm
    }

    /// Content of the signature's `AlgorithmIdentifier`, without its SEQUENCE header.
    pub fn signature_algorithm_id(&self) -> &[u8] {
        &self.signature_algorithm_id
    }

    /// All subject alternative names in the order of the certificate; None without the extension.
    pub fn alt_names(&self) -> Option<&[AltName]> {
        self.extensions.alt_names.as_deref()
    }

    /// The DNS names among the subject alternative names; bytes that are no text show as U+FFFD.
    pub fn dns_names(&self) -> Vec<String> {
        self.pick(|name| match name {
            AltName::Dns(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        })
    }

    /// The IP addresses among the subject alternative names.
    pub fn ip_addresses(&self) -> Vec<IpAddr> {
        self.pick(|name| match name {
            AltName::Ip(address) => Some(*address),
            _ => None,
        })
    }

    /// The subject alternative names that are neither DNS names nor IP addresses, as
    /// `email:…`, `URI:…`, `dirName:…`, `IP:…` for a malformed address, or the kind's name.
    pub fn other_names(&self) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.pick(|name| match name {
            AltName::Dns(_) | AltName::Ip(_) => None,
            AltName::BadIp(bytes) => Some(format!("IP:<{} bytes>", bytes.len())),
            AltName::Email(bytes) => Some(format!("email:{}", text(bytes))),
            AltName::Uri(bytes) => Some(format!("URI:{}", text(bytes))),
            AltName::Directory(name) => Some(format!("dirName:{name}")),
            AltName::Other(kind) => Some((*kind).to_owned()),
        })
    }

    fn pick<T>(&self, choose: impl Fn(&AltName) -> Option<T>) -> Vec<T> {
        self.alt_names().unwrap_or_default().iter().filter_map(choose).collect()
    }

    /// The common names of the subject, first one first.
    pub fn common_names(&self) -> Vec<&str> {
        self.subject.common_names().map(crate::dn::Attribute::value).collect()
    }

    /// True where basic constraints say `CA:TRUE`.
    pub fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|found| found.ca)
    }

    /// How many CA certificates may stand between this one and a leaf, where it says so.
    pub fn path_length(&self) -> Option<u32> {
        self.extensions.basic_constraints.and_then(|found| found.path_length)
    }

    /// The key usage extension.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// The extended key usage extension.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.extensions.extended_key_usage.as_ref()
    }

    /// The subject key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions.subject_key_id.as_deref()
    }

    /// The key identifier of the authority key identifier extension.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.extensions.authority_key.as_ref()?.key_id.as_deref()
    }

    /// True where it seems to have signed itself, by OpenSSL's rule (`EXFLAG_SS`): subject equals
    /// issuer, an authority key identifier does not point elsewhere, the signature's algorithm
    /// suits the key. The signature itself is not checked, as OpenSSL does not check it either.
    pub fn self_signed(&self) -> bool {
        self.self_issued() && crate::chain::points_to(self, self)
    }

    /// Subject equals issuer.
    pub fn self_issued(&self) -> bool {
        self.subject.same_as(&self.issuer)
    }

    /// Checks that `issuer`'s key made the signature on this certificate; dates and permissions
    /// are not looked at. The algorithm must be the one that the signed part names (RFC 5280
    /// section 4.1.1.2, OpenSSL's `X509_verify`).
    pub fn check_signed_by(&self, issuer: &Self) -> Result<(), signature::SignatureRefusal> {
        let signed = self.der.get(self.signed_part.clone()).unwrap_or_default();
        if inner_algorithm(signed) != Some(&self.signature_algorithm_id) {
            return Err(signature::SignatureRefusal::Mismatch);
        }
        signature::check(&issuer.public_key, &self.signature_algorithm_id, signed, &self.signature)
    }

    /// The serial number as encoded: big-endian, two's complement, as revocation lists have it.
    pub fn serial_bytes(&self) -> &[u8] {
        &self.serial
    }

    pub(crate) fn signature_oid(&self) -> &str {
        &self.signature_oid
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub(crate) fn raw_serial(&self) -> &[u8] {
        &self.serial
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, sha256 {})", self.subject, self.fingerprint)
    }
}

/// The three parts of the outer SEQUENCE.
struct Frame {
    signed_part: Range<usize>,
    algorithm_id: Vec<u8>,
    signature: Vec<u8>,
}

impl Frame {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (outer, _) = der::expect(bytes, der::SEQUENCE)?;
        let (signed, rest) = der::expect(outer.content, der::SEQUENCE)?;
        let (algorithm, rest) = der::expect(rest, der::SEQUENCE)?;
        // The parser takes any element for an identifier, also an empty one.
        der::expect(algorithm.content, der::OID).filter(|(oid, _)| !oid.content.is_empty())?;
        let (signature, _) = der::expect(rest, der::BIT_STRING)?;
        let start = outer.whole.len() - outer.content.len();
        Some(Self {
            signed_part: start..start + signed.whole.len(),
            algorithm_id: algorithm.content.to_vec(),
            signature: der::whole_bytes(signature.content)?.to_vec(),
        })
    }
}

/// Content of the `AlgorithmIdentifier` inside the signed part.
fn inner_algorithm(signed: &[u8]) -> Option<&[u8]> {
    let (signed, _) = der::expect(signed, der::SEQUENCE)?;
    let rest = der::expect(signed.content, der::VERSION).map_or(signed.content, |(_, rest)| rest);
    let (_serial, rest) = der::expect(rest, der::INTEGER)?;
    let (algorithm, _) = der::expect(rest, der::SEQUENCE)?;
    Some(algorithm.content)
}

/// The parser's error without the wrapping of its combinators.
fn plain(error: &x509_parser::nom::Err<x509_parser::error::X509Error>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".to_owned(),
        x509_parser::nom::Err::Error(inner) | x509_parser::nom::Err::Failure(inner) => inner.to_string(),
    }
}

fn serial_text(raw: &[u8]) -> String {
    let negative = raw.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = raw.to_vec();
    if negative {
        // Two's complement to magnitude.
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (value, overflow) = (!*byte).overflowing_add(u8::from(carry));
            *byte = value;
            carry = overflow;
        }
    }
    let mut text = String::from(if negative { "-" } else { "" });
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    for byte in bytes.iter().skip(zeros.min(bytes.len().saturating_sub(1))) {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_reads_as_openssl_prints_it() {
        assert_eq!(serial_text(&[0]), "00");
        assert_eq!(serial_text(&[0x01]), "01");
        assert_eq!(serial_text(&[0x00, 0x9f, 0x01]), "9F01");
        assert_eq!(serial_text(&[0xff]), "-01");
        assert_eq!(serial_text(&[0x80]), "-80");
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_a_sentence() {
        for bytes in [&[][..], b"hello", &[0x30, 0x03, 1, 2, 3], &[0x30; 200]] {
            let error = Certificate::from_der(bytes).unwrap_err().to_string();
            assert!(error.starts_with("not an X.509 certificate in DER: "), "{error}");
        }
        assert_eq!(Certificate::from_der(&vec![0x30; MAX_DER + 1]), Err(CertificateError::TooLarge(65537)));
    }
}

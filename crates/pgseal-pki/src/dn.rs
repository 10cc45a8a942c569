//! A distinguished name as it stands in a certificate: its bytes, its text, and the form in which
//! OpenSSL compares two of them.
//!
//! Knows RFC 4514 text and OpenSSL's canonical encoding; refuses to know what a name is good for.

use std::fmt::{self, Write as _};

use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::der;

/// A subject or issuer, as found.
#[derive(Clone, PartialEq, Eq)]
pub struct DistinguishedName {
    der: Vec<u8>,
    /// One SET per relative distinguished name in order, in DER: OpenSSL's `canon_enc`, which
    /// `X509_NAME_cmp` compares and `X509_NAME_hash` digests.
    canonical: Vec<Vec<u8>>,
    text: String,
    attributes: Vec<Attribute>,
}

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    oid: String,
    tag: u32,
    raw: Vec<u8>,
    value: String,
}

impl Attribute {
    /// The attribute's object identifier in dotted form, `2.5.4.3` for a common name.
    pub fn oid(&self) -> &str {
        &self.oid
    }

    /// The value as text; bytes that are no text of their declared type are replaced by U+FFFD.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The value's bytes as encoded: what libpq compares a host name with.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(crate) fn is_ia5(&self) -> bool {
        self.tag == IA5
    }
}

/// Dotted identifier of `commonName` (X.520).
pub(crate) const COMMON_NAME: &str = "2.5.4.3";
/// Dotted identifier of `emailAddress` (PKCS #9).
pub(crate) const EMAIL_ADDRESS: &str = "1.2.840.113549.1.9.1";

const UTF8: u32 = 12;
const PRINTABLE: u32 = 19;
const T61: u32 = 20;
const IA5: u32 = 22;
const VISIBLE: u32 = 26;
const UNIVERSAL: u32 = 28;
const BMP: u32 = 30;

impl DistinguishedName {
    pub(crate) fn read(name: &X509Name<'_>) -> Self {
        let mut canonical = Vec::new();
        let mut texts = Vec::new();
        let mut attributes = Vec::new();
        for rdn in name.iter_rdn() {
            let mut encodings = Vec::new();
            let mut parts = Vec::new();
            for found in rdn.iter() {
                let attribute = Attribute::read(found);
                encodings.push(canonical_attribute(&attribute, found));
                parts.push(rfc4514_attribute(&attribute));
                attributes.push(attribute);
            }
            encodings.sort();
            canonical.push(der::element(der::SET, &encodings.concat()));
            texts.push(parts.join("+"));
        }
        texts.reverse();
        Self { der: name.as_raw().to_vec(), canonical, text: texts.join(","), attributes }
    }

    /// One name in DER, all of it; None of anything else.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (rest, name) = X509Name::from_der(der).ok()?;
        rest.is_empty().then(|| Self::read(&name))
    }

    /// The name's DER, exactly as found.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// True where the name holds no attribute at all.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// Every attribute in the order of the encoding (`C` before `CN`, usually).
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The common names, first one first; libpq looks at the first only.
    pub fn common_names(&self) -> impl Iterator<Item = &Attribute> {
        self.of_type(COMMON_NAME)
    }

    pub(crate) fn of_type(&self, oid: &'static str) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(move |one| one.oid == oid)
    }

    /// True where every relative name holds one attribute (no `+`).
    pub(crate) fn is_single_valued(&self) -> bool {
        self.canonical.len() == self.attributes.len()
    }

    /// Equal by OpenSSL's rule (`X509_NAME_cmp`): letter case, string type and surplus spaces do
    /// not count.
    pub fn same_as(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }

    /// OpenSSL's `X509_NAME_hash`, eight hexadecimal digits: what the files in a directory made by
    /// `openssl rehash` are called.
    pub fn openssl_hash(&self) -> String {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &self.canonical.concat());
        let mut first = [0; 4];
        first.copy_from_slice(digest.as_ref().get(..4).unwrap_or(&[0; 4]));
        format!("{:08x}", u32::from_le_bytes(first))
    }

    /// True where `self` begins with every relative name of `base` (OpenSSL's `nc_dn`).
    pub(crate) fn is_within(&self, base: &Self) -> bool {
        self.canonical.starts_with(&base.canonical)
    }
}

impl fmt::Display for DistinguishedName {
    /// RFC 4514 text: most specific part first, control characters as `\0A`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({})", self.text)
    }
}

impl Attribute {
    fn read(found: &AttributeTypeAndValue<'_>) -> Self {
        let tag = found.attr_value().tag().0;
        let raw = found.as_slice().to_vec();
        Self {
            oid: found.attr_type().to_id_string(),
            value: decode(tag, &raw).unwrap_or_else(|| String::from_utf8_lossy(&raw).into_owned()),
            tag,
            raw,
        }
    }
}

/// The text of a string type, or None for what is no string. One-byte types are read as Latin-1,
/// which is what OpenSSL's `ASN1_STRING_to_UTF8` does.
fn decode(tag: u32, raw: &[u8]) -> Option<String> {
    match tag {
        UTF8 => std::str::from_utf8(raw).ok().map(str::to_owned),
        PRINTABLE | T61 | IA5 | VISIBLE => Some(raw.iter().map(|byte| char::from(*byte)).collect()),
        BMP => code_points(raw, 2),
        UNIVERSAL => code_points(raw, 4),
        _ => None,
    }
}

fn code_points(raw: &[u8], width: usize) -> Option<String> {
    if !raw.len().is_multiple_of(width) {
        return None;
    }
    raw.chunks_exact(width)
        .map(|unit| {
            let code = unit.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
            char::from_u32(code)
        })
        .collect()
}

/// OpenSSL's `asn1_string_canon`: strings become UTF-8, trimmed, inner runs of space collapsed,
/// ASCII letters in lower case; other types stay as they are.
fn canonical_attribute(attribute: &Attribute, found: &AttributeTypeAndValue<'_>) -> Vec<u8> {
    let (tag, value) = match decode(attribute.tag, &attribute.raw) {
        Some(text) => (UTF8, canonical_text(&text).into_bytes()),
        None => (attribute.tag, attribute.raw.clone()),
    };
    let tag = u8::try_from(tag & 0x1f).unwrap_or_default();
    let constructed = if matches!(tag, 16 | 17) { 0x20 } else { 0 };
    let oid = der::element(der::OID, found.attr_type().as_bytes());
    der::element(der::SEQUENCE, &[oid, der::element(tag | constructed, &value)].concat())
}

fn canonical_text(text: &str) -> String {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    text.split(space)
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Short names of RFC 4514 section 3, and the few more that OpenSSL prints.
pub(crate) const SHORT_NAMES: [(&str, &str); 13] = [
    ("CN", COMMON_NAME),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("street", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("title", "2.5.4.12"),
    ("SN", "2.5.4.4"),
    ("GN", "2.5.4.42"),
    ("serialNumber", "2.5.4.5"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
];

fn rfc4514_attribute(attribute: &Attribute) -> String {
    let known =
        SHORT_NAMES.iter().chain(&[("emailAddress", EMAIL_ADDRESS)]).find(|(_, oid)| *oid == attribute.oid);
    let name = known.map_or(attribute.oid.as_str(), |(short, _)| *short);
    match (known, decode(attribute.tag, &attribute.raw)) {
        (Some(_), Some(text)) => format!("{name}={}", escape(&text)),
        _ => format!("{name}=#{}", hex_of(attribute)),
    }
}

/// RFC 4514 section 2.4 for values that are no text: the whole element in hexadecimal.
fn hex_of(attribute: &Attribute) -> String {
    let length = attribute.raw.len();
    let mut header = vec![u8::try_from(attribute.tag).unwrap_or(0)];
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        header.push(short);
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
        header.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
        header.extend(bytes);
    }
    header.iter().chain(&attribute.raw).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Escapes a value as RFC 4514 section 2.4 asks, and control characters in hexadecimal.
pub(crate) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (position, c) in value.chars().enumerate() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => {
                out.push('\\');
                out.push(c);
            }
            '#' if position == 0 => out.push_str("\\#"),
            ' ' if position == 0 || position == last => out.push_str("\\ "),
            c if c.is_control() => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

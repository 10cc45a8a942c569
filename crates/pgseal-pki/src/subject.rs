//! The subject that we write into a certificate, read from the two spellings people know.
//!
//! Knows RFC 4514 text (`CN=db1,O=Example`) and OpenSSL's `-subj` text (`/O=Example/CN=db1`);
//! refuses what cannot be encoded faithfully: several values in one place, the same kind twice.

use std::fmt;
use std::str::FromStr;

use rcgen::{DistinguishedName, DnType, DnValue};

use crate::dn::{EMAIL_ADDRESS, SHORT_NAMES, escape};

/// A distinguished name to be written: each kind of attribute at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// In the order of the encoding, most general first (`C`, `O`, `CN`).
    parts: Vec<(&'static Kind, String)>,
}

/// One kind of attribute.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    oid: &'static str,
    /// Most characters, by RFC 5280 appendix A.1 (`ub-…`).
    longest: usize,
}

const fn kind(name: &'static str, oid: &'static str, longest: usize) -> Kind {
    Kind { name, oid, longest }
}

/// The kinds that may be written; names as in [`SHORT_NAMES`].
static KINDS: [Kind; 14] = [
    kind("CN", SHORT_NAMES[0].1, 64),
    kind("C", SHORT_NAMES[1].1, 2),
    kind("L", SHORT_NAMES[2].1, 128),
    kind("ST", SHORT_NAMES[3].1, 128),
    kind("street", SHORT_NAMES[4].1, 128),
    kind("O", SHORT_NAMES[5].1, 64),
    kind("OU", SHORT_NAMES[6].1, 64),
    kind("title", SHORT_NAMES[7].1, 64),
    kind("SN", SHORT_NAMES[8].1, 64),
    kind("GN", SHORT_NAMES[9].1, 64),
    kind("serialNumber", SHORT_NAMES[10].1, 64),
    kind("DC", SHORT_NAMES[11].1, 63),
    kind("UID", SHORT_NAMES[12].1, 256),
    kind("emailAddress", EMAIL_ADDRESS, 255),
];

/// The text was no subject that can be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// No attribute at all.
    #[error("the subject is empty: write it like \"CN=db1.example.org,O=Example\"")]
    Empty,
    /// A part without `=`.
    #[error("\"{0}\" in the subject is no attribute: write NAME=value")]
    NoAttribute(String),
    /// An attribute nobody here knows.
    #[error(
        "the subject's attribute {0} is not known; known are CN, C, L, ST, street, O, OU, title, SN, GN, serialNumber, DC, UID, emailAddress"
    )]
    UnknownAttribute(String),
    /// The same attribute twice.
    #[error("the subject holds {0} twice, and only one of each can be written")]
    Repeated(&'static str),
    /// `CN=a+O=b`.
    #[error("several values joined by \"+\" cannot be written; separate them by \",\"")]
    MultiValued,
    /// `CN=`.
    #[error("the subject's {0} is empty")]
    NoValue(&'static str),
    /// Longer than RFC 5280 allows.
    #[error("the subject's {name} is longer than {longest} characters")]
    TooLong {
        /// The attribute.
        name: &'static str,
        /// RFC 5280's upper bound.
        longest: usize,
    },
    /// Characters that this attribute cannot hold.
    #[error("the subject's {0} holds characters that it may not hold")]
    BadCharacters(&'static str),
    /// A backslash that escapes nothing.
    #[error("a backslash in the subject is followed by nothing that it could escape")]
    BadEscape,
}

impl Subject {
    /// A subject of one common name; None where it is empty, too long (over 64 characters) or
    /// holds control characters.
    pub fn common_name(name: &str) -> Option<Self> {
        let kind = KINDS.first()?;
        check(kind, name).ok()?;
        Some(Self { parts: vec![(kind, name.to_owned())] })
    }

    /// The same with this common name, as its most specific part; refused where it has another one.
    pub fn with_common_name(&self, name: &str) -> Result<Self, SubjectError> {
        let Some(kind) = KINDS.first() else { return Ok(self.clone()) };
        if let Some((_, known)) = self.parts.iter().find(|(other, _)| *other == kind) {
            return if known == name { Ok(self.clone()) } else { Err(SubjectError::Repeated(kind.name)) };
        }
        check(kind, name)?;
        let mut parts = self.parts.clone();
        parts.push((kind, name.to_owned()));
        Ok(Self { parts })
    }

    pub(crate) fn to_rcgen(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        for (kind, value) in &self.parts {
            name.push(dn_type(kind), dn_value(kind, value));
        }
        name
    }
}

fn dn_type(kind: &Kind) -> DnType {
    let arcs: Vec<u64> = kind.oid.split('.').filter_map(|arc| arc.parse().ok()).collect();
    DnType::from_oid(&arcs)
}

/// Country and serial number are `PrintableString`, domain component and e-mail `IA5String` (RFC 5280
/// appendix A.1); everything else is UTF-8.
fn dn_value(kind: &Kind, value: &str) -> DnValue {
    match kind.name {
        "C" | "serialNumber" => value.try_into().map(DnValue::PrintableString),
        "DC" | "emailAddress" => value.try_into().map(DnValue::Ia5String),
        _ => Ok(DnValue::Utf8String(value.to_owned())),
    }
    .unwrap_or_else(|_| DnValue::Utf8String(value.to_owned()))
}

fn check(kind: &'static Kind, value: &str) -> Result<(), SubjectError> {
    let printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    if value.trim().is_empty() {
        return Err(SubjectError::NoValue(kind.name));
    }
    if value.chars().count() > kind.longest {
        return Err(SubjectError::TooLong { name: kind.name, longest: kind.longest });
    }
    let fits = match kind.name {
        "C" => value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic()),
        "serialNumber" => value.chars().all(printable),
        "DC" | "emailAddress" => value.is_ascii(),
        _ => true,
    };
    if !fits || value.chars().any(char::is_control) {
        return Err(SubjectError::BadCharacters(kind.name));
    }
    Ok(())
}

impl fmt::Display for Subject {
    /// RFC 4514: most specific part first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (kind, value)) in self.parts.iter().rev().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{}={}", kind.name, escape(value))?;
        }
        Ok(())
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    /// With a leading `/` OpenSSL's form (most general part first), else RFC 4514 (most specific
    /// part first). Backslash escapes: `\,` and `\2C`; attribute names in any letter case.
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let (separator, body) = match text.strip_prefix('/') {
            Some(body) => ('/', body),
            None => (',', text),
        };
        if body.trim().is_empty() {
            return Err(SubjectError::Empty);
        }
        let mut parts: Vec<(&'static Kind, String)> = Vec::new();
        for piece in split(body, separator) {
            let (kind, value) = attribute(piece, separator)?;
            if parts.iter().any(|(known, _)| *known == kind) {
                return Err(SubjectError::Repeated(kind.name));
            }
            parts.push((kind, value));
        }
        if separator == ',' {
            parts.reverse();
        }
        Ok(Self { parts })
    }
}

/// Cuts at separators that no backslash escapes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (position, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            pieces.push(text.get(start..position).unwrap_or_default());
            start = position + c.len_utf8();
        }
    }
    pieces.push(text.get(start..).unwrap_or_default());
    pieces
}

fn attribute(piece: &str, separator: char) -> Result<(&'static Kind, String), SubjectError> {
    let shown = || piece.chars().take(60).collect::<String>().escape_debug().to_string();
    let (name, value) = piece.split_once('=').ok_or_else(|| SubjectError::NoAttribute(shown()))?;
    let name = name.trim();
    let kind = KINDS
        .iter()
        .find(|kind| kind.name.eq_ignore_ascii_case(name) || kind.oid == name)
        .ok_or_else(|| SubjectError::UnknownAttribute(name.chars().take(60).collect()))?;
    let value = unescape(value.trim_start(), separator == ',')?;
    check(kind, &value)?;
    Ok((kind, value))
}

/// Takes the backslashes out; spaces at the end stay only where they are escaped. In RFC 4514 an
/// unescaped `+` would join a second attribute.
fn unescape(value: &str, plus_joins: bool) -> Result<String, SubjectError> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut kept = 0;
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' if plus_joins => return Err(SubjectError::MultiValued),
            b'\\' => {
                bytes.push(escaped(&mut rest)?);
                kept = bytes.len();
            }
            _ => bytes.push(byte),
        }
        if byte != b' ' {
            kept = bytes.len();
        }
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).map_err(|_| SubjectError::BadEscape)
}

fn escaped(rest: &mut std::str::Bytes<'_>) -> Result<u8, SubjectError> {
    let first = rest.next().ok_or(SubjectError::BadEscape)?;
    let Some(high) = char::from(first).to_digit(16) else {
        return if first.is_ascii_alphanumeric() { Err(SubjectError::BadEscape) } else { Ok(first) };
    };
    let second = rest.next().ok_or(SubjectError::BadEscape)?;
    let low = char::from(second).to_digit(16).ok_or(SubjectError::BadEscape)?;
    u8::try_from(high * 16 + low).map_err(|_| SubjectError::BadEscape)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Result<String, SubjectError> {
        text.parse::<Subject>().map(|subject| subject.to_string())
    }

    #[test]
    fn both_spellings_mean_the_same_subject() {
        for text in ["CN=db1,O=Example,C=US", "/C=US/O=Example/CN=db1", " cn = db1 , o=Example, c=US"] {
            assert_eq!(shown(text).unwrap(), "CN=db1,O=Example,C=US", "{text}");
        }
        assert_eq!(shown("2.5.4.3=db1").unwrap(), "CN=db1");
    }

    #[test]
    fn escapes_are_read_and_written() {
        assert_eq!(shown(r"O=Sue\, Grabbit \2B Co,CN=a").unwrap(), r"O=Sue\, Grabbit \+ Co,CN=a");
        assert_eq!(shown(r"/O=a\/b/CN=x").unwrap(), "CN=x,O=a/b");
        assert_eq!(shown(r"/O=a, b + c").unwrap(), r"O=a\, b \+ c");
        assert_eq!(shown(r"CN=Lu\C4\8Di\C4\87").unwrap(), "CN=Lučić");
        assert_eq!(shown(r"CN=\ a\ ").unwrap(), r"CN=\ a\ ");
        assert_eq!(shown(r"CN=\#1").unwrap(), r"CN=\#1");
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let long = format!("CN={}", "a".repeat(65));
        for (text, error) in [
            ("", SubjectError::Empty),
            ("/", SubjectError::Empty),
            ("db1", SubjectError::NoAttribute("db1".into())),
            ("CN=a,", SubjectError::NoAttribute(String::new())),
            ("FOO=a", SubjectError::UnknownAttribute("FOO".into())),
            ("CN=a,CN=b", SubjectError::Repeated("CN")),
            ("OU=a,O=x,ou=b", SubjectError::Repeated("OU")),
            ("CN=a+O=b", SubjectError::MultiValued),
            ("CN=", SubjectError::NoValue("CN")),
            ("C=USA", SubjectError::TooLong { name: "C", longest: 2 }),
            ("C=U1", SubjectError::BadCharacters("C")),
            ("DC=ü", SubjectError::BadCharacters("DC")),
            (r"CN=a\0Ab", SubjectError::BadCharacters("CN")),
            (r"CN=a\", SubjectError::BadEscape),
            (r"CN=a\2", SubjectError::BadEscape),
            (r"CN=\C4", SubjectError::BadEscape),
            (&long, SubjectError::TooLong { name: "CN", longest: 64 }),
        ] {
            assert_eq!(shown(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_kinds_are_those_that_are_shown() {
        for (kind, (name, oid)) in KINDS.iter().zip(SHORT_NAMES) {
            assert_eq!((kind.name, kind.oid), (name, oid));
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(cn in "\\PC{1,64}", o in "[ -~]{1,64}") {
            let text = format!("CN={},O={}", escape(&cn), escape(&o));
            if let Ok(subject) = text.parse::<Subject>() {
                prop_assert_eq!(subject.to_string().parse(), Ok(subject));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[A-Z=,+/\\\\ a-f0-9é]{0,80}") {
            let _ = text.parse::<Subject>();
        }
    }
}

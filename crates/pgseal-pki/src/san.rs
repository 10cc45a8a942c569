//! A subject alternative name that we promise in a certificate: a host name or an IP address.
//!
//! Knows which names every client will take; refuses to know whether one resolves.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A name to be put into a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectAltName {
    /// A host name in lower case, or a wildcard such as `*.example.org`.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// The text was neither a host name nor an IP address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no host name or IP address: {reason}", .text.escape_default())]
pub struct SanError {
    text: String,
    reason: &'static str,
}

/// The most characters of a host name (RFC 1035 section 2.3.4, without the final dot).
const LONGEST_NAME: usize = 253;
/// The most characters of one label.
const LONGEST_LABEL: usize = 63;

impl FromStr for SubjectAltName {
    type Err = SanError;

    /// Host names: labels of letters, digits, `-` and `_` (which Docker's service names hold, and
    /// which libpq, Go and rustls take), at most 63 characters each and 253 in all, no final dot.
    /// A leading `*.` stands for one label, before at least two more. IPv6 without brackets.
    fn from_str(text: &str) -> Result<Self, SanError> {
        read(text).map_err(|reason| SanError { text: text.chars().take(80).collect(), reason })
    }
}

fn read(text: &str) -> Result<SubjectAltName, &'static str> {
    if let Ok(address) = text.parse() {
        return Ok(SubjectAltName::Ip(address));
    }
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.starts_with('[') {
        return Err("write an IPv6 address without brackets and without a port");
    }
    if text.contains('%') {
        return Err("an address with a zone identifier means something on one machine only");
    }
    if text.contains('/') {
        return Err("give one name or address, not a URL or a network");
    }
    if text.contains(':') {
        return Err("give a name or address without a port");
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    host_name(name)?;
    if name.len() != text.len() && !name.contains('.') {
        return Err("a wildcard needs at least two labels after it");
    }
    if text.len() > LONGEST_NAME {
        return Err("it is longer than 253 characters");
    }
    Ok(SubjectAltName::Dns(text.to_ascii_lowercase()))
}

fn host_name(name: &str) -> Result<(), &'static str> {
    if name.contains('*') {
        return Err("a wildcard is a leading \"*.\" and nothing else");
    }
    if !name.is_ascii() {
        return Err("write international names in their ASCII form (xn--…)");
    }
    if name.len() > LONGEST_NAME {
        return Err("it is longer than 253 characters");
    }
    if name.ends_with('.') {
        return Err("write it without the final dot");
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err("it has an empty label");
        }
        if label.len() > LONGEST_LABEL {
            return Err("a label is longer than 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a label starts or ends with a hyphen");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err("only letters, digits, hyphens, underscores and dots may stand in it");
        }
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) || crate::names::is_ip_address(name) {
        return Err("it looks like an IP address but is none that all clients read alike");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        let dns = |text: &str| SubjectAltName::Dns(text.to_owned());
        for (text, expected) in [
            ("localhost", dns("localhost")),
            ("DB1.Example.ORG", dns("db1.example.org")),
            ("*.example.org", dns("*.example.org")),
            ("my_db", dns("my_db")),
            ("xn--mnchen-3ya.de", dns("xn--mnchen-3ya.de")),
            ("4you.example", dns("4you.example")),
            ("127.0.0.1", SubjectAltName::Ip([127, 0, 0, 1].into())),
            ("::1", SubjectAltName::Ip([0, 0, 0, 0, 0, 0, 0, 1_u16].into())),
        ] {
            assert_eq!(text.parse(), Ok(expected));
        }
    }

    #[test]
    fn what_no_client_would_match_is_refused_with_a_reason() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(127) + "a";
        for (text, reason) in [
            ("", "empty"),
            ("[::1]", "without brackets"),
            ("fe80::1%eth0", "zone"),
            ("localhost:5432", "without a port"),
            ("https://db", "URL"),
            ("10.0.0.0/8", "network"),
            ("db.", "final dot"),
            ("a..b", "empty label"),
            (".db", "empty label"),
            ("-db", "hyphen"),
            ("db-.org", "hyphen"),
            ("d b", "only letters"),
            ("db\n", "only letters"),
            ("*.org", "two labels"),
            ("*", "leading"),
            ("a.*.org", "leading"),
            ("a*.b.org", "leading"),
            ("münchen.de", "xn--"),
            ("10.0.0.256", "looks like"),
            ("127.1", "looks like"),
            ("0x7f000001", "looks like"),
            (&long_label, "63"),
            (&long_name, "253"),
        ] {
            let error = text.parse::<SubjectAltName>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(text in "[a-z0-9.*:_-]{0,40}") {
            if let Ok(name) = text.parse::<SubjectAltName>() {
                prop_assert_eq!(name.to_string().parse(), Ok(name));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,300}") {
            let _ = text.parse::<SubjectAltName>();
        }
    }
}

//! Whether a certificate is for a host, by libpq's rules (the strict ones of rustls are in
//! [`crate::strict`]).
//!
//! The rules are those of `fe-secure-common.c` and `fe-secure-openssl.c`, of PostgreSQL 14 and
//! before or 15 and after. Knows names only; whether the certificate is trusted is decided in
//! [`crate::chain`].

mod address;

use std::fmt;

use self::address::host_of;
pub(crate) use self::address::{ip_text, is_ip_address};
use crate::certificate::Certificate;
use crate::extensions::AltName;

/// Which libpq is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibpqRules {
    /// IP addresses among the subject alternative names count: from libpq 15.
    pub ip_sans: bool,
}

impl LibpqRules {
    /// The rules of a libpq by its major version.
    pub fn of_version(major: u32) -> Self {
        Self { ip_sans: major >= 15 }
    }
}

impl Default for LibpqRules {
    /// Those of libpq 15 and after.
    fn default() -> Self {
        Self { ip_sans: true }
    }
}

/// Why libpq refuses the name; the text is libpq's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameRefusal {
    /// Names were compared and none matched.
    Mismatch {
        /// The host asked for.
        host: String,
        /// Every name that was compared, in order; never empty.
        names: Vec<String>,
    },
    /// The certificate holds no name that libpq would compare.
    NoName,
    /// No host name was given (`hostaddr` alone).
    NoHost,
    /// A name with a zero byte in it (CVE-2009-4034).
    EmbeddedNull,
    /// An IP address of another length than 4 and 16 bytes.
    BadAddress(usize),
}

impl fmt::Display for NameRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch { host, names } => {
                let first = names.first().map_or("", String::as_str);
                write!(f, "server certificate for \"{first}\"")?;
                match names.len().saturating_sub(1) {
                    0 => {}
                    1 => f.write_str(" (and 1 other name)")?,
                    more => write!(f, " (and {more} other names)")?,
                }
                write!(f, " does not match host name \"{host}\"")
            }
            Self::NoName => f.write_str("could not get server's host name from server certificate"),
            Self::NoHost => f.write_str("host name must be specified for a verified SSL connection"),
            Self::EmbeddedNull => f.write_str("SSL certificate's name contains embedded null"),
            Self::BadAddress(length) => {
                write!(f, "certificate contains IP address with invalid length {length}")
            }
        }
    }
}

impl std::error::Error for NameRefusal {}

/// Whether libpq with `sslmode=verify-full` takes `certificate` for `host`.
///
/// `host` is the value of the `host` parameter, never of `hostaddr`. A subject alternative name of
/// the host's own kind (DNS name or IP address) shuts out the common name; only the first common
/// name counts. Before libpq 15 any DNS name shuts it out, and IP addresses are not looked at.
pub fn libpq_matches(certificate: &Certificate, host: &str, rules: LibpqRules) -> Result<(), NameRefusal> {
    if host.is_empty() {
        return Err(NameRefusal::NoHost);
    }
    let asked = host_of(host);
    let mut names = Vec::new();
    let mut common_name_counts = true;
    for name in certificate.alt_names().unwrap_or_default() {
        let compared = match name {
            AltName::Dns(bytes) => {
                if !rules.ip_sans || !asked.is_address() {
                    common_name_counts = false;
                }
                compare_name(bytes, host)?
            }
            AltName::Ip(address) if rules.ip_sans => {
                common_name_counts &= !asked.is_address();
                Compared { name: ip_text(&address::octets(*address)), equal: asked.is(*address) }
            }
            AltName::BadIp(bytes) if rules.ip_sans => {
                return Err(NameRefusal::BadAddress(bytes.len()));
            }
            _ => continue,
        };
        if compared.equal {
            return Ok(());
        }
        names.push(compared.name);
    }
    if common_name_counts && let Some(common_name) = certificate.subject().common_names().next() {
        let compared = compare_name(common_name.raw(), host)?;
        if compared.equal {
            return Ok(());
        }
        names.push(compared.name);
    }
    if names.is_empty() {
        return Err(NameRefusal::NoName);
    }
    Err(NameRefusal::Mismatch { host: host.to_owned(), names })
}

struct Compared {
    name: String,
    equal: bool,
}

/// `pq_verify_peer_name_matches_certificate_name`: bytes, ASCII case aside.
fn compare_name(name: &[u8], host: &str) -> Result<Compared, NameRefusal> {
    if name.contains(&0) {
        return Err(NameRefusal::EmbeddedNull);
    }
    let host = host.as_bytes();
    Ok(Compared {
        name: String::from_utf8_lossy(name).into_owned(),
        equal: name.eq_ignore_ascii_case(host) || wildcard_matches(name, host),
    })
}

/// `wildcard_certificate_match`, with its corner: one empty label before the pattern's dot passes,
/// so `*.example.org` takes `a..example.org`.
fn wildcard_matches(pattern: &[u8], host: &[u8]) -> bool {
    let [b'*', suffix @ ..] = pattern else {
        return false;
    };
    if pattern.len() < 3 || suffix.first() != Some(&b'.') {
        return false;
    }
    let Some(spare) = host.len().checked_sub(pattern.len()) else {
        return false;
    };
    let ends_alike = host.get(spare + 1..).is_some_and(|end| end.eq_ignore_ascii_case(suffix));
    let first_dot = host.iter().position(|byte| *byte == b'.');
    ends_alike && first_dot.is_some_and(|dot| dot >= spare)
}

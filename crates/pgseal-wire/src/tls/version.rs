//! TLS versions by PostgreSQL's names.

use std::fmt;
use std::str::FromStr;

/// A version as `ssl_min_protocol_version` names it (libpq.sgml; case-insensitive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// Not spoken by rustls: a connection that may speak nothing newer cannot be tried.
    Tls1_0,
    /// Not spoken by rustls either.
    Tls1_1,
    /// RFC 5246.
    Tls1_2,
    /// RFC 8446.
    Tls1_3,
}

impl TlsVersion {
    /// `TLSv1`, `TLSv1.1`, `TLSv1.2` or `TLSv1.3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls1_0 => "TLSv1",
            Self::Tls1_1 => "TLSv1.1",
            Self::Tls1_2 => "TLSv1.2",
            Self::Tls1_3 => "TLSv1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no TLS version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid TLS version \"{}\": TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3 exist", .0.escape_debug())]
pub struct InvalidTlsVersion(pub String);

impl FromStr for TlsVersion {
    type Err = InvalidTlsVersion;

    fn from_str(word: &str) -> Result<Self, InvalidTlsVersion> {
        [Self::Tls1_0, Self::Tls1_1, Self::Tls1_2, Self::Tls1_3]
            .into_iter()
            .find(|version| version.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| InvalidTlsVersion(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_in_any_case_and_show_as_postgresql_writes_them() {
        assert_eq!("tlsv1.3".parse(), Ok(TlsVersion::Tls1_3));
        assert_eq!("TLSv1".parse(), Ok(TlsVersion::Tls1_0));
        assert_eq!(TlsVersion::Tls1_2.to_string(), "TLSv1.2");
        assert_eq!(
            "TLSv1.4".parse::<TlsVersion>().unwrap_err().to_string(),
            "invalid TLS version \"TLSv1.4\": TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3 exist"
        );
    }
}

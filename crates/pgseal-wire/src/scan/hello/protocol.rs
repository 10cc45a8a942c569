//! Versions of SSL and TLS, by their wire codes; older than what rustls speaks, too.

use std::fmt;

/// A version that a server may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// The draft of 1995, forbidden by RFC 6176.
    Ssl2,
    /// RFC 6101, forbidden by RFC 7568.
    Ssl3,
    /// RFC 2246, deprecated by RFC 8996.
    Tls1_0,
    /// RFC 4346, deprecated by RFC 8996.
    Tls1_1,
    /// RFC 5246.
    Tls1_2,
    /// RFC 8446.
    Tls1_3,
}

impl Protocol {
    /// All, oldest first.
    pub const ALL: [Self; 6] =
        [Self::Ssl2, Self::Ssl3, Self::Tls1_0, Self::Tls1_1, Self::Tls1_2, Self::Tls1_3];

    /// As it stands in hellos.
    pub const fn code(self) -> u16 {
        match self {
            Self::Ssl2 => 0x0002,
            Self::Ssl3 => 0x0300,
            Self::Tls1_0 => 0x0301,
            Self::Tls1_1 => 0x0302,
            Self::Tls1_2 => 0x0303,
            Self::Tls1_3 => 0x0304,
        }
    }

    /// The one of that code.
    pub fn of(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.code() == code)
    }

    /// As PostgreSQL and OpenSSL write it: `TLSv1` is TLS 1.0.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssl2 => "SSLv2",
            Self::Ssl3 => "SSLv3",
            Self::Tls1_0 => "TLSv1",
            Self::Tls1_1 => "TLSv1.1",
            Self::Tls1_2 => "TLSv1.2",
            Self::Tls1_3 => "TLSv1.3",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

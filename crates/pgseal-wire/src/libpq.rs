//! Which libpq is modelled: the few things that differ between its versions.

use std::fmt;

/// A major version of libpq, 13 to 18. Others are taken as the nearest of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LibpqVersion(u8);

impl LibpqVersion {
    /// The oldest that is modelled.
    pub const OLDEST: Self = Self(13);
    /// The newest that is modelled.
    pub const NEWEST: Self = Self(18);

    /// By its number.
    pub const fn new(major: u8) -> Self {
        match major {
            0..=13 => Self::OLDEST,
            14..=17 => Self(major),
            18.. => Self::NEWEST,
        }
    }

    /// The number.
    pub const fn major(self) -> u8 {
        self.0
    }

    /// SNI is sent (14, `sslsni`).
    pub const fn sends_sni(self) -> bool {
        self.0 >= 14
    }

    /// iPAddress names count (15).
    pub const fn compares_ip_names(self) -> bool {
        self.0 >= 15
    }

    /// `sslrootcert=system` is no file (16).
    pub const fn knows_system_roots(self) -> bool {
        self.0 >= 16
    }

    /// ALPN is offered, direct TLS exists (17).
    pub const fn offers_alpn(self) -> bool {
        self.0 >= 17
    }

    /// A key file that cannot be looked at is told from one that is not there (15).
    pub(crate) const fn tells_why_a_key_is_out_of_reach(self) -> bool {
        self.0 >= 15
    }

    /// Every error of a connection begins with where it was met (14).
    pub(crate) const fn says_where(self) -> bool {
        self.0 >= 14
    }

    /// `sslcertmode`, `require_auth` (16).
    pub const fn knows_certmode(self) -> bool {
        self.0 >= 16
    }

    /// OAUTHBEARER (18).
    pub const fn knows_oauth(self) -> bool {
        self.0 >= 18
    }

    /// `target_session_attrs` beyond `any` and `read-write` (14).
    pub const fn knows_standbys(self) -> bool {
        self.0 >= 14
    }

    /// `sslcrldir` (14).
    pub(crate) const fn knows_crl_directories(self) -> bool {
        self.0 >= 14
    }

    /// Whether `HOME` says where `.postgresql` and `.pgpass` lie; before 15 it is the system's user database alone
    /// (`pqGetHomeDirectory`).
    pub const fn asks_home(self) -> bool {
        self.0 >= 15
    }

    /// Whether GSSAPI encryption can be had is looked at before a socket is opened (17).
    pub(crate) const fn looks_for_credentials_first(self) -> bool {
        self.0 >= 17
    }

    /// Having lost plaintext and being told N, `allow` gives up rather than ask in plaintext
    /// again (`select_next_encryption_method`, 17).
    pub(crate) const fn remembers_lost_methods(self) -> bool {
        self.0 >= 17
    }
}

impl Default for LibpqVersion {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for LibpqVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libpq {}", self.0)
    }
}

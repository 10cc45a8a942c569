//! The six sslmodes of libpq, by name and in order of strength.
//!
//! Knows the words. What a mode does to a connection is told in [`crate::connect`].

use std::fmt;
use std::str::FromStr;

/// libpq's `sslmode`, weakest first (libpq.sgml, "SSL Mode Descriptions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SslMode {
    /// Plaintext only.
    Disable,
    /// Plaintext first, TLS if that is refused.
    Allow,
    /// TLS first, plaintext if that cannot be had. libpq's default.
    #[default]
    Prefer,
    /// TLS only; the chain is verified if a root file exists.
    Require,
    /// TLS only, the chain is verified.
    VerifyCa,
    /// TLS only, chain and name are verified.
    VerifyFull,
}

impl SslMode {
    /// All six, weakest first.
    pub const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The word as libpq spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether a connection of this mode may end without TLS over TCP.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Disable | Self::Allow | Self::Prefer)
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no sslmode. Its text is libpq's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid sslmode value: \"{}\"", .0.escape_debug())]
pub struct InvalidSslMode(pub String);

impl FromStr for SslMode {
    type Err = InvalidSslMode;

    /// Case-sensitive, without trimming, as libpq reads it.
    fn from_str(word: &str) -> Result<Self, InvalidSslMode> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == word)
            .ok_or_else(|| InvalidSslMode(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_reads_back_from_its_own_word() {
        for mode in SslMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
    }

    #[test]
    fn a_word_that_is_no_mode_is_refused_in_the_words_of_libpq() {
        let said = |word: &str| word.parse::<SslMode>().unwrap_err().to_string();
        assert_eq!(said("bogus"), "invalid sslmode value: \"bogus\"");
        assert_eq!(said("Require"), "invalid sslmode value: \"Require\"");
        assert_eq!(said(""), "invalid sslmode value: \"\"");
    }

    #[test]
    fn modes_are_ordered_by_strength() {
        assert!(SslMode::ALL.is_sorted());
        assert!(SslMode::Prefer < SslMode::VerifyCa);
    }
}

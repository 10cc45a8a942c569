//! The major versions of PostgreSQL whose rules are known here, and nothing about what the rules are.

use std::fmt;
use std::str::FromStr;

/// A major version of PostgreSQL. 12 to 18 were measured against servers; 19 was read in the source of its beta branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum PgVersion {
    V12,
    V13,
    V14,
    V15,
    V16,
    V17,
    V18,
    V19,
}

/// A version outside 12 to 19, or no version at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL version \"{0}\" is not known: versions 12 to 19 are")]
pub struct UnknownVersion(pub String);

impl PgVersion {
    /// Every version known, oldest first.
    pub const ALL: [Self; 8] =
        [Self::V12, Self::V13, Self::V14, Self::V15, Self::V16, Self::V17, Self::V18, Self::V19];

    /// The versions whose rules were compared with running servers, oldest first: 12 to 18.
    pub const MEASURED: [Self; 7] =
        [Self::V12, Self::V13, Self::V14, Self::V15, Self::V16, Self::V17, Self::V18];

    /// The newest version compared with running servers: what is meant when nobody says which.
    pub const LATEST: Self = Self::V18;

    /// The number people say: 12 to 19.
    pub const fn major(self) -> u16 {
        match self {
            Self::V12 => 12,
            Self::V13 => 13,
            Self::V14 => 14,
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V17 => 17,
            Self::V18 => 18,
            Self::V19 => 19,
        }
    }

    /// From `server_version_num` or `PG_VERSION_NUM`, such as 150018.
    pub fn from_version_num(number: u32) -> Result<Self, UnknownVersion> {
        Self::from_major(number / 10_000).ok_or_else(|| UnknownVersion(number.to_string()))
    }

    fn from_major(major: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|version| u32::from(version.major()) == major)
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.major().fmt(f)
    }
}

impl FromStr for PgVersion {
    type Err = UnknownVersion;

    /// Reads a major version, with or without a minor one: `15`, `15.18`, also `19beta1` and `19devel`.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (major, rest) = text.split_at(digits);
        let known_tail = rest.is_empty() || rest.starts_with(['.', 'b', 'r', 'd']);
        major
            .parse()
            .ok()
            .filter(|_| known_tail)
            .and_then(Self::from_major)
            .ok_or_else(|| UnknownVersion(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_with_and_without_a_minor() {
        for version in PgVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(format!("{version}.4").parse(), Ok(version));
            assert_eq!(PgVersion::from_version_num(u32::from(version.major()) * 10_000 + 3), Ok(version));
        }
        assert_eq!("19beta2".parse(), Ok(PgVersion::V19));
        for foreign in ["", "11", "20", "9.6", "x", "15x", "-15", "99999999999999"] {
            assert!(foreign.parse::<PgVersion>().is_err(), "{foreign}");
        }
    }
}

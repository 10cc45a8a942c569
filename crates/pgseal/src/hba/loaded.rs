//! Whether a file is the one that a server has loaded, as far as that can be told.

use std::fmt;

/// What is known. Only the main file's time is looked at, not those it includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// Changed since the last reload: older rules decide. The two times.
    Newer(String),
    /// Older than the last reload, which loads it unless it has errors.
    Older,
    /// No server runs; the next start loads it.
    AtNextStart,
    Unknown(String),
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(times) => {
                write!(f, "changed since the server's last reload ({times}): not what decides now")
            }
            Self::Older => {
                f.write_str("older than the server's last reload: it is what decides, if that reload took it")
            }
            Self::AtNextStart => f.write_str("no server runs: it is what the next start would load"),
            Self::Unknown(why) => write!(f, "whether the server has loaded it could not be told: {why}"),
        }
    }
}

//! Who wants in, and with what.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::message::{Replication, StartupParameters};

/// libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum ChannelBinding {
    /// Never SCRAM-SHA-256-PLUS.
    Disable,
    /// SCRAM-SHA-256-PLUS where it can be had. libpq's default.
    #[default]
    Prefer,
    /// SCRAM-SHA-256-PLUS or nothing: no one in the middle can pass that on.
    Require,
}

impl ChannelBinding {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Disable, Self::Prefer, Self::Require];

    /// The word as libpq spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

impl fmt::Display for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of the three. Its text is libpq's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid channel_binding value: \"{}\"", .0.escape_debug())]
pub struct InvalidChannelBinding(pub String);

impl FromStr for ChannelBinding {
    type Err = InvalidChannelBinding;

    /// Case-sensitive, as libpq reads it.
    fn from_str(word: &str) -> Result<Self, InvalidChannelBinding> {
        Self::ALL
            .into_iter()
            .find(|binding| binding.as_str() == word)
            .ok_or_else(|| InvalidChannelBinding(word.to_owned()))
    }
}

/// Who wants in, and with what. Its Debug shows no password.
#[derive(Clone)]
pub struct Credentials {
    /// The role.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// The password; an empty one counts as none, as with libpq.
    pub password: Option<Zeroizing<String>>,
    /// Shown in `pg_stat_activity`.
    pub application_name: Option<String>,
    /// Whether SCRAM is to be bound to the TLS channel.
    pub channel_binding: ChannelBinding,
}

impl Credentials {
    /// A role on a database, with no password, channel binding preferred.
    pub fn new(user: impl Into<String>, dbname: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            dbname: dbname.into(),
            password: None,
            application_name: None,
            channel_binding: ChannelBinding::default(),
        }
    }

    pub(crate) fn startup(&self) -> StartupParameters {
        StartupParameters {
            user: self.user.clone(),
            database: Some(self.dbname.clone()),
            replication: Replication::No,
            application_name: self.application_name.clone(),
        }
    }

    pub(super) fn password(&self) -> Option<&[u8]> {
        self.password.as_ref().map(|password| password.as_bytes()).filter(|password| !password.is_empty())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("dbname", &self.dbname)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("application_name", &self.application_name)
            .field("channel_binding", &self.channel_binding)
            .finish()
    }
}

//! Who wants in, and with what.

use std::fmt;

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

    pub(super) fn startup(&self) -> StartupParameters {
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

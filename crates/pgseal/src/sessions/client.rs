//! A client as it is known again: who, to which database, from where, as which application, and how. Plain values.

use serde::{Deserialize, Serialize};

use super::Seen;

/// What is around a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum How {
    /// Over TCP with nothing around it.
    Plaintext,
    /// It could not be told: the role that looked may not see it.
    Unknown,
    Tls {
        version: String,
        suite: String,
    },
    Gss,
    /// Over a Unix socket.
    Local,
}

impl How {
    /// For people.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Plaintext => "plaintext".to_owned(),
            Self::Unknown => "not to be seen".to_owned(),
            Self::Tls { version, suite } => format!("{version} {suite}"),
            Self::Gss => "GSSAPI".to_owned(),
            Self::Local => "Unix socket".to_owned(),
        }
    }
}

/// Sessions of one client fare alike. Sorted with plaintext first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) how: How,
    pub(crate) user: String,
    /// None for physical replication.
    pub(crate) database: Option<String>,
    /// An address, or a host's name where the log has that; None for a Unix socket.
    pub(crate) address: Option<String>,
    pub(crate) application: String,
}

impl Client {
    pub(crate) fn of(seen: &Seen) -> Self {
        Self {
            how: seen.how(),
            user: seen.user.clone().unwrap_or_default(),
            database: seen.database.clone(),
            address: seen.address.map(|ip| ip.to_string()),
            application: seen.application.clone(),
        }
    }

    /// `app on shop from 10.0.0.31 "psql"`, for people.
    pub(crate) fn words(&self) -> String {
        let database = self.database.as_deref().unwrap_or("replication");
        let from = self.address.as_deref().unwrap_or("here");
        let application =
            if self.application.is_empty() { String::new() } else { format!(" \"{}\"", self.application) };
        format!("{} on {database} from {from}{application}", self.user)
    }
}

//! `target_session_attrs`: which of several servers will do, once a session on it stands.

use std::fmt;
use std::str::FromStr;

use crate::libpq::LibpqVersion;
use crate::session::Session;

/// libpq's `target_session_attrs` (fe-connect.c, `CONNECTION_CHECK_TARGET`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum TargetSession {
    /// The first that lets in. libpq's default.
    #[default]
    Any,
    /// One whose sessions may write.
    ReadWrite,
    /// One whose sessions may not (14).
    ReadOnly,
    /// One that is no standby (14).
    Primary,
    /// A standby (14).
    Standby,
    /// A standby, and any server once none was found (14).
    PreferStandby,
}

impl TargetSession {
    /// All six.
    pub const ALL: [Self; 6] =
        [Self::Any, Self::ReadWrite, Self::ReadOnly, Self::Primary, Self::Standby, Self::PreferStandby];

    /// The word as libpq spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        }
    }

    /// As a libpq of this version reads it: before 14 there were two.
    pub fn parse(word: &str, libpq: LibpqVersion) -> Result<Self, InvalidTargetSession> {
        match word.parse() {
            Ok(Self::Any) => Ok(Self::Any),
            Ok(Self::ReadWrite) => Ok(Self::ReadWrite),
            Ok(later) if libpq.knows_standbys() => Ok(later),
            _ => Err(InvalidTargetSession(word.to_owned())),
        }
    }

    /// What is looked for in this round; the second is only gone through by prefer-standby.
    pub(super) const fn in_round(self, second: bool) -> Self {
        if second { Self::Any } else { self }
    }

    /// Whether there is a second round.
    pub(super) const fn has_second_round(self) -> bool {
        matches!(self, Self::PreferStandby)
    }
}

impl fmt::Display for TargetSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of them. Its text is libpq's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid target_session_attrs value: \"{}\"", .0.escape_debug())]
pub struct InvalidTargetSession(pub String);

impl FromStr for TargetSession {
    type Err = InvalidTargetSession;

    fn from_str(word: &str) -> Result<Self, InvalidTargetSession> {
        Self::ALL
            .into_iter()
            .find(|one| one.as_str() == word)
            .ok_or_else(|| InvalidTargetSession(word.to_owned()))
    }
}

/// Why a server will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// Its sessions may not write.
    #[error("session is read-only")]
    ReadOnly,
    /// They may.
    #[error("session is not read-only")]
    NotReadOnly,
    /// It is a standby.
    #[error("server is in hot standby mode")]
    Standby,
    /// It is none.
    #[error("server is not in hot standby mode")]
    NotStandby,
    /// It did not say.
    #[error("the server did not say what it is: {0}")]
    Untold(String),
}

/// Looks at a session that stands: at what the server reported (14 and later), or by the queries of libpq.
pub(super) async fn suits(session: &Session, wanted: TargetSession) -> Result<(), Unsuitable> {
    let fault = match wanted {
        TargetSession::Any => return Ok(()),
        TargetSession::ReadWrite => read_only(session).await?.then_some(Unsuitable::ReadOnly),
        TargetSession::ReadOnly => (!read_only(session).await?).then_some(Unsuitable::NotReadOnly),
        TargetSession::Primary => standby(session).await?.then_some(Unsuitable::Standby),
        TargetSession::Standby | TargetSession::PreferStandby => {
            (!standby(session).await?).then_some(Unsuitable::NotStandby)
        }
    };
    fault.map_or(Ok(()), Err)
}

async fn read_only(session: &Session) -> Result<bool, Unsuitable> {
    match (session.parameter("default_transaction_read_only"), session.parameter("in_hot_standby")) {
        (Some(read_only), Some(standby)) => Ok(read_only == "on" || standby == "on"),
        _ => answer(session, "SHOW transaction_read_only", "on").await,
    }
}

async fn standby(session: &Session) -> Result<bool, Unsuitable> {
    match session.parameter("in_hot_standby") {
        Some(standby) => Ok(standby == "on"),
        None => answer(session, "SELECT pg_catalog.pg_is_in_recovery()", "t").await,
    }
}

/// Whether the first column of the first row is this. Older servers answer within milliseconds, or the session ends.
async fn answer(session: &Session, query: &str, yes: &str) -> Result<bool, Unsuitable> {
    let untold = |why: String| Unsuitable::Untold(why);
    let asked =
        tokio::time::timeout(std::time::Duration::from_secs(10), session.client().simple_query(query));
    let rows = asked
        .await
        .map_err(|_| untold("no answer within 10 s".to_owned()))?
        .map_err(|error| untold(error.to_string()))?;
    let said = rows.iter().find_map(|row| match row {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    said.map(|said| said == yes).ok_or_else(|| untold(format!("no answer to {query}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_libpq_knows_two_words() {
        let old = |word| TargetSession::parse(word, LibpqVersion::new(13)).map_err(|error| error.to_string());
        assert_eq!(old("read-write"), Ok(TargetSession::ReadWrite));
        assert_eq!(old("primary"), Err("invalid target_session_attrs value: \"primary\"".to_owned()));
        for one in TargetSession::ALL {
            assert_eq!(TargetSession::parse(one.as_str(), LibpqVersion::new(14)), Ok(one));
        }
    }
}

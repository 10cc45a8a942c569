//! Who would be let in, and how, as JSON.

use pgseal_wire::scan::{Outcome, StartupKey};
use serde::Serialize;

use super::super::super::authentication::Met;
use super::super::super::report::Report;

#[derive(Debug, Serialize)]
pub(super) struct AuthenticationRow<'a> {
    user: &'a str,
    database: &'a str,
    plaintext: MetRow,
    tls: MetRow,
    replication: ReplicationRow,
}

#[derive(Debug, Serialize)]
struct ReplicationRow {
    plaintext: MetRow,
    tls: MetRow,
}

/// What a startup packet met.
#[derive(Debug, Serialize)]
struct MetRow {
    /// Whether the server went on to authenticate, or further.
    let_in: Option<bool>,
    result: &'static str,
    sqlstate: Option<String>,
    message: Option<String>,
    reason: Option<String>,
}

pub(super) fn authentication(report: &Report) -> AuthenticationRow<'_> {
    let scanned = &report.scanned;
    AuthenticationRow {
        user: &scanned.user,
        database: &scanned.dbname,
        plaintext: met(scanned.plaintext(StartupKey::Database).map(Ok)),
        tls: met(scanned.under_tls(false)),
        replication: ReplicationRow {
            plaintext: met(scanned.plaintext(StartupKey::Replication).map(Ok)),
            tls: met(scanned.under_tls(true)),
        },
    }
}

fn met(outcome: Option<Result<&Outcome, &str>>) -> MetRow {
    let unknown = |reason: &str| MetRow {
        let_in: None,
        result: Met::Unknown.word(),
        sqlstate: None,
        message: None,
        reason: Some(reason.to_owned()),
    };
    let outcome = match outcome {
        None => return unknown("it was not asked"),
        Some(Err(why)) => return unknown(why),
        Some(Ok(Outcome::Odd { why, .. })) => return unknown(why),
        Some(Ok(outcome)) => outcome,
    };
    let met = Met::of(outcome);
    let error = match outcome {
        Outcome::Refused(error) => Some(error),
        _ => None,
    };
    MetRow {
        let_in: (met != Met::Unknown).then(|| met.is_let_in()),
        result: met.word(),
        sqlstate: error.and_then(|error| error.sqlstate).map(|code| code.to_string()),
        message: error.map(|error| error.message.clone()),
        reason: (met == Met::Unknown).then(|| "it says nothing of pg_hba.conf".to_owned()),
    }
}

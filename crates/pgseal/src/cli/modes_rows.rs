//! The sslmode table as programs read it.

use pgseal_conf::conninfo::Secrets;
use pgseal_pki::Certificate;
use pgseal_wire::{Attempt, AttemptOutcome, AttemptStep, AuthenticationRequest, Peer};
use serde::Serialize;

use super::modes_report::Table;
use crate::modes::advice::advice;
use crate::modes::against::Heard;
use crate::modes::certificate::Judged;
use crate::modes::survey::{Ended, Login, Row};
use crate::report::certificate::instant;
use crate::report::json::SCHEMA_VERSION;

/// The JSON of `pgseal modes` (docs/schema/modes.json).
#[derive(Debug, Serialize)]
pub(super) struct TableRow<'a> {
    schema_version: u32,
    /// The connection string of TARGET with all that was read beside it, without secrets.
    target: String,
    username: &'a str,
    dbname: &'a str,
    libpq: u8,
    tls: Option<TlsRow>,
    certificate: Option<CertificateRow>,
    login: LoginRow<'a>,
    rows: Vec<ModeRow<'a>>,
    against: Option<AgainstRow<'a>>,
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TlsRow {
    version: String,
    suite: String,
    client_certificate_requested: bool,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    subject: String,
    issuer: String,
    version: u8,
    names: Vec<String>,
    key: String,
    not_after: String,
    expired: bool,
    self_signed: bool,
    sha256: String,
    /// libpq's words where the name does not fit.
    libpq_name: Option<String>,
    /// Why clients built on rustls cannot connect at all.
    rustls: Option<String>,
    /// Why clients that look at no common name refuse it.
    san_only: Option<String>,
    /// Why SCRAM cannot be bound to it.
    channel_binding: Option<String>,
}

#[derive(Debug, Serialize)]
struct LoginRow<'a> {
    tried: bool,
    succeeded: Option<bool>,
    method: Option<&'a str>,
    said: &'a str,
}

#[derive(Debug, Serialize)]
struct ModeRow<'a> {
    sslmode: &'static str,
    root: &'static str,
    root_file: Option<&'a str>,
    /// The mode and the roots of TARGET itself.
    own: bool,
    encrypted: Option<bool>,
    chain_verified: Option<bool>,
    name_verified: Option<bool>,
    outcome: &'static str,
    refused_at: Option<&'static str>,
    libpq: Option<String>,
    attempts: Vec<AttemptRow>,
    eavesdropper: OnlookerRow,
    attacker: OnlookerRow,
    psql: Option<PsqlRow<'a>>,
}

#[derive(Debug, Serialize)]
struct AttemptRow {
    address: Option<String>,
    asked_for_tls: bool,
    tls: Option<String>,
    outcome: &'static str,
    failed_at: Option<&'static str>,
    said: String,
}

#[derive(Debug, Serialize)]
struct OnlookerRow {
    verdict: &'static str,
    why: String,
}

#[derive(Debug, Serialize)]
struct PsqlRow<'a> {
    same: Option<bool>,
    said: &'a str,
}

#[derive(Debug, Serialize)]
struct AgainstRow<'a> {
    path: String,
    release: &'a str,
    differences: usize,
}

pub(super) fn row_of<'a>(table: &Table<'a>) -> TableRow<'a> {
    let (client, survey) = (table.client, table.survey);
    let mut told = client.asked.clone();
    for name in ["user", "dbname", "service"] {
        told.remove(name);
    }
    TableRow {
        schema_version: SCHEMA_VERSION,
        target: told.to_conninfo(Secrets::Omitted).to_string(),
        username: &client.username,
        dbname: &client.dbname,
        libpq: client.libpq.major(),
        tls: survey.tls.as_ref().map(|facts| TlsRow {
            version: facts.version.to_string(),
            suite: facts.suite.to_string(),
            client_certificate_requested: facts.client_certificate_requested,
        }),
        certificate: survey
            .chain
            .first()
            .zip(table.judged)
            .map(|(leaf, judged)| certificate_row(leaf, judged)),
        login: login_row(&survey.login),
        rows: survey
            .rows
            .iter()
            .enumerate()
            .map(|(nth, row)| mode_row(table, row, table.heard.get(nth)))
            .collect(),
        against: table.psql.map(|psql| AgainstRow {
            path: psql.path.display().to_string(),
            release: &psql.release,
            differences: table.heard.iter().filter(|heard| heard.same == Some(false)).count(),
        }),
        advice: advice(survey, table.judged),
    }
}

fn certificate_row(leaf: &Certificate, judged: &Judged) -> CertificateRow {
    let addresses = leaf.ip_addresses().into_iter().map(|ip| ip.to_string());
    CertificateRow {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        version: leaf.version(),
        names: leaf.dns_names().into_iter().chain(addresses).collect(),
        key: leaf.public_key().kind().to_string(),
        not_after: instant(leaf.not_after()),
        expired: judged.expired,
        self_signed: leaf.self_signed(),
        sha256: leaf.fingerprint().to_string(),
        libpq_name: judged.libpq_name.clone(),
        rustls: judged.rustls_never.clone(),
        san_only: judged.san_only.clone(),
        channel_binding: judged.unbindable.clone(),
    }
}

fn login_row(login: &Login) -> LoginRow<'_> {
    match login {
        Login::NotTried(why) => LoginRow { tried: false, succeeded: None, method: None, said: why },
        Login::In { session, method } => {
            LoginRow { tried: true, succeeded: Some(true), method: Some(method), said: session }
        }
        Login::Refused(why) => LoginRow { tried: true, succeeded: Some(false), method: None, said: why },
    }
}

fn mode_row<'a>(table: &Table<'a>, row: &'a Row, heard: Option<&'a Heard>) -> ModeRow<'a> {
    let ((sees, seen_why), (can, can_why)) = table.onlookers(row);
    ModeRow {
        sslmode: row.mode.as_str(),
        root: row.root.as_str(),
        root_file: row.root_file.as_deref(),
        own: row.own,
        encrypted: row.encrypted(),
        chain_verified: row.chain_verified(),
        name_verified: row.name_verified(),
        outcome: outcome_word(row.ended),
        refused_at: match &row.refused_parameters {
            Some(_) => Some("parameters"),
            None => row.refused_at().map(step_word),
        },
        libpq: row.libpq_text(),
        attempts: row.attempts.iter().map(attempt_row).collect(),
        eavesdropper: OnlookerRow { verdict: sees.as_str(), why: seen_why },
        attacker: OnlookerRow { verdict: can.as_str(), why: can_why },
        psql: heard.map(|heard| PsqlRow { same: heard.same, said: &heard.said }),
    }
}

fn attempt_row(attempt: &Attempt) -> AttemptRow {
    AttemptRow {
        address: attempt.peer.as_ref().map(|peer| match peer {
            Peer::Tcp(address) => address.to_string(),
            Peer::Unix(path) => path.display().to_string(),
        }),
        asked_for_tls: attempt.asked_for_tls,
        tls: attempt.tls.as_ref().map(|facts| format!("{} {}", facts.version, facts.suite)),
        outcome: match &attempt.outcome {
            AttemptOutcome::LoggedIn(_) | AttemptOutcome::Asked(AuthenticationRequest::Ok) => "let-in",
            AttemptOutcome::Asked(_) => "asked-for-authentication",
            _ => "failed",
        },
        failed_at: attempt.failed_at().map(step_word),
        said: attempt.came_to(),
    }
}

const fn outcome_word(ended: Ended) -> &'static str {
    match ended {
        Ended::Tls => "tls",
        Ended::Plaintext => "plaintext",
        Ended::Refused => "refused",
        Ended::Untold => "untold",
    }
}

const fn step_word(step: AttemptStep) -> &'static str {
    match step {
        AttemptStep::Dial => "dial",
        AttemptStep::SslRequest => "ssl-request",
        AttemptStep::Roots => "roots",
        AttemptStep::ClientCertificate => "client-certificate",
        AttemptStep::Handshake => "handshake",
        AttemptStep::Chain => "chain",
        AttemptStep::Name => "name",
        AttemptStep::Startup => "startup",
        AttemptStep::Login => "login",
        AttemptStep::TargetSession => "target-session",
    }
}

//! A scan as JSON (docs/schema/scan.json). Fields only grow; what could not be told is null, with a reason beside it.

mod access;
mod certificate;
mod crypto;

use pgseal_wire::scan::hello::Protocol;
use pgseal_wire::scan::{Estimate, Hunt, Seen, SslReply, unfinished};
use serde::Serialize;

use self::access::AuthenticationRow;
use self::certificate::ChainRow;
use self::crypto::{FeaturesRow, GroupRow, ProtocolRow, SchemeRow, SuitesRow};
pub(super) use self::crypto::{authorities, features as told};
use super::super::report::Report;
use super::super::scanned::Speaker;
use super::intrusive::IntrusiveRow;
use crate::findings::{Finding, Grade};
use crate::report::certificate::instant;
use crate::report::json::SCHEMA_VERSION;

/// `--format json`.
#[derive(Debug, Serialize)]
pub(crate) struct Whole<'a> {
    schema_version: u32,
    targets: Vec<Row<'a>>,
}

impl<'a> Whole<'a> {
    pub(crate) fn of(reports: &'a [Report]) -> Self {
        Self { schema_version: SCHEMA_VERSION, targets: reports.iter().map(Row::of).collect() }
    }
}

/// One server at one address; a line of `--format jsonl`.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    host: &'a str,
    port: u16,
    address: Option<String>,
    scanned_at: String,
    reachable: bool,
    /// `postgresql`, `pgbouncer`, `pooler`, `other`; null where nobody answers.
    speaks: Option<&'static str>,
    /// Why nobody answers, or what does.
    reason: Option<String>,
    version_estimate: Option<EstimateRow>,
    tls: TlsRow,
    protocols: Vec<ProtocolRow>,
    suites: Vec<SuitesRow>,
    groups: Vec<GroupRow>,
    groups_preference: Option<&'static str>,
    signature_schemes: Vec<SchemeRow>,
    dh_bits: Option<usize>,
    features: FeaturesRow,
    chain: Option<ChainRow>,
    authentication: AuthenticationRow<'a>,
    intrusive: Option<IntrusiveRow>,
    findings: &'a [Finding],
    findings_known_before: usize,
    grade: Option<Grade>,
    grade_set_by: Option<&'static str>,
    connections: u32,
    log_lines: u32,
    waited_for_room: u32,
    /// Why the scan ended before its end.
    unfinished: Option<String>,
    duration_ms: u64,
}

#[derive(Debug, Serialize)]
struct EstimateRow {
    versions: String,
    lowest: Option<u16>,
    highest: Option<u16>,
    release: Option<&'static str>,
    because: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TlsRow {
    /// After `SSLRequest`.
    offered: Option<bool>,
    reason: Option<String>,
    negotiated: Option<NegotiatedRow>,
    direct: DirectRow,
    gssencrequest: Option<bool>,
}

/// What a client of today agrees on.
#[derive(Debug, Serialize)]
struct NegotiatedRow {
    version: &'static str,
    suite: String,
    suite_openssl: Option<&'static str>,
    group: Option<String>,
    alpn: Option<String>,
}

#[derive(Debug, Serialize)]
struct DirectRow {
    offered: Option<bool>,
    alpn: Option<String>,
    /// Whether it goes on without ALPN, as PostgreSQL does not.
    without_alpn: Option<bool>,
    reason: Option<String>,
}

impl<'a> Row<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let scanned = &report.scanned;
        let known = &scanned.known;
        let (speaks, reason) = speaker(&scanned.speaker());
        Self {
            schema_version: SCHEMA_VERSION,
            target: &scanned.target.label,
            host: &scanned.target.host,
            port: scanned.target.port,
            address: scanned.address.map(|address| address.to_string()),
            scanned_at: instant(scanned.at),
            reachable: scanned.reachable(),
            speaks,
            reason,
            version_estimate: Estimate::of(known).map(|guess| EstimateRow {
                versions: guess.versions(),
                lowest: guess.lowest,
                highest: guess.highest,
                release: guess.release,
                because: guess.because,
            }),
            tls: tls(report),
            protocols: crypto::protocols(report),
            suites: crypto::suites(report),
            groups: crypto::groups(report),
            groups_preference: known
                .groups
                .get(&Protocol::Tls1_3)
                .and_then(Hunt::preference)
                .map(crypto::preference),
            signature_schemes: crypto::schemes(report),
            dh_bits: known.dh_bits.iter().min().copied(),
            features: crypto::features(report),
            chain: certificate::chain(report, scanned.at),
            authentication: access::authentication(report),
            intrusive: IntrusiveRow::of(report),
            findings: &report.findings,
            findings_known_before: report.known_before,
            grade: report.grade,
            grade_set_by: report.grade_set_by,
            connections: known.connections,
            log_lines: known.log_lines,
            waited_for_room: known.waited,
            unfinished: unfinished(known),
            duration_ms: u64::try_from(scanned.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn speaker(speaker: &Speaker) -> (Option<&'static str>, Option<String>) {
    match speaker {
        Speaker::Postgres => (Some("postgresql"), None),
        Speaker::PgBouncer => (Some("pgbouncer"), None),
        Speaker::Pooler => (Some("pooler"), None),
        Speaker::Other(what) => (Some("other"), Some(what.clone())),
        Speaker::Nobody(why) => (None, Some(why.clone())),
    }
}

fn tls(report: &Report) -> TlsRow {
    let known = &report.scanned.known;
    let (offered, reason) = match &known.ssl {
        Some(SslReply::Yes) => (Some(true), None),
        Some(SslReply::No) => (Some(false), None),
        Some(SslReply::Error(error)) => (None, Some(format!("an error before TLS: {error}"))),
        Some(SslReply::Closed(why)) => (None, Some(why.clone())),
        Some(SslReply::Late(time)) => {
            (None, Some(format!("no answer to SSLRequest within {} s", time.as_secs_f64())))
        }
        Some(SslReply::Stuffed(bytes) | SslReply::Other(bytes)) => {
            (None, Some(format!("the answer to SSLRequest begins with \"{}\"", bytes.escape_ascii())))
        }
        None => (None, None),
    };
    let direct = known.direct.get(&true);
    TlsRow {
        offered,
        reason,
        negotiated: known.logins.get(&false).and_then(|result| result.as_ref().ok()).map(negotiated),
        direct: DirectRow {
            offered: direct
                .map(|result| result.as_ref().is_ok_and(|seen| seen.alpn.as_deref() == Some("postgresql"))),
            alpn: direct.and_then(|result| result.as_ref().ok()?.alpn.clone()),
            without_alpn: known
                .direct
                .get(&false)
                .map(|result| result.as_ref().is_ok_and(|seen| seen.outcome.oddity().is_none())),
            reason: direct.and_then(|result| result.as_ref().err().map(|failed| failed.why.clone())),
        },
        gssencrequest: match &known.gssenc {
            Some(SslReply::Yes) => Some(true),
            Some(SslReply::No) => Some(false),
            _ => None,
        },
    }
}

fn negotiated(seen: &Seen) -> NegotiatedRow {
    NegotiatedRow {
        version: seen.version.as_str(),
        suite: seen.suite.to_string(),
        suite_openssl: seen.suite.openssl_name(),
        group: seen.group.map(|group| group.to_string()),
        alpn: seen.alpn.clone(),
    }
}

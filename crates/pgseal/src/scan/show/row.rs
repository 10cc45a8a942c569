//! A scan as JSON (docs/schema/scan.json). Fields only grow; what could not be told is null, with a reason beside it.

use pgseal_pki::dn::DistinguishedName;
use pgseal_wire::registry;
use pgseal_wire::scan::hello::Protocol;
use pgseal_wire::scan::{
    Estimate, Hunt, Outcome, Preference, Renegotiating, Seen, SslReply, StartupKey, StrayReply, Stuffing,
    Told, unfinished,
};
use serde::Serialize;
use time::OffsetDateTime;

use super::super::authentication::Met;
use super::super::report::Report;
use super::super::scanned::Speaker;
use crate::findings::{Finding, Grade};
use crate::report::certificate::{CertificateRow, instant, one};
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

#[derive(Debug, Serialize)]
struct ProtocolRow {
    name: &'static str,
    accepted: Option<bool>,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct SuitesRow {
    protocol: &'static str,
    /// `server` or `client`; null where fewer than two are accepted.
    preference: Option<&'static str>,
    complete: bool,
    reason: Option<String>,
    accepted: Vec<SuiteRow>,
}

#[derive(Debug, Serialize)]
struct SuiteRow {
    code: String,
    iana: Option<&'static str>,
    openssl: Option<&'static str>,
    classes: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct GroupRow {
    code: String,
    iana: Option<&'static str>,
    name: Option<&'static str>,
    bits: Option<u16>,
    post_quantum: bool,
    protocols: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct SchemeRow {
    code: String,
    iana: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct FeaturesRow {
    compression: Option<bool>,
    secure_renegotiation: Option<bool>,
    extended_master_secret: Option<bool>,
    encrypt_then_mac: Option<bool>,
    session_tickets: Option<bool>,
    session_ids: Option<bool>,
    resumption: Option<bool>,
    fallback_scsv: Option<bool>,
    fallback_scsv_reason: Option<String>,
    ocsp_stapling: Option<bool>,
    client_certificate_requested: Option<bool>,
    client_certificate_authorities: Vec<String>,
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the JSON")]
struct ChainRow {
    certificates: Vec<CertificateRow>,
    /// Certificates that could not be read.
    unreadable: Vec<UnreadableRow>,
    /// More chains, of other keys.
    others: Vec<Vec<CertificateRow>>,
    in_order: bool,
    /// Null where it cannot be told without the root.
    complete: Option<bool>,
    root_served: bool,
    strangers: usize,
    trusted_by: Option<String>,
    trusted: Option<bool>,
    trusted_reason: Option<String>,
    trusted_by_system: Option<bool>,
    trusted_by_system_reason: Option<String>,
    trusted_by_rustls: Option<bool>,
    trusted_by_rustls_reason: Option<String>,
    name_matches_libpq: bool,
    name_matches_libpq_reason: Option<String>,
    name_matches_strict: bool,
    name_matches_strict_reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct UnreadableRow {
    place: usize,
    reason: String,
}

#[derive(Debug, Serialize)]
struct AuthenticationRow<'a> {
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

#[derive(Debug, Serialize)]
struct IntrusiveRow {
    stuffing: &'static str,
    stuffing_said: Option<String>,
    renegotiation: &'static str,
    renegotiation_said: Option<String>,
    stray_bytes: &'static str,
    stray_bytes_said: Option<String>,
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
            protocols: Protocol::ALL.into_iter().map(|protocol| protocol_row(report, protocol)).collect(),
            suites: suites(report),
            groups: groups(report),
            groups_preference: known.groups.get(&Protocol::Tls1_3).and_then(Hunt::preference).map(preference),
            signature_schemes: known
                .schemes
                .accepted()
                .into_iter()
                .map(|scheme| SchemeRow {
                    code: code(scheme),
                    iana: registry::scheme(scheme).map(|entry| entry.iana),
                })
                .collect(),
            dh_bits: known.dh_bits.iter().min().copied(),
            features: features(report),
            chain: chain(report, scanned.at),
            authentication: AuthenticationRow {
                user: &scanned.user,
                database: &scanned.dbname,
                plaintext: met(scanned.plaintext(StartupKey::Database).map(Ok)),
                tls: met(scanned.under_tls(false)),
                replication: ReplicationRow {
                    plaintext: met(scanned.plaintext(StartupKey::Replication).map(Ok)),
                    tls: met(scanned.under_tls(true)),
                },
            },
            intrusive: known.wish.intrusive.then(|| intrusive(report)),
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

fn code(code: u16) -> String {
    format!("{code:04x}")
}

const fn preference(preference: Preference) -> &'static str {
    match preference {
        Preference::Server => "server",
        Preference::Client => "client",
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

fn protocol_row(report: &Report, protocol: Protocol) -> ProtocolRow {
    let known = &report.scanned.known;
    let told = known.version(protocol);
    ProtocolRow {
        name: protocol.as_str(),
        accepted: told.as_bool(),
        reason: match &told {
            Told::Unknown(why) => Some(why.clone()),
            Told::No => known.refusals.get(&protocol).cloned(),
            Told::Yes => None,
        },
    }
}

fn suites(report: &Report) -> Vec<SuitesRow> {
    let known = &report.scanned.known;
    let hunts = known.suites.iter().rev();
    hunts
        .filter(|(protocol, hunt)| hunt.found_any() && **protocol > Protocol::Ssl2)
        .map(|(protocol, hunt)| SuitesRow {
            protocol: protocol.as_str(),
            preference: hunt.preference().map(preference),
            complete: hunt.is_complete(),
            reason: hunt.gave_up(),
            accepted: hunt.accepted().into_iter().map(suite_row).collect(),
        })
        .collect()
}

fn suite_row(suite: u16) -> SuiteRow {
    let entry = registry::suite(suite);
    SuiteRow {
        code: code(suite),
        iana: entry.map(|entry| entry.iana),
        openssl: entry.and_then(|entry| entry.openssl),
        classes: entry.map(|entry| entry.classes.split(' ').collect()).unwrap_or_default(),
    }
}

fn groups(report: &Report) -> Vec<GroupRow> {
    let known = &report.scanned.known;
    let row = |group: u16| {
        let entry = registry::group(group);
        let spoken = |protocol: &Protocol| {
            known.groups.get(protocol).is_some_and(|hunt| hunt.accepted().contains(&group))
        };
        GroupRow {
            code: code(group),
            iana: entry.map(|entry| entry.iana),
            name: entry.map(|entry| entry.name),
            bits: entry.map(|entry| entry.bits),
            post_quantum: entry.is_some_and(|entry| entry.is("post-quantum")),
            protocols: [Protocol::Tls1_3, Protocol::Tls1_2]
                .into_iter()
                .filter(spoken)
                .map(Protocol::as_str)
                .collect(),
        }
    };
    known.all_groups().into_iter().map(row).collect()
}

fn features(report: &Report) -> FeaturesRow {
    let known = &report.scanned.known;
    let features = &known.features;
    let seen = |value: bool| features.seen.then_some(value);
    let logins: Vec<&Seen> = known.handshakes().collect();
    let any =
        |wanted: &dyn Fn(&Seen) -> bool| (!logins.is_empty()).then(|| logins.iter().any(|seen| wanted(seen)));
    // Seen in one way or the other is seen; seen in none is not there.
    let either = |one: Option<bool>, other: Option<bool>| match (one, other) {
        (Some(one), Some(other)) => Some(one || other),
        (one, other) => one.or(other),
    };
    FeaturesRow {
        compression: seen(features.compression),
        secure_renegotiation: seen(features.secure_renegotiation),
        extended_master_secret: seen(features.extended_master_secret),
        encrypt_then_mac: features.encrypt_then_mac,
        session_tickets: either(seen(features.session_ticket), any(&|login| login.tickets > 0)),
        session_ids: seen(features.session_id),
        resumption: if logins.len() > 1 { any(&|login| login.resumed) } else { None },
        fallback_scsv: known.fallback.as_ref().and_then(Told::as_bool),
        fallback_scsv_reason: known.fallback.as_ref().and_then(Told::reason).map(str::to_owned),
        ocsp_stapling: either(seen(features.ocsp), any(&|login| login.ocsp)),
        client_certificate_requested: either(
            seen(features.certificate_request.is_some()),
            any(&|login| login.certificate_request.is_some()),
        ),
        client_certificate_authorities: authorities(report),
    }
}

/// Names of authorities that a client certificate would have to come from.
pub(super) fn authorities(report: &Report) -> Vec<String> {
    let known = &report.scanned.known;
    let from_flight =
        known.features.certificate_request.as_ref().map(|request| request.authorities.as_slice());
    let from_login = || known.handshakes().find_map(|seen| seen.certificate_request.as_deref());
    let names = from_flight.or_else(from_login).unwrap_or_default();
    let text = |der: &Vec<u8>| match DistinguishedName::from_der(der) {
        Some(name) => name.to_string(),
        None => "a name that cannot be read".to_owned(),
    };
    names.iter().map(text).collect()
}

fn chain(report: &Report, now: OffsetDateTime) -> Option<ChainRow> {
    let scanned = &report.scanned;
    let verdict = scanned.verdict.as_ref()?;
    let rows = |chain: &Vec<pgseal_pki::Certificate>| {
        chain.iter().map(|certificate| one(certificate, now)).collect()
    };
    let mut chains = scanned.known.chains.iter();
    let why = |result: &Result<(), String>| result.as_ref().err().cloned();
    Some(ChainRow {
        certificates: chains.next().map(rows)?,
        others: chains.map(rows).collect(),
        unreadable: scanned
            .known
            .unreadable
            .iter()
            .map(|(place, reason)| UnreadableRow { place: *place, reason: reason.clone() })
            .collect(),
        in_order: verdict.in_order,
        complete: verdict.complete,
        root_served: verdict.root_served,
        strangers: verdict.strangers,
        trusted_by: verdict.asked.as_ref().map(|(roots, _)| roots.clone()),
        trusted: verdict.asked.as_ref().map(|(_, result)| result.is_ok()),
        trusted_reason: verdict.asked.as_ref().and_then(|(_, result)| why(result)),
        trusted_by_system: verdict.system.as_ref().map(Result::is_ok),
        trusted_by_system_reason: verdict.system.as_ref().and_then(why),
        trusted_by_rustls: verdict.strict_chain.as_ref().map(Result::is_ok),
        trusted_by_rustls_reason: verdict.strict_chain.as_ref().and_then(why),
        name_matches_libpq: verdict.libpq_name.is_ok(),
        name_matches_libpq_reason: why(&verdict.libpq_name),
        name_matches_strict: verdict.strict_name.is_ok(),
        name_matches_strict_reason: why(&verdict.strict_name),
    })
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

fn intrusive(report: &Report) -> IntrusiveRow {
    let known = &report.scanned.known;
    let (stuffing, stuffing_said) = match &known.stuffing {
        Some(Stuffing::Taken(said)) => ("taken", Some(said.clone())),
        Some(Stuffing::Refused(said)) => ("refused", Some(said.clone())),
        Some(Stuffing::HungUp(said)) => ("hung-up", Some(said.clone())),
        Some(Stuffing::Ignored) => ("ignored", None),
        Some(Stuffing::Unknown(why)) => ("unknown", Some(why.clone())),
        None => ("not-asked", None),
    };
    let (renegotiation, renegotiation_said) = match &known.renegotiation {
        Some(Renegotiating::Begun) => ("begun", None),
        Some(Renegotiating::Refused(said)) => ("refused", Some(said.clone())),
        Some(Renegotiating::Unknown(why)) => ("unknown", Some(why.clone())),
        None => ("not-asked", None),
    };
    let (stray_bytes, stray_bytes_said) = match &known.stray {
        Some(StrayReply::HungUp) => ("hung-up", None),
        Some(StrayReply::Said(bytes)) => ("said", Some(bytes.escape_ascii().to_string())),
        Some(StrayReply::Held(time)) => ("held", Some(format!("{} s", time.as_secs_f64()))),
        Some(StrayReply::Unknown(why)) => ("unknown", Some(why.clone())),
        None => ("not-asked", None),
    };
    IntrusiveRow { stuffing, stuffing_said, renegotiation, renegotiation_said, stray_bytes, stray_bytes_said }
}

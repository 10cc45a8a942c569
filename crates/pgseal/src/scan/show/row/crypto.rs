//! Versions, suites, groups, signature schemes and what else a handshake shows, as JSON.

use pgseal_pki::dn::DistinguishedName;
use pgseal_wire::registry;
use pgseal_wire::scan::hello::Protocol;
use pgseal_wire::scan::{Knowledge, Preference, Seen, Told};
use serde::Serialize;

use super::super::super::report::Report;

#[derive(Debug, Serialize)]
pub(super) struct ProtocolRow {
    name: &'static str,
    accepted: Option<bool>,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct SuitesRow {
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
pub(super) struct GroupRow {
    code: String,
    iana: Option<&'static str>,
    name: Option<&'static str>,
    bits: Option<u16>,
    post_quantum: bool,
    protocols: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct SchemeRow {
    code: String,
    iana: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(in crate::scan::show) struct FeaturesRow {
    compression: Option<bool>,
    secure_renegotiation: Option<bool>,
    extended_master_secret: Option<bool>,
    encrypt_then_mac: Option<bool>,
    pub(in crate::scan::show) session_tickets: Option<bool>,
    session_ids: Option<bool>,
    pub(in crate::scan::show) resumption: Option<bool>,
    fallback_scsv: Option<bool>,
    fallback_scsv_reason: Option<String>,
    pub(in crate::scan::show) ocsp_stapling: Option<bool>,
    client_certificate_requested: Option<bool>,
    client_certificate_authorities: Vec<String>,
}

fn code(code: u16) -> String {
    format!("{code:04x}")
}

pub(super) const fn preference(preference: Preference) -> &'static str {
    match preference {
        Preference::Server => "server",
        Preference::Client => "client",
    }
}

pub(super) fn protocols(report: &Report) -> Vec<ProtocolRow> {
    Protocol::ALL.into_iter().map(|protocol| protocol_row(&report.scanned.known, protocol)).collect()
}

fn protocol_row(known: &Knowledge, protocol: Protocol) -> ProtocolRow {
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

pub(super) fn suites(report: &Report) -> Vec<SuitesRow> {
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

pub(super) fn groups(report: &Report) -> Vec<GroupRow> {
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

pub(super) fn schemes(report: &Report) -> Vec<SchemeRow> {
    let accepted = report.scanned.known.schemes.accepted().into_iter();
    accepted
        .map(|scheme| SchemeRow {
            code: code(scheme),
            iana: registry::scheme(scheme).map(|entry| entry.iana),
        })
        .collect()
}

pub(in crate::scan::show) fn features(report: &Report) -> FeaturesRow {
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
pub(in crate::scan::show) fn authorities(report: &Report) -> Vec<String> {
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

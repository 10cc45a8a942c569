//! The chain as JSON, and what was made of it.

use serde::Serialize;
use time::OffsetDateTime;

use super::super::super::report::Report;
use crate::report::certificate::{CertificateRow, one};

#[derive(Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the JSON")]
pub(super) struct ChainRow {
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

pub(super) fn chain(report: &Report, now: OffsetDateTime) -> Option<ChainRow> {
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

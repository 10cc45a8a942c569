//! Versions, suites, groups and what else a handshake showed.

use std::collections::BTreeSet;

use pgseal_wire::registry::{self, SuiteEntry};
use pgseal_wire::scan::hello::Protocol;
use pgseal_wire::scan::{Hunt, Preference};

use super::super::scanned::Scanned;
use super::words::violates;
use crate::findings::Finding;
use crate::policy::Policy;

/// Bits of a prime below which Diffie-Hellman is weak (RFC 8247, NIST SP 800-57).
const DH_BITS: usize = 2048;
/// Bits of strength below which a curve is weak.
const GROUP_BITS: u16 = 112;
/// As many names as fit a line.
const SHOWN: usize = 4;

pub(super) fn findings(scanned: &Scanned, policy: &Policy) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut find = |name: &'static str, evidence: String| {
        all.push(Finding::new(name, evidence, &scanned.target.label));
    };
    if !scanned.known.offers_tls() {
        return all;
    }
    suites(scanned, policy, &mut find);
    versions(scanned, policy, &mut find);
    groups(scanned, &mut find);
    features(scanned, &mut find);
    all
}

/// Every suite that is accepted under any version, once.
pub(crate) fn accepted(scanned: &Scanned) -> Vec<&'static SuiteEntry> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for protocol in Protocol::ALL.into_iter().rev().filter(|protocol| *protocol > Protocol::Ssl2) {
        let codes = scanned.known.suites_of(protocol);
        all.extend(codes.into_iter().filter(|code| seen.insert(*code)).filter_map(registry::suite));
    }
    // A quick scan has seen the one that was agreed on.
    for seen_suite in scanned.known.logins.values().flatten().map(|login| login.suite.0) {
        if seen.insert(seen_suite) {
            all.extend(registry::suite(seen_suite));
        }
    }
    all
}

pub(crate) fn name(suite: &SuiteEntry) -> &'static str {
    suite.openssl.unwrap_or(suite.iana)
}

/// The first few, and how many more.
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn suites(scanned: &Scanned, policy: &Policy, find: &mut impl FnMut(&'static str, String)) {
    let all = accepted(scanned);
    let of = |wanted: &dyn Fn(&SuiteEntry) -> bool| -> Vec<&str> {
        all.iter().copied().filter(|suite| wanted(suite)).map(name).collect()
    };
    let broken = ["rc4", "rc2", "des", "3des", "idea", "md5"];
    let worse = |suite: &SuiteEntry| ["null", "anonymous", "export"].iter().any(|class| suite.is(class));
    for (name, found) in [
        ("suite-null", of(&|suite| suite.is("null"))),
        ("suite-anonymous", of(&|suite| suite.is("anonymous"))),
        ("suite-export", of(&|suite| suite.is("export"))),
        ("suite-broken", of(&|suite| broken.iter().any(|class| suite.is(class)) && !worse(suite))),
        ("forward-secrecy-missing", of(&|suite| !suite.is("forward-secrecy") && !worse(suite))),
    ] {
        if !found.is_empty() {
            find(name, some(&found));
        }
    }
    let outside = of(&|suite| violates(policy, suite.code) && !worse(suite));
    if !outside.is_empty() {
        find(
            "suites-too-wide",
            format!("{} outside policy {}: {}", outside.len(), policy.name, some(&outside)),
        );
    }
    let by_client: Vec<&str> = scanned
        .known
        .suites
        .iter()
        .filter(|(_, hunt)| hunt.preference() == Some(Preference::Client))
        .map(|(protocol, _)| protocol.as_str())
        .collect();
    if !by_client.is_empty() {
        find("suites-by-client", by_client.join(", "));
    }
}

fn versions(scanned: &Scanned, policy: &Policy, find: &mut impl FnMut(&'static str, String)) {
    let spoken = |protocol: &Protocol| scanned.known.version(*protocol).is_yes();
    let named =
        |all: &[Protocol]| all.iter().map(|protocol| protocol.as_str()).collect::<Vec<_>>().join(", ");
    let broken: Vec<Protocol> = [Protocol::Ssl2, Protocol::Ssl3].into_iter().filter(spoken).collect();
    if !broken.is_empty() {
        find("protocol-broken", format!("{} accepted", named(&broken)));
    }
    let old: Vec<Protocol> = [Protocol::Tls1_0, Protocol::Tls1_1, Protocol::Tls1_2]
        .into_iter()
        .filter(spoken)
        .filter(|protocol| policy.allows_protocol(protocol.as_str()) == Some(false))
        .collect();
    if !old.is_empty() {
        find(
            "protocol-too-old",
            format!("{} accepted, policy {} begins at {}", named(&old), policy.name, policy.min_protocol),
        );
    }
    if scanned.known.version(Protocol::Tls1_3).is_no()
        && let Some(newest) = scanned.known.newest()
    {
        find("tls13-missing", format!("{newest} is the newest"));
    }
    if scanned.known.fallback.as_ref().is_some_and(pgseal_wire::scan::Told::is_no) {
        find("fallback-unprotected", "TLS_FALLBACK_SCSV was passed over".to_owned());
    }
}

fn groups(scanned: &Scanned, find: &mut impl FnMut(&'static str, String)) {
    let known = &scanned.known;
    let groups: Vec<_> = known.all_groups().into_iter().filter_map(registry::group).collect();
    let weak: Vec<&str> =
        groups.iter().filter(|group| group.bits < GROUP_BITS).map(|group| group.name).collect();
    if !weak.is_empty() {
        find("group-weak", some(&weak));
    }
    if let Some(bits) = known.dh_bits.iter().min().filter(|bits| **bits < DH_BITS) {
        find("dh-weak", format!("a prime of {bits} bits"));
    }
    let enumerated = known.groups.get(&Protocol::Tls1_3).is_some_and(Hunt::is_complete);
    if enumerated && !groups.iter().any(|group| group.is("post-quantum")) {
        let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
        find("no-post-quantum-group", names.join(", "));
    }
}

fn features(scanned: &Scanned, find: &mut impl FnMut(&'static str, String)) {
    let features = &scanned.known.features;
    if features.seen {
        if features.compression {
            find("tls-compression", "DEFLATE was agreed on".to_owned());
        }
        if !features.secure_renegotiation {
            find("renegotiation-insecure", "no renegotiation_info in ServerHello".to_owned());
        }
        if !features.extended_master_secret {
            find("extended-master-secret-missing", "no extended_master_secret in ServerHello".to_owned());
        }
    }
    // PostgreSQL hangs up on direct TLS without ALPN; whoever answers inside ends TLS before it.
    let answered = |seen: &pgseal_wire::scan::Seen| seen.outcome.oddity().is_none();
    if scanned.known.direct.get(&false).and_then(|result| result.as_ref().ok()).is_some_and(answered) {
        find("direct-tls-without-alpn", "a startup packet was answered".to_owned());
    }
}

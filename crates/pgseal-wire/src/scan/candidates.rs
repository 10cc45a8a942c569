//! What is offered, and what is likely to be taken. Knows the tables and what a server has shown so far.

use super::hello::Protocol;
use super::knowledge::Knowledge;
use crate::registry::{self, GroupEntry, SuiteEntry};

/// Every suite that a version could agree on.
pub(super) fn suites(protocol: Protocol) -> Vec<u16> {
    registry::suites().iter().filter(|suite| fits(suite, protocol)).map(|suite| suite.code).collect()
}

fn fits(suite: &SuiteEntry, protocol: Protocol) -> bool {
    // Forbidden to be negotiated (RFC 5246, A.5).
    if suite.is("scsv") || suite.code == 0 {
        return false;
    }
    match protocol {
        Protocol::Tls1_3 => suite.is("tls1.3"),
        Protocol::Tls1_2 => !suite.is("tls1.3"),
        _ => !suite.is("tls1.3") && !suite.is("tls1.2"),
    }
}

/// Suites that are likely to be accepted, in the order in which OpenSSL has them.
pub(super) fn likely_suites(known: &Knowledge, protocol: Protocol) -> Vec<u16> {
    if protocol < Protocol::Tls1_2 {
        // A server has one list of suites for all of them.
        let newer = known.suites_of(Protocol::Tls1_2);
        if !newer.is_empty() {
            let old = |code: &u16| registry::suite(*code).is_some_and(|suite| fits(suite, protocol));
            return newer.into_iter().filter(old).collect();
        }
    }
    let found: Vec<&SuiteEntry> = known.suites_of(protocol).into_iter().filter_map(registry::suite).collect();
    let shown = |class: &str| found.iter().any(|suite| suite.is(class));
    // Of the kinds of key that have shown; and what nobody has by default only where it has shown.
    let keys = ["auth-ecdsa", "auth-rsa", "auth-dss", "anonymous"];
    let rare = ["null", "psk", "srp"];
    let likely = |suite: &SuiteEntry| {
        let kind = found.is_empty() || keys.iter().any(|class| suite.is(class) && shown(class));
        rare.iter().all(|class| !suite.is(class) || shown(class)) && (kind || suite.is("tls1.3"))
    };
    let mut ranked: Vec<&SuiteEntry> = registry::suites()
        .iter()
        .filter(|suite| fits(suite, protocol) && suite.place.is_some() && likely(suite))
        .collect();
    ranked.sort_by_key(|suite| suite.place);
    // OpenSSL takes the CCM suites of TLS 1.3 only where they are asked for.
    ranked.iter().filter(|suite| !matches!(suite.code, 0x1304 | 0x1305)).map(|suite| suite.code).collect()
}

/// Every group of a version.
pub(super) fn groups(protocol: Protocol) -> Vec<u16> {
    let class = if protocol == Protocol::Tls1_3 { "tls1.3" } else { "tls1.2" };
    let mut all: Vec<&GroupEntry> = registry::groups().iter().filter(|group| group.is(class)).collect();
    // As with suites: first what is unlikely, last what is likely, so that a pick tells whose order counts.
    all.sort_by_key(|group| std::cmp::Reverse(group.place.unwrap_or(u16::MAX)));
    all.iter().map(|group| group.code).collect()
}

/// Groups that are likely to be accepted beside those that were.
pub(super) fn likely_groups(known: &Knowledge, protocol: Protocol) -> Vec<u16> {
    let found = known.groups.get(&protocol).map(super::hunt::Hunt::accepted).unwrap_or_default();
    // One curve alone is how servers before 18 are set up.
    if found == [0x17] || found == [0x18] || found == [0x19] {
        return found;
    }
    // X25519MLKEM768, X25519, P-256: what PostgreSQL 18 has by default, and what it is advised to have before them.
    let usual = [0x11ec, 0x1d, 0x17];
    usual.into_iter().filter(|code| groups(protocol).contains(code)).collect()
}

/// Every scheme that could sign.
pub(super) fn schemes(protocol: Protocol) -> Vec<u16> {
    registry::schemes()
        .iter()
        .rev()
        .filter(|scheme| protocol == Protocol::Tls1_3 || !scheme.is("tls1.3"))
        .map(|scheme| scheme.code)
        .collect()
}

/// Schemes that are likely to sign, by the kind of key that has signed.
pub(super) fn likely_schemes(known: &Knowledge) -> Vec<u16> {
    let found: Vec<_> = known.schemes.accepted().into_iter().filter_map(registry::scheme).collect();
    registry::schemes()
        .iter()
        .filter(|scheme| !scheme.is("tls1.3") && !scheme.is("weak"))
        .filter(|scheme| {
            ["ecdsa", "rsa", "dsa"].iter().any(|key| scheme.is(key) && found.iter().any(|f| f.is(key)))
        })
        .map(|scheme| scheme.code)
        .collect()
}

/// Whether a code is a group of the table.
pub(super) fn is_group(code: u16) -> bool {
    registry::group(code).is_some()
}

/// The group of a curve's object identifier (RFC 5639, SEC 2).
pub(super) fn curve_of(oid: &str) -> Option<u16> {
    Some(match oid {
        "1.3.132.0.10" => 0x16,
        "1.3.132.0.33" => 0x15,
        "1.2.840.10045.3.1.1" => 0x13,
        "1.3.36.3.3.2.8.1.1.7" => 0x1a,
        "1.3.36.3.3.2.8.1.1.11" => 0x1b,
        "1.3.36.3.3.2.8.1.1.13" => 0x1c,
        _ => return None,
    })
}

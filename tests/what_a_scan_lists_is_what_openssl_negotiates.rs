//! The versions, suites and groups that a scan lists are those that openssl's own client agrees on when it offers each
//! alone, in the order in which the server picks them; and none that the scan does not list is agreed on.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Dice, Install, Key, Openssl, TlsServer, record, samples, versions};

const PROMISE: &str = "what a scan lists is what openssl negotiates";
const ANY: &str = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";

fn names<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap()).collect()
}

fn suites_of<'v>(scanned: &'v Value, protocol: &str) -> Vec<&'v str> {
    let rows = scanned["suites"].as_array().unwrap();
    let row = rows.iter().find(|row| row["protocol"] == protocol);
    row.map(|row| {
        assert_eq!((&row["complete"], &row["reason"]), (&Value::Bool(true), &Value::Null), "{row}");
        names(&row["accepted"], "openssl")
    })
    .unwrap_or_default()
}

/// openssl with one suite of TLS 1.2.
fn with_suites(server: &TlsServer, list: &str) -> Option<String> {
    let cipher = format!("{list}:@SECLEVEL=0");
    let agreed = server.openssl().with(&["-tls1_2", "-cipher", &cipher]).agrees()?;
    assert_eq!(agreed.version, "TLSv1.2");
    Some(agreed.suite)
}

fn check_versions(server: &TlsServer, scanned: &Value) {
    for (name, word) in
        [("TLSv1", "-tls1"), ("TLSv1.1", "-tls1_1"), ("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")]
    {
        let row = scanned["protocols"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        let agreed = server.openssl().with(&[word, "-cipher", ANY]).agrees();
        assert_eq!(row["accepted"], agreed.is_some(), "{name}: {row}");
        record(PROMISE, 1);
    }
    // Neither this openssl nor the servers have them.
    for name in ["SSLv2", "SSLv3"] {
        let row = scanned["protocols"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        assert_eq!(row["accepted"], false, "{row}");
    }
}

/// Each that is listed, in its order: offered with all that come after it, it is picked.
fn check_suites(server: &TlsServer, scanned: &Value, dice: &mut Dice) {
    let listed = suites_of(scanned, "TLSv1.2");
    for (place, name) in listed.iter().enumerate() {
        let rest = listed[place..].join(":");
        assert_eq!(with_suites(server, &rest).as_deref(), Some(*name), "of {rest}");
        assert_eq!(with_suites(server, name).as_deref(), Some(*name), "alone");
        record(PROMISE, 2);
    }
    let known: BTreeSet<&str> = listed.iter().copied().collect();
    let mut others = Openssl::suites();
    others.retain(|name| !known.contains(name.as_str()));
    // Together they are refused, so each alone is; some are tried alone all the same.
    assert_eq!(with_suites(server, &others.join(":")), None);
    for _ in 0..samples(100) {
        let name = dice.pick(&others);
        assert_eq!(with_suites(server, name), None, "{name} is not listed");
        record(PROMISE, 1);
    }
    let newest = suites_of(scanned, "TLSv1.3");
    for name in [
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ] {
        let agreed = server.openssl().with(&["-tls1_3", "-ciphersuites", name]).agrees();
        assert_eq!(newest.contains(&name), agreed.is_some(), "{name}");
        record(PROMISE, 1);
    }
    for (place, name) in newest.iter().enumerate() {
        let rest = newest[place..].join(":");
        let agreed = server.openssl().with(&["-tls1_3", "-ciphersuites", &rest]).agrees().unwrap();
        assert_eq!(agreed.suite, *name, "of {rest}");
        record(PROMISE, 1);
    }
}

/// Openssl's names for the groups that this one has.
const GROUPS: [(&str, &str); 12] = [
    ("X25519", "X25519"),
    ("P-256", "P-256"),
    ("X448", "X448"),
    ("P-384", "P-384"),
    ("P-521", "P-521"),
    ("ffdhe2048", "ffdhe2048"),
    ("ffdhe3072", "ffdhe3072"),
    ("ffdhe4096", "ffdhe4096"),
    ("ffdhe6144", "ffdhe6144"),
    ("ffdhe8192", "ffdhe8192"),
    ("brainpoolP256r1", "brainpoolP256r1"),
    ("brainpoolP512r1", "brainpoolP512r1"),
];

/// `curve` is that of an ECDSA certificate, which a client has to offer under TLS 1.2 with every group.
fn check_groups(server: &TlsServer, scanned: &Value, curve: Option<&str>) {
    let spoken = |name: &str, protocol: &str| {
        let groups = scanned["groups"].as_array().unwrap();
        let row = groups.iter().find(|row| row["name"] == name);
        row.is_some_and(|row| row["protocols"].as_array().unwrap().iter().any(|one| one == protocol))
    };
    for (name, group) in GROUPS {
        let only = |version: &str, groups: &str| {
            server
                .openssl()
                .with(&[version, "-groups", groups, "-cipher", "ALL:!kRSA:!DHE:@SECLEVEL=0"])
                .agrees()
                .is_some()
        };
        assert_eq!(spoken(name, "TLSv1.3"), only("-tls1_3", group), "{name} under TLS 1.3: {scanned:#}");
        record(PROMISE, 1);
        if curve.is_none() && !name.starts_with("ffdhe") {
            assert_eq!(spoken(name, "TLSv1.2"), only("-tls1_2", group), "{name} under TLS 1.2");
            record(PROMISE, 1);
        }
    }
    if let Some(curve) = curve {
        assert!(spoken(curve, "TLSv1.2"), "{scanned:#}");
    }
}

/// How many suites were taken, version by version.
fn accepted(scanned: &Value) -> usize {
    let rows = scanned["suites"].as_array().unwrap().iter();
    rows.map(|row| row["accepted"].as_array().unwrap().len()).sum()
}

#[test]
fn versions_suites_and_groups_of_an_ecdsa_server() {
    let mut dice = Dice::new("an ecdsa server");
    for version in versions() {
        let server = TlsServer::of(*version);
        let scanned = server.scanned(&[]);
        check_versions(&server, &scanned);
        check_suites(&server, &scanned, &mut dice);
        check_groups(&server, &scanned, Some("P-256"));
        assert_eq!(scanned["suites"][0]["preference"], "server", "{scanned:#}");
        let accepted = accepted(&scanned);
        let connections = scanned["connections"].as_u64().unwrap();
        // 15 and 3 suites; 18 has direct TLS and a second group besides.
        let allowed = if accepted == 18 && *version == 15 { 40 } else { accepted as u64 + 25 };
        assert!(connections <= allowed, "{connections} connections for {accepted} suites on {version}");
    }
}

#[test]
fn versions_suites_and_groups_of_an_rsa_server() {
    let mut dice = Dice::new("an rsa server");
    for version in versions() {
        let server = TlsServer::with(&Install::of(*version), Key::Rsa, |setup| setup);
        let scanned = server.scanned(&[]);
        check_versions(&server, &scanned);
        check_suites(&server, &scanned, &mut dice);
        check_groups(&server, &scanned, None);
        let accepted = accepted(&scanned);
        let connections = scanned["connections"].as_u64().unwrap();
        assert!(
            connections <= accepted as u64 + 25,
            "{connections} connections for {accepted} suites on {version}"
        );
    }
}

#[test]
fn an_order_of_ones_own_is_found_and_so_is_that_there_is_none() {
    let list = "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
    let own = |prefer: &str| {
        let conf = format!("ssl_ciphers = '{list}'\nssl_prefer_server_ciphers = {prefer}");
        TlsServer::with(&Install::of(15), Key::Ecdsa, |setup| setup.conf(&conf))
    };
    let server = own("on");
    let scanned = server.scanned(&[]);
    assert_eq!(suites_of(&scanned, "TLSv1.2"), list.split(':').collect::<Vec<_>>());
    check_suites(&server, &scanned, &mut Dice::new("an order of ones own"));
    let scanned = own("off").scanned(&[]);
    let mut found = suites_of(&scanned, "TLSv1.2");
    found.sort_unstable();
    let mut all: Vec<&str> = list.split(':').collect();
    all.sort_unstable();
    assert_eq!(found, all);
    let row = scanned["suites"].as_array().unwrap().iter().find(|row| row["protocol"] == "TLSv1.2").unwrap();
    assert_eq!(row["preference"], "client");
    assert!(
        scanned["findings"].as_array().unwrap().iter().any(|finding| finding["name"] == "suites-by-client")
    );
    record(PROMISE, 2);
}

#[test]
fn old_versions_that_a_server_still_speaks_are_found_with_their_suites() {
    let conf = "ssl_min_protocol_version = 'TLSv1'\nssl_ciphers = 'ALL:@SECLEVEL=0'";
    let server = TlsServer::with(&Install::of(15), Key::Ecdsa, |setup| setup.conf(conf));
    let scanned = server.scanned(&[]);
    check_versions(&server, &scanned);
    for (protocol, word) in [("TLSv1", "-tls1"), ("TLSv1.1", "-tls1_1")] {
        let listed = suites_of(&scanned, protocol);
        assert!(!listed.is_empty(), "{scanned:#}");
        for name in Openssl::suites() {
            if !name.contains("ECDSA") && !name.starts_with("AECDH") {
                continue;
            }
            let cipher = format!("{name}:@SECLEVEL=0");
            let agreed = server.openssl().with(&[word, "-cipher", &cipher]).agrees();
            let so = agreed.is_some_and(|agreed| agreed.version == protocol);
            assert_eq!(listed.contains(&name.as_str()), so, "{name} under {protocol}");
            record(PROMISE, 1);
        }
    }
}

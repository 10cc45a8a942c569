//! A server that takes everything that this OpenSSL has: TLS 1.0, NULL and anonymous suites, RSA of 1024 bits, a certificate
//! that is over, signed with SHA-1 and for another host, and anybody without a password. All of it is found; the grade is F,
//! and what anybody could use without any tool stands first.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Account, Dice, Forged, Install, Key, Openssl, Sandbox, Schema, TlsServer, named_and_gone_on, record, run,
    samples, versions,
};

const PROMISE: &str = "what a weak server takes is listed, and graded F";
/// Everything, and no thought of security.
const CONF: &str = "ssl_min_protocol_version = 'TLSv1'\nssl_ciphers = 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'";
/// A key of 1024 bits is refused before `ssl_ciphers` is read, but for a system that allows it.
const SYSTEM: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = weak\n[weak]\n\
                      CipherString = DEFAULT:@SECLEVEL=0\nMinProtocol = TLSv1\n";
const TLS_ALONE: &str = "local all all trust\nhostssl all all all scram-sha-256\n";
const HBA: &str = "local all all trust\nhost all all all trust\nhost replication all all trust\n";

#[test]
fn all_of_it_is_found_and_what_anybody_could_use_stands_first() {
    let mut dice = Dice::new("a weak server");
    for version in versions().iter().filter(|version| **version >= 14) {
        let place = Sandbox::new();
        let server = weak(*version, &place);
        let ran = server.scan(&["--format", "json"]).ended(1);
        let whole = ran.json();
        Schema::of("scan").admits(&whole);
        let scanned = &whole["targets"][0];
        assert_eq!(
            (&scanned["grade"], &scanned["grade_set_by"]),
            (&"F".into(), &"plaintext-accepted".into())
        );
        let found: Vec<&str> = names(&scanned["findings"], "name");
        assert_eq!(found[..2], ["plaintext-accepted", "trust-accepted"], "{found:?}");
        // What is usual, and TLS alone.
        let well =
            TlsServer::with(&Install::of(*version), Key::Ecdsa, |setup| setup.hba(TLS_ALONE)).scanned(&[]);
        let well = names(&well["findings"], "name");
        for name in [
            "plaintext-replication-accepted",
            "suite-null",
            "suite-anonymous",
            "forward-secrecy-missing",
            "protocol-too-old",
            "key-weak",
            "certificate-expired",
            "certificate-name-mismatch",
            "certificate-weak-signature",
        ] {
            assert!(found.contains(&name), "{name} is not among {found:?}");
            assert!(!well.contains(&name), "{name} is among {well:?}");
            let all = scanned["findings"].as_array().unwrap();
            let evidence = all.iter().find(|one| one["name"] == name).unwrap()["evidence"].as_str().unwrap();
            named_and_gone_on(name, &format!("PostgreSQL {version}, by `pgseal scan`"), evidence);
        }
        // rustls has no algorithm for so short a key, and what is said under TLS is heard all the same.
        assert_eq!(scanned["authentication"]["tls"]["result"], "trust", "{:#}", scanned["authentication"]);
        assert_eq!(scanned["unfinished"], Value::Null, "{scanned:#}");
        check_suites(&server, scanned, &mut dice);
        check_connections(scanned);
        server
            .scan(&["--quick"])
            .ended(1)
            .says("grade F (plaintext-accepted)")
            .says("✗ plaintext accepted       database: let in without a password");
        record(PROMISE, 1);
    }
}

#[test]
fn a_quick_scan_says_so_too() {
    let place = Sandbox::new();
    let server = weak(15, &place);
    let scanned = server.scanned(&["--quick"]);
    assert_eq!(scanned["grade"], "F");
    let found = names(&scanned["findings"], "name");
    assert_eq!(found[..2], ["plaintext-accepted", "trust-accepted"], "{found:?}");
    assert!(found.contains(&"certificate-expired") && found.contains(&"protocol-too-old"), "{found:?}");
    assert!(scanned["connections"].as_u64().unwrap() <= 6, "{scanned:#}");
    record(PROMISE, 1);
}

fn weak(version: u32, place: &Sandbox) -> TlsServer {
    let leaf = forged(place);
    let system = place.file_of(&Account::current(), "openssl.cnf", 0o644, SYSTEM);
    TlsServer::showing(&Install::of(version), &leaf, |setup| {
        setup.conf(CONF).hba(HBA).env("OPENSSL_CONF", system.to_str().expect("a path of the tests is UTF-8"))
    })
}

/// By openssl: nobody else signs with SHA-1 any more, or makes so short a key.
fn forged(place: &Sandbox) -> Forged {
    let shell = |script: &str| {
        let mut command = Account::current().command("sh", "/nonexistent".as_ref());
        command.current_dir(place.path()).args(["-ec", script]);
        run(command, b"", Duration::from_secs(30)).succeeded();
    };
    shell(
        "openssl genrsa -out weak.key 1024 2>/dev/null
         openssl req -new -key weak.key -subj /CN=elsewhere.example -out weak.csr
         printf '[ca]\\ndefault_ca=one\\n[one]\\ndatabase=index\\nserial=serial\\nnew_certs_dir=.\\ndefault_md=sha1\\n\
policy=any\\n[any]\\ncommonName=supplied\\n' >ca.cnf
         : >index
         echo 01 >serial
         openssl ca -batch -config ca.cnf -selfsign -keyfile weak.key -in weak.csr -out weak.crt -notext \
             -startdate 20200101000000Z -enddate 20210101000000Z 2>/dev/null",
    );
    let read = |name: &str| fs::read_to_string(place.join(name)).expect("openssl has written it");
    Forged { certificate: read("weak.crt"), key: read("weak.key") }
}

fn names<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    list.as_array().unwrap().iter().filter_map(|one| one[field].as_str()).collect()
}

/// What is listed is what openssl agrees on when it offers that alone, for each version; and nothing else is.
fn check_suites(server: &TlsServer, scanned: &Value, dice: &mut Dice) {
    for (protocol, word) in [("TLSv1", "-tls1"), ("TLSv1.1", "-tls1_1"), ("TLSv1.2", "-tls1_2")] {
        let row = scanned["suites"].as_array().unwrap().iter().find(|row| row["protocol"] == protocol);
        let row = row.unwrap_or_else(|| panic!("{protocol} is spoken: {scanned:#}"));
        assert_eq!(row["complete"], true, "{row:#}");
        let listed: BTreeSet<&str> = names(&row["accepted"], "openssl").into_iter().collect();
        assert!(listed.contains("NULL-SHA") && listed.contains("AECDH-NULL-SHA"), "{listed:?}");
        let all = Openssl::suites();
        for name in (0..samples(100)).map(|_| dice.pick(&all)) {
            let cipher = format!("{name}:@SECLEVEL=0");
            let agreed = server.openssl().with(&[word, "-cipher", &cipher]).agrees();
            let so = agreed.is_some_and(|agreed| agreed.version == protocol && agreed.suite == *name);
            assert_eq!(listed.contains(name.as_str()), so, "{name} under {protocol}");
            record(PROMISE, 1);
        }
    }
}

/// At most as many as suites were taken, and 40: each of six versions costs one that is refused, four an order to prove, and
/// a busy machine some that are made again.
fn check_connections(scanned: &Value) {
    let rows = scanned["suites"].as_array().unwrap().iter();
    let accepted: usize = rows.map(|row| row["accepted"].as_array().unwrap().len()).sum();
    let connections = scanned["connections"].as_u64().unwrap();
    assert!(accepted > 90, "{accepted} suites of all versions: {scanned:#}");
    assert!(connections <= accepted as u64 + 40, "{connections} connections for {accepted} suites");
}

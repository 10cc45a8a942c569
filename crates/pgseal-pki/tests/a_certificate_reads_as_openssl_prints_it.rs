//! The read model against `openssl x509`, and against bytes that somebody spoiled.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod mint;

use mint::*;
use pgseal_pki::{Certificate, CertificateError};
use proptest::prelude::*;
use rcgen::KeyPair;
use time::Duration;

/// A certificate that holds about everything.
fn full() -> (Draft, KeyPair) {
    let mut draft = Draft::new("x", "x");
    draft.serial = vec![0x00, 0xde, 0xad, 0xbe, 0xef, 0x00];
    draft.subject = name_of(&[
        ("2.5.4.6", 19, b"DE"),
        ("2.5.4.10", UTF8, "Zoë, \"Söhne\" + Co; <x>\\".as_bytes()),
        ("2.5.4.11", 20, b"M\xfcnchen"),
        ("2.5.4.11", 30, &[0x20, 0xac, 0, b'1']),
        ("0.9.2342.19200300.100.1.25", 22, b"example"),
        (CN, UTF8, b" #db1 "),
        (CN, UTF8, b"#second\nline\x7f"),
        ("1.2.840.113549.1.9.1", 22, b"a@b.example"),
        ("1.2.3.4.5", UTF8, b"odd"),
    ]);
    let draft = draft
        .with(basic_constraints(true, Some(3)))
        .with(key_usage(0x86))
        .with(extended_key_usage(&[SERVER_AUTH, CLIENT_AUTH, "1.2.3.4"]))
        .with(subject_key_id(&[1, 2, 3]))
        .with(authority_key_id(&[1, 2, 3]))
        .with(alt_names(&[
            (DNS, b"db1.example.org"),
            (IP, &[10, 0, 0, 1]),
            (IP, &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            (IP, &[1, 2, 3]),
            (EMAIL, b"a@b.example"),
            (URI, b"urn:x"),
            (DIRECTORY, &cn("dir")),
            (0x88, &[0x2a, 3, 4]),
        ]));
    (draft, KeyPair::generate().unwrap())
}

#[test]
fn every_field_reads_as_openssl_prints_it() {
    let (draft, key) = full();
    let certificate = draft.sign(&key, &key);
    let print = |options: &[&str]| {
        let arguments = [&["x509", "-noout"], options].concat();
        said(&openssl(&arguments, certificate.pem().as_bytes())).trim_end().to_owned()
    };
    let names = ["-nameopt", "RFC2253,-esc_msb"];
    assert_eq!(print(&[&names[..], &["-subject"]].concat()), format!("subject={}", certificate.subject()));
    assert_eq!(print(&[&names[..], &["-issuer"]].concat()), format!("issuer={}", certificate.issuer()));
    assert_eq!(print(&["-serial"]), format!("serial={}", certificate.serial_hex()));
    assert_eq!(
        print(&["-fingerprint", "-sha256"]),
        format!("sha256 Fingerprint={}", certificate.fingerprint().to_string().to_uppercase())
    );
    assert_eq!(certificate.serial_hex(), "DEADBEEF00");
    assert_eq!(certificate.version(), 3);
    assert_eq!(certificate.common_names(), [" #db1 ", "#second\nline\x7f"]);
    assert_eq!(certificate.dns_names(), ["db1.example.org"]);
    let addresses: Vec<String> = certificate.ip_addresses().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1", "2001:db8::1"]);
    assert_eq!(
        certificate.other_names(),
        ["IP:<3 bytes>", "email:a@b.example", "URI:urn:x", "dirName:CN=dir", "registeredID"]
    );
    assert_eq!(certificate.public_key().kind().to_string(), "ECDSA P-256");
    assert_eq!(certificate.signature_algorithm(), "ecdsa-with-SHA256");
    assert!(certificate.is_ca() && certificate.path_length() == Some(3));
    assert_eq!(certificate.key_usage().unwrap().names(), ["digitalSignature", "keyCertSign", "cRLSign"]);
    assert_eq!(certificate.extended_key_usage().unwrap().names(), ["serverAuth", "clientAuth", "1.2.3.4"]);
    assert_eq!(certificate.subject_key_id(), Some(&[1, 2, 3][..]));
    assert_eq!(certificate.authority_key_id(), Some(&[1, 2, 3][..]));
    assert_eq!(format!("{certificate:?}").lines().count(), 1);
}

#[test]
fn keys_and_signatures_bear_their_usual_names() {
    let judge = Judge::new();
    let file = judge.write("key.pem", "");
    let file = file.to_str().unwrap();
    for (generate, digest, kind, signature) in [
        (&["genrsa", "-out", file, "2048"][..], "-sha384", "RSA 2048", "sha384WithRSAEncryption"),
        (&["genrsa", "-out", file, "1024"], "-sha1", "RSA 1024", "sha1WithRSAEncryption"),
        (&["genrsa", "-out", file, "2047"], "-sha256", "RSA 2047", "sha256WithRSAEncryption"),
        (
            &["ecparam", "-genkey", "-name", "secp521r1", "-out", file],
            "-sha512",
            "ECDSA P-521",
            "ecdsa-with-SHA512",
        ),
        (
            &["ecparam", "-genkey", "-name", "secp256k1", "-out", file],
            "-sha256",
            "ECDSA on curve 1.3.132.0.10",
            "ecdsa-with-SHA256",
        ),
        (
            &["ecparam", "-genkey", "-name", "prime256v1", "-param_enc", "explicit", "-out", file],
            "-sha256",
            "ECDSA with explicit curve parameters",
            "ecdsa-with-SHA256",
        ),
        (&["genpkey", "-algorithm", "ed25519", "-out", file], "", "Ed25519", "ED25519"),
        (&["genpkey", "-algorithm", "ed448", "-out", file], "", "Ed448", "ED448"),
        (&["genpkey", "-algorithm", "rsa-pss", "-out", file], "-sha256", "RSA-PSS", "rsassaPss"),
    ] {
        said(&openssl(generate, b""));
        let mut arguments = vec!["req", "-x509", "-key", file, "-subj", "/CN=x", "-days", "9"];
        arguments.extend((!digest.is_empty()).then_some(digest));
        let pem = said(&openssl(&arguments, b""));
        let certificate = pgseal_pki::read_bundle(pem.as_bytes()).unwrap().certificates.remove(0);
        assert_eq!(certificate.public_key().kind().to_string(), kind);
        assert_eq!(certificate.signature_algorithm(), signature);
        assert!(certificate.self_signed(), "{kind}");
        let printed = said(&openssl(&["x509", "-noout", "-pubkey"], pem.as_bytes()));
        let der = openssl(&["pkey", "-pubin", "-outform", "der", "-pubout"], printed.as_bytes()).stdout;
        assert_eq!(der, certificate.spki_der(), "{kind}");
    }
}

#[test]
fn days_left_are_whole_days_rounded_down() {
    let (mut draft, key) = full();
    draft.not_after = now() + Duration::days(9);
    let certificate = draft.sign(&key, &key);
    let end = certificate.not_after();
    for (before_end, days) in [
        (Duration::days(9), 9),
        (Duration::days(9) - Duration::seconds(1), 8),
        (Duration::seconds(1), 0),
        (Duration::ZERO, 0),
        (Duration::seconds(-1), -1),
        (Duration::days(-2), -2),
    ] {
        assert_eq!(certificate.days_left(end - before_end), days, "{before_end}");
    }
}

#[test]
fn a_certificate_that_lives_for_days_is_not_always_about_to_expire() {
    let (mut draft, key) = full();
    // For how many days it is good, how many are left, and whether that is news;
    // and whether its renewal should have come by now.
    for (life, left, news, overdue) in [
        (365, 31, false, true),
        (365, 29, true, true),
        (90, 29, true, false),
        (90, 14, true, true),
        (9, 4, false, false),
        (9, 2, true, false),
        (9, 1, true, true),
        (1, 1, false, false),
    ] {
        draft.not_after = now() + Duration::days(left);
        draft.not_before = draft.not_after - Duration::days(life);
        let certificate = draft.sign(&key, &key);
        let when = certificate.not_after() - Duration::days(left);
        assert_eq!(certificate.expires_within(30, when), news, "{left} of {life} days");
        assert_eq!(certificate.overdue(when), overdue, "{left} of {life} days");
    }
}

#[test]
fn versions_are_one_to_three_and_nothing_follows_the_end() {
    let (draft, key) = full();
    for version in 1..=3 {
        let mut draft = draft.clone();
        draft.version = version;
        assert_eq!(draft.sign(&key, &key).version(), version);
    }
    let mut wrong = draft.clone();
    wrong.version = 4;
    assert_eq!(Certificate::from_der(&wrong.to_der(&key, &key)), Err(CertificateError::Version(4)));
    let mut longer = draft.to_der(&key, &key);
    longer.push(0);
    assert_eq!(Certificate::from_der(&longer), Err(CertificateError::TrailingBytes(1)));
}

#[test]
fn a_signature_whose_algorithm_is_no_identifier_is_refused_as_openssl_refuses_it() {
    let (draft, key) = full();
    let der = draft.to_der(&key, &key);
    let algorithm = sequence(&[oid("1.2.840.10045.4.3.2")]);
    let at = der.windows(algorithm.len()).rposition(|part| part == algorithm).unwrap();
    let spoiled = |tag, length| {
        let mut der = der.clone();
        der[at + 2..at + 4].copy_from_slice(&[tag, length]);
        der
    };
    assert!(Certificate::from_der(&spoiled(6, 8)).is_ok());
    for (tag, length) in [(1, 8), (6, 0)] {
        let der = spoiled(tag, length);
        let read = Certificate::from_der(&der);
        assert!(matches!(read, Err(CertificateError::Malformed(_))), "{tag} {length}: {read:?}");
        assert!(!openssl(&["x509", "-inform", "der", "-noout"], &der).status.success());
    }
}

#[test]
fn control_characters_never_reach_the_text_of_a_name() {
    let key = KeyPair::generate().unwrap();
    let mut draft = Draft::new("x", "x");
    draft.subject = cn("a\u{1b}[31m\r\nb\u{9b}\0");
    let certificate = draft.sign(&key, &key);
    let text = certificate.subject().to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert_eq!(text, r"CN=a\1B[31m\0D\0Ab\C2\9B\00");
}

proptest! {
    #[test]
    fn spoiled_bytes_never_make_it_panic(
        spots in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let (draft, key) = full();
        let mut der = draft.to_der(&key, &key);
        for (spot, byte) in spots {
            let at = spot.index(der.len());
            der[at] = byte;
        }
        if let Some(cut) = cut {
            der.truncate(cut.index(der.len()));
        }
        if let Ok(certificate) = Certificate::from_der(&der) {
            let root = std::slice::from_ref(&certificate);
            let _ = pgseal_pki::verify_chain(&certificate, root, root, now(), pgseal_pki::Purpose::Server);
            let _ = pgseal_pki::libpq_matches(&certificate, "db1.example.org", pgseal_pki::LibpqRules::default());
            let _ = pgseal_pki::strict_matches(&certificate, "db1.example.org");
            let _ = (certificate.subject().to_string(), certificate.serial_hex(), certificate.other_names());
        }
    }
}

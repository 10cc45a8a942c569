//! Certificates of our own authority, held up to openssl in strict mode, Python's ssl and rustls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

mod mint;

use mint::{Answer, Judge, now, openssl, run, said};
use pgseal_pki::{
    AuthorityRequest, Certificate, CertificateAuthority, IssuedCertificate, KeyType, LeafRequest, LibpqRules,
    Purpose, SubjectAltName, libpq_matches, server_with_key_pem, strict_matches, strict_verify_chain,
    verify_chain,
};
use time::Duration;

const NAMES: [&str; 5] = ["localhost", "127.0.0.1", "::1", "db1.example.org", "*.apps.example.org"];

fn authority(key_type: KeyType) -> CertificateAuthority {
    CertificateAuthority::create(&AuthorityRequest {
        subject: "CN=pgseal server CA,O=Example".parse().unwrap(),
        key_type,
        not_before: now() - Duration::minutes(5),
        not_after: now() + Duration::days(3650),
        permitted: None,
    })
    .unwrap()
}

fn request(key_type: KeyType) -> LeafRequest {
    LeafRequest {
        subject: None,
        sans: NAMES.iter().map(|name| name.parse().unwrap()).collect(),
        key_type,
        not_before: now() - Duration::minutes(5),
        not_after: now() + Duration::days(365),
    }
}

fn text_of(certificate: &Certificate) -> String {
    said(&openssl(&["x509", "-noout", "-text"], certificate.pem().as_bytes()))
}

/// The lines of one extension in `openssl x509 -text`.
fn extension(text: &str, name: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.trim_start().starts_with(name));
    format!("{}|{}", lines.next().unwrap_or("missing").trim(), lines.next().unwrap_or("").trim())
}

#[test]
fn openssl_python_and_rustls_accept_every_key_type() {
    let judge = Judge::new();
    for authority_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
        let authority = authority(authority_type);
        let root = authority.certificate().clone();
        for key_type in KeyType::ALL {
            let issued = authority.issue_server(&request(key_type)).unwrap();
            let what = format!("{key_type} below {authority_type}");
            let roots = std::slice::from_ref(&root);
            let strict = ["-x509_strict", "-purpose", "sslserver", "-auth_level", "2"];
            assert_eq!(judge.ask(&issued.certificate, &[], roots, now(), &strict), Answer::Ok, "{what}");
            for name in ["localhost", "db1.example.org", "any.apps.example.org"] {
                let options = ["-x509_strict", "-verify_hostname", name];
                assert_eq!(judge.ask(&issued.certificate, &[], roots, now(), &options), Answer::Ok, "{what}");
            }
            for address in ["127.0.0.1", "::1"] {
                let options = ["-x509_strict", "-verify_ip", address];
                assert_eq!(judge.ask(&issued.certificate, &[], roots, now(), &options), Answer::Ok, "{what}");
            }
            verify_chain(&issued.certificate, &[], roots, now(), Purpose::Server).unwrap();
            strict_verify_chain(&issued.certificate, &[], roots, now()).unwrap();
            for name in ["localhost", "127.0.0.1", "::1", "db1.example.org", "x.apps.example.org"] {
                strict_matches(&issued.certificate, name).unwrap();
                libpq_matches(&issued.certificate, name, LibpqRules::default()).unwrap();
            }
            handshake_in_python(&judge, &issued, &root);
        }
    }
}

/// One TLS handshake with Python's default context: client and server in one process.
fn handshake_in_python(judge: &Judge, issued: &IssuedCertificate, root: &Certificate) {
    const SCRIPT: &str = r"
import ssl, sys
root, pem, name = sys.argv[1:]
client = ssl.create_default_context(cafile=root)
client.verify_flags |= ssl.VERIFY_X509_STRICT
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(pem)
a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
c = client.wrap_bio(a, b, server_hostname=name)
s = server.wrap_bio(b, a, server_side=True)
done = set()
for _ in range(10):
    for side in (c, s):
        try:
            side.do_handshake()
            done.add(side)
        except ssl.SSLWantReadError:
            pass
assert done == {c, s}, 'no handshake'
print(c.version())
";
    let root = judge.write("root.pem", &root.pem());
    let pem = judge.write("server-with-key.pem", &server_with_key_pem(issued));
    for name in ["localhost", "127.0.0.1", "x.apps.example.org"] {
        let arguments = ["-c", SCRIPT, root.to_str().unwrap(), pem.to_str().unwrap(), name];
        assert_eq!(said(&run("python3", &arguments, b"")).trim(), "TLSv1.3");
    }
}

#[test]
fn a_leaf_says_what_the_design_promises() {
    for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048] {
        let authority = authority(KeyType::EcdsaP256);
        let request = request(key_type);
        let leaf = authority.issue_server(&request).unwrap().certificate;
        let text = text_of(&leaf);
        let rsa = if key_type.is_rsa() { ", Key Encipherment" } else { "" };
        assert!(text.contains("Version: 3 (0x2)"), "{text}");
        for (name, expected) in [
            ("X509v3 Basic", "X509v3 Basic Constraints: critical|CA:FALSE".to_owned()),
            ("X509v3 Key Usage", format!("X509v3 Key Usage: critical|Digital Signature{rsa}")),
            ("X509v3 Extended", "X509v3 Extended Key Usage:|TLS Web Server Authentication".to_owned()),
            (
                "X509v3 Subject Alt",
                "X509v3 Subject Alternative Name:|DNS:localhost, IP Address:127.0.0.1, \
                 IP Address:0:0:0:0:0:0:0:1, DNS:db1.example.org, DNS:*.apps.example.org"
                    .to_owned(),
            ),
        ] {
            assert_eq!(extension(&text, name), expected);
        }
        let authority_key = extension(&text, "X509v3 Authority Key");
        let own_key = extension(&text_of(authority.certificate()), "X509v3 Subject Key");
        assert_eq!(authority_key.split_once('|').unwrap().1, own_key.split_once('|').unwrap().1);
        assert_eq!(leaf.authority_key_id(), authority.certificate().subject_key_id());
        assert_eq!(leaf.common_names(), ["localhost"]);
        assert_eq!(leaf.issuer().der(), authority.certificate().subject().der());
        assert!(!leaf.is_ca() && !leaf.self_signed());
        assert_eq!(leaf.not_after().unix_timestamp(), request.not_after.unix_timestamp());
    }
}

#[test]
fn an_authority_says_what_the_design_promises() {
    let authority = authority(KeyType::EcdsaP384);
    let text = text_of(authority.certificate());
    for (name, expected) in [
        ("X509v3 Basic", "X509v3 Basic Constraints: critical|CA:TRUE, pathlen:0"),
        ("X509v3 Key Usage", "X509v3 Key Usage: critical|Certificate Sign, CRL Sign"),
    ] {
        assert_eq!(extension(&text, name), expected);
    }
    assert!(text.contains("ASN1 OID: secp384r1") && text.contains("ecdsa-with-SHA384"), "{text}");
    assert!(authority.certificate().self_signed());
    assert_eq!(authority.certificate().path_length(), Some(0));
    assert_eq!(authority.certificate().subject().to_string(), "CN=pgseal server CA,O=Example");
}

#[test]
fn serials_are_random_positive_and_never_repeat() {
    let authority = authority(KeyType::EcdsaP256);
    let mut serials = std::collections::HashSet::new();
    for _ in 0..50 {
        let serial = authority.issue_server(&request(KeyType::EcdsaP256)).unwrap().certificate.serial_hex();
        assert_eq!(serial.len(), 32, "{serial}");
        assert!(("4".."8").contains(&&serial[..1]), "positive: {serial}");
        assert!(serials.insert(serial));
    }
}

#[test]
fn doubled_names_are_written_once_and_a_long_name_is_no_common_name() {
    let authority = authority(KeyType::EcdsaP256);
    let issue = |names: &[&str]| {
        let mut request = request(KeyType::EcdsaP256);
        request.sans = names.iter().map(|name| name.parse::<SubjectAltName>().unwrap()).collect();
        authority.issue_server(&request).unwrap().certificate
    };
    let leaf = issue(&["db", "DB", "::1", "0:0::1", "db"]);
    assert_eq!((leaf.dns_names(), leaf.ip_addresses().len()), (vec!["db".to_owned()], 1));
    let long = format!("{}.example.org", "a".repeat(60));
    assert_eq!(issue(&[&long, "db"]).common_names(), ["db"]);
    let leaf = issue(&[&long]);
    assert!(leaf.subject().is_empty());
    assert_eq!(
        extension(&text_of(&leaf), "X509v3 Subject Alt"),
        format!("X509v3 Subject Alternative Name: critical|DNS:{long}")
    );
    let judge = Judge::new();
    let roots = std::slice::from_ref(authority.certificate());
    assert_eq!(judge.ask(&leaf, &[], roots, now(), &["-x509_strict"]), Answer::Ok);
    // Only addresses: libpq before 15 finds them in the common name.
    let leaf = issue(&["10.0.0.5", "10.0.0.6"]);
    assert_eq!(leaf.common_names(), ["10.0.0.5"]);
    libpq_matches(&leaf, "10.0.0.5", LibpqRules::of_version(14)).unwrap();
}

#[test]
fn a_confined_authority_is_obeyed_by_openssl_and_rustls_alike() {
    let judge = Judge::new();
    for (permitted, good, bad) in [
        ("example.org", vec!["example.org", "a.b.example.org"], vec!["example.com", "10.0.0.1", "::1"]),
        ("10.0.0.0/8", vec!["10.1.2.3"], vec!["11.0.0.1", "db", "fd00::1"]),
        ("localhost,127.0.0.1,fd00::/8", vec!["localhost", "127.0.0.1", "fd12::1"], vec!["127.0.0.2", "db"]),
    ] {
        let authority = CertificateAuthority::create(&AuthorityRequest {
            subject: "O=Confined".parse().unwrap(),
            key_type: KeyType::EcdsaP256,
            not_before: now() - Duration::minutes(5),
            not_after: now() + Duration::days(30),
            permitted: Some(permitted.parse().unwrap()),
        })
        .unwrap();
        let roots = std::slice::from_ref(authority.certificate());
        let mut request = request(KeyType::EcdsaP256);
        request.not_after = now() + Duration::days(9);
        request.sans = good.iter().map(|name| name.parse().unwrap()).collect();
        let leaf = authority.issue_server(&request).unwrap().certificate;
        assert_eq!(judge.ask(&leaf, &[], roots, now(), &["-x509_strict"]), Answer::Ok, "{permitted}");
        strict_verify_chain(&leaf, &[], roots, now()).unwrap_or_else(|error| panic!("{permitted}: {error}"));
        for name in bad {
            request.sans = vec![name.parse().unwrap()];
            let error = authority.issue_server(&request).unwrap_err().to_string();
            assert_eq!(error, format!("the authority's name constraints do not permit the name {name}"));
            // The same leaf from somebody who does not look: openssl refuses it too.
            let loose = CertificateAuthority::create(&AuthorityRequest {
                subject: "O=Confined".parse().unwrap(),
                key_type: KeyType::EcdsaP256,
                not_before: now() - Duration::minutes(5),
                not_after: now() + Duration::days(30),
                permitted: None,
            })
            .unwrap();
            let leaf = loose.issue_server(&request).unwrap().certificate;
            assert_eq!(
                judge.ask(&leaf, &[], std::slice::from_ref(loose.certificate()), now(), &[]),
                Answer::Ok
            );
        }
    }
}

#[test]
fn one_pem_serves_as_certificate_and_as_key() {
    let judge = Judge::new();
    let authority = authority(KeyType::EcdsaP256);
    for key_type in [KeyType::EcdsaP256, KeyType::Rsa3072] {
        let issued = authority.issue_server(&request(key_type)).unwrap();
        let text = server_with_key_pem(&issued);
        assert!(text.starts_with("# This file holds the server's PRIVATE KEY."), "a warning comes first");
        let file = judge.write("server-with-key.pem", &text);
        let file = file.to_str().unwrap();
        let from_certificate = said(&openssl(&["x509", "-in", file, "-noout", "-pubkey"], b""));
        let from_key = said(&openssl(&["pkey", "-in", file, "-pubout"], b""));
        assert_eq!(from_certificate, from_key);
        said(&openssl(&["pkey", "-in", file, "-check", "-noout"], b""));
        let bundle = pgseal_pki::read_bundle(text.as_bytes()).unwrap();
        assert_eq!(bundle.certificates, [issued.certificate]);
    }
}

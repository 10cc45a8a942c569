//! Client certificates, requests, revocation lists, renewed leaves and PKCS #12 stores, held up to openssl.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

mod mint;

use mint::{Answer, Judge, now, openssl, said};
use pgseal_pki::crl::{Reason, RevocationList, Revoked, read_revocation_lists};
use pgseal_pki::pkcs12::{JDBC_ALIAS, store};
use pgseal_pki::request::SigningRequest;
use pgseal_pki::{
    AuthorityError, AuthorityRequest, Certificate, CertificateAuthority, ClientRequest, IssuedCertificate,
    KeyPem, KeyType, LeafRequest, ListRequest, Purpose, verify_chain,
};
use time::Duration;

fn authority(name: &str) -> CertificateAuthority {
    CertificateAuthority::create(&AuthorityRequest {
        subject: name.parse().unwrap(),
        key_type: KeyType::EcdsaP256,
        not_before: now() - Duration::minutes(5),
        not_after: now() + Duration::days(400),
        permitted: None,
    })
    .unwrap()
}

fn client(authority: &CertificateAuthority, name: &str, key_type: KeyType) -> IssuedCertificate {
    let request = ClientRequest {
        subject: name.parse().unwrap(),
        key_type,
        not_before: now() - Duration::minutes(5),
        not_after: now() + Duration::days(90),
    };
    authority.issue_client(&request).unwrap()
}

#[test]
fn a_client_certificate_of_every_key_type_is_one_for_clients_and_for_nothing_else() {
    let judge = Judge::new();
    let authority = authority("CN=client CA");
    let roots = [authority.certificate().clone()];
    for key_type in KeyType::ALL {
        let issued = client(&authority, "CN=app,O=Example", key_type);
        let strict = ["-x509_strict", "-purpose", "sslclient", "-auth_level", "2"];
        assert_eq!(judge.ask(&issued.certificate, &[], &roots, now(), &strict), Answer::Ok, "{key_type}");
        let server = ["-purpose", "sslserver"];
        assert_ne!(judge.ask(&issued.certificate, &[], &roots, now(), &server), Answer::Ok, "{key_type}");
        verify_chain(&issued.certificate, &[], &roots, now(), Purpose::Client).unwrap();
        assert!(issued.key.belongs_to(&issued.certificate));
        assert_eq!(issued.certificate.common_names(), ["app"]);
    }
    let late = ClientRequest {
        subject: "CN=app".parse().unwrap(),
        key_type: KeyType::EcdsaP256,
        not_before: now(),
        not_after: now() + Duration::days(401),
    };
    assert!(matches!(authority.issue_client(&late), Err(AuthorityError::LeafOutlivesAuthority { .. })));
}

#[test]
fn a_request_says_what_was_asked_and_is_signed_with_its_key() {
    for key_type in KeyType::ALL {
        let key = KeyPem::generate(key_type).unwrap();
        let request = SigningRequest {
            subject: Some("CN=db1,O=Example".parse().unwrap()),
            sans: ["db1.example.org", "10.0.0.5"].map(|name| name.parse().unwrap()).to_vec(),
            purpose: Purpose::Server,
        };
        let pem = request.pem(&key).unwrap();
        let text = openssl(&["req", "-noout", "-verify", "-text"], pem.as_bytes());
        assert!(text.status.success(), "{text:?}");
        let text = said(&text);
        for line in ["DNS:db1.example.org, IP Address:10.0.0.5", "TLS Web Server Authentication", "CN = db1"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
        let public = said(&openssl(&["req", "-noout", "-pubkey"], pem.as_bytes()));
        assert_eq!(public, said(&openssl(&["pkey", "-pubout"], key.as_str().as_bytes())), "{key_type}");
    }
    let key = KeyPem::generate(KeyType::EcdsaP256).unwrap();
    let nobody = SigningRequest { subject: None, sans: Vec::new(), purpose: Purpose::Client };
    assert!(nobody.pem(&key).is_err());
}

#[test]
fn a_list_is_numbered_dated_and_takes_back_what_stands_on_it() {
    let judge = Judge::new();
    let authority = authority("CN=client CA");
    let (kept, revoked) = (
        client(&authority, "CN=kept", KeyType::EcdsaP256),
        client(&authority, "CN=gone", KeyType::EcdsaP256),
    );
    let raw = |certificate: &Certificate| hex(&certificate.serial_hex());
    let request = ListRequest {
        number: 7,
        this_update: now() - Duration::minutes(1),
        next_update: now() + Duration::days(30),
        revoked: vec![Revoked {
            serial: raw(&revoked.certificate),
            at: now() - Duration::hours(2),
            reason: Some(Reason::KeyCompromise),
        }],
    };
    let pem = authority.revocation_list(&request).unwrap();
    let root = judge.write("root.pem", &authority.certificate_pem());
    let text = openssl(&["crl", "-noout", "-text", "-CAfile", root.to_str().unwrap()], pem.as_bytes());
    let told = format!("{}{}", said(&text), String::from_utf8_lossy(&text.stderr));
    for line in ["verify OK", "Key Compromise", &revoked.certificate.serial_hex()] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let list = judge.write("list.pem", &pem);
    let options = ["-crl_check", "-CRLfile", list.to_str().unwrap(), "-purpose", "sslclient", "-x509_strict"];
    let roots = [authority.certificate().clone()];
    assert_eq!(judge.ask(&kept.certificate, &[], &roots, now(), &options), Answer::Ok);
    let answer = judge.ask(&revoked.certificate, &[], &roots, now(), &options);
    assert!(matches!(answer, Answer::Error(23, 0)), "{answer:?}");

    let [read] = <[RevocationList; 1]>::try_from(read_revocation_lists(pem.as_bytes()).unwrap()).unwrap();
    assert_eq!(read.number(), Some(&[7][..]));
    assert_eq!(read.entries().len(), 1);
    assert_eq!(read.entries()[0].reason, Some(Reason::KeyCompromise));
    assert_eq!(read.entries()[0].serial, request.revoked[0].serial);
    assert!(read.revokes(&revoked.certificate) && !read.revokes(&kept.certificate));
    let twice =
        ListRequest { revoked: [&request.revoked[..], &request.revoked[..]].concat(), ..request.clone() };
    assert!(authority.revocation_list(&twice).is_err());
    let over = ListRequest { next_update: now() - Duration::days(1), ..request };
    assert!(authority.revocation_list(&over).is_err());
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[test]
fn a_leaf_is_renewed_for_its_key_and_names_by_whoever_issued_it_and_nobody_else() {
    let judge = Judge::new();
    let (ours, theirs) = (authority("CN=server CA"), authority("CN=server CA"));
    let request = LeafRequest {
        subject: None,
        sans: vec!["db1.example.org".parse().unwrap()],
        key_type: KeyType::Rsa2048,
        not_before: now() - Duration::days(9),
        not_after: now() - Duration::days(1),
    };
    let old = ours.issue_server(&request).unwrap().certificate;
    let new = ours.renew_leaf(&old, now() - Duration::minutes(5), now() + Duration::days(90)).unwrap();
    assert_eq!(
        (new.spki_der(), new.dns_names(), new.subject().der()),
        (old.spki_der(), old.dns_names(), old.subject().der())
    );
    assert_ne!(new.serial_hex(), old.serial_hex());
    let roots = [ours.certificate().clone()];
    let strict = ["-x509_strict", "-purpose", "sslserver", "-verify_hostname", "db1.example.org"];
    assert_eq!(judge.ask(&new, &[], &roots, now(), &strict), Answer::Ok);
    // Of the same name, and with another key.
    let refused = theirs.renew_leaf(&old, now(), now() + Duration::days(1));
    assert!(matches!(refused, Err(AuthorityError::IssuedByOthers(_))), "{refused:?}");
    let late = ours.renew_leaf(&old, now(), now() + Duration::days(500));
    assert!(matches!(late, Err(AuthorityError::LeafOutlivesAuthority { .. })), "{late:?}");
}

#[test]
fn a_store_opens_with_its_passphrase_and_holds_key_and_chain() {
    let judge = Judge::new();
    let authority = authority("CN=client CA");
    for (key_type, passphrase) in
        KeyType::ALL.into_iter().zip(["a", "open sesame", "ünïcode", "12345678", "\"'$ "])
    {
        let issued = client(&authority, "CN=app", key_type);
        let issuers = [authority.certificate().clone()];
        let bytes = store(JDBC_ALIAS, &issued.key, &issued.certificate, &issuers, passphrase).unwrap();
        let folder = judge.write("words", passphrase);
        let path = folder.with_file_name("store.p12");
        std::fs::write(&path, bytes.as_slice()).unwrap();
        let read = |what: &str, words: &str| {
            let pass = format!("pass:{words}");
            openssl(&["pkcs12", "-in", path.to_str().unwrap(), "-passin", &pass, "-nodes", what], b"")
        };
        let key = said(&read("-nocerts", passphrase));
        assert!(key.contains("friendlyName: user"), "{key}");
        let plain = said(&openssl(&["pkey"], key.as_bytes()));
        assert_eq!(
            plain.trim(),
            said(&openssl(&["pkey"], issued.key.as_str().as_bytes())).trim(),
            "{key_type}"
        );
        let certificates = said(&read("-nokeys", passphrase));
        for certificate in [&issued.certificate, authority.certificate()] {
            let pem = certificate.pem();
            assert!(certificates.contains(pem.lines().nth(1).unwrap()), "{certificates}");
        }
        assert!(!read("-nocerts", "another one").status.success());
    }
}

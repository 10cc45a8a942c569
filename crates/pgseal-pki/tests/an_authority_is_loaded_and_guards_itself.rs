//! Loading an authority, and everything for which it refuses to work.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod mint;

use mint::*;
use pgseal_pki::{
    AuthorityError, AuthorityRequest, Certificate, CertificateAuthority, KeyPem, KeyType, LeafRequest,
    Purpose, read_bundle, verify_chain,
};
use rcgen::KeyPair;
use time::{Duration, OffsetDateTime};

fn create(key_type: KeyType) -> CertificateAuthority {
    CertificateAuthority::create(&AuthorityRequest {
        subject: "CN=CA,C=DE".parse().unwrap(),
        key_type,
        not_before: now() - Duration::hours(1),
        not_after: now() + Duration::days(30),
        permitted: None,
    })
    .unwrap()
}

fn request(not_after: OffsetDateTime) -> LeafRequest {
    LeafRequest {
        subject: Some("/O=Example/CN=db".parse().unwrap()),
        sans: vec!["db".parse().unwrap()],
        key_type: KeyType::EcdsaP256,
        not_before: now() - Duration::hours(1),
        not_after,
    }
}

fn pem(key: &KeyPair) -> String {
    KeyPem::from_der(key.serialized_der()).unwrap().as_str().to_owned()
}

fn load(certificate: &Certificate, key: &KeyPair) -> Result<CertificateAuthority, AuthorityError> {
    CertificateAuthority::load(certificate.pem().as_bytes(), pem(key).as_bytes(), None)
}

#[test]
fn an_authority_that_was_written_is_loaded_again_and_issues() {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
        let made = create(key_type);
        let loaded = CertificateAuthority::load(
            made.certificate_pem().as_bytes(),
            made.key_pem().as_str().as_bytes(),
            None,
        )
        .unwrap();
        assert_eq!(loaded.certificate(), made.certificate());
        let issued = loaded.issue_server(&request(now() + Duration::days(9))).unwrap();
        assert_eq!(issued.certificate.subject().to_string(), "CN=db,O=Example");
        assert_eq!(issued.chain_pem, "");
        let roots = std::slice::from_ref(made.certificate());
        verify_chain(&issued.certificate, &[], roots, now(), Purpose::Server).unwrap();
    }
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let authority = create(KeyType::EcdsaP256);
    let end = authority.certificate().not_after();
    assert!(authority.issue_server(&request(end)).is_ok(), "up to the last second");
    let error = authority.issue_server(&request(end + Duration::seconds(1))).unwrap_err();
    assert_eq!(
        error,
        AuthorityError::LeafOutlivesAuthority { leaf: end + Duration::seconds(1), authority: end }
    );
    let text = error.to_string();
    assert!(text.starts_with("the certificate would be valid until 20") && text.ends_with("UTC"), "{text}");
}

#[test]
fn a_key_under_a_passphrase_is_read_by_openssl_and_by_us() {
    let judge = Judge::new();
    for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048] {
        let authority = create(key_type);
        let closed = authority.encrypted_key_pem("pässword 1".as_bytes()).unwrap();
        assert!(closed.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let file = judge.write("ca.key", &closed);
        let opened =
            said(&openssl(&["pkey", "-in", file.to_str().unwrap(), "-passin", "pass:pässword 1"], b""));
        let opened = read_bundle(opened.as_bytes()).unwrap().private_key.unwrap().open(None).unwrap();
        assert!(opened.belongs_to(authority.certificate()));

        let load = |passphrase: Option<&[u8]>| {
            CertificateAuthority::load(authority.certificate_pem().as_bytes(), closed.as_bytes(), passphrase)
        };
        load(Some("pässword 1".as_bytes())).unwrap();
        assert_eq!(load(None).unwrap_err(), AuthorityError::PassphraseNeeded);
        assert_eq!(
            load(Some(b"wrong")).unwrap_err().to_string(),
            "the private key could not be decrypted: wrong passphrase, or the file is damaged"
        );
        assert_eq!(
            authority.encrypted_key_pem(b"").unwrap_err().to_string(),
            "an empty passphrase protects nothing"
        );
    }
}

#[test]
fn keys_that_openssl_wrote_are_loaded_in_every_form() {
    let judge = Judge::new();
    let key = judge.write("key.pem", "");
    let key = key.to_str().unwrap();
    for generate in [
        &["ecparam", "-name", "prime256v1", "-genkey", "-out", key][..],
        &["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", key],
        &["ecparam", "-name", "secp521r1", "-genkey", "-noout", "-out", key],
        &["genrsa", "-traditional", "-out", key, "2048"],
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", key],
    ] {
        said(&openssl(generate, b""));
        let made = [
            "req",
            "-x509",
            "-new",
            "-key",
            key,
            "-subj",
            "/C=DE/O=Own/CN=Own CA",
            "-days",
            "20",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ];
        let certificate = said(&openssl(&made, b""));
        let forms = [
            std::fs::read_to_string(key).unwrap(),
            said(&openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", key], b"")),
            said(&openssl(&["pkcs8", "-topk8", "-in", key, "-passout", "pass:x"], b"")),
            said(&openssl(&["pkcs8", "-topk8", "-scrypt", "-in", key, "-passout", "pass:x"], b"")),
        ];
        for form in forms {
            let authority =
                CertificateAuthority::load(certificate.as_bytes(), form.as_bytes(), Some(b"x")).unwrap();
            let issued = authority.issue_server(&request(now() + Duration::days(9))).unwrap();
            let answer = judge.ask(
                &issued.certificate,
                &[],
                std::slice::from_ref(authority.certificate()),
                now() + Duration::minutes(1),
                &["-x509_strict", "-purpose", "sslserver"],
            );
            assert_eq!(answer, Answer::Ok, "{generate:?}");
        }
    }
    let old = said(&openssl(&["rsa", "-in", key, "-aes256", "-traditional", "-passout", "pass:x"], b""));
    let certificate = create(KeyType::EcdsaP256).certificate_pem();
    let error = CertificateAuthority::load(certificate.as_bytes(), old.as_bytes(), Some(b"x")).unwrap_err();
    assert!(error.to_string().contains("openssl pkcs8 -topk8"), "{error}");
}

#[test]
fn an_intermediate_authority_sends_its_issuers_and_never_the_root() {
    let key = || KeyPair::generate().unwrap();
    let (root_key, upper_key, lower_key) = (key(), key(), key());
    let root = root().sign(&root_key, &root_key);
    let ca = |name: &str, issuer: &str| {
        Draft::new(name, issuer).with(basic_constraints(true, None)).with(key_usage(0x06))
    };
    let mut upper = ca("upper", "root");
    upper.not_after = now() + Duration::days(5);
    let upper = upper.sign(&upper_key, &root_key);
    let lower = ca("lower", "upper").sign(&lower_key, &upper_key);
    let bundle = format!("{}{}junk\n{}", lower.pem(), root.pem(), upper.pem());
    let authority = CertificateAuthority::load(bundle.as_bytes(), pem(&lower_key).as_bytes(), None).unwrap();

    // The earliest end above the leaf counts, not only its own issuer's.
    let error = authority.issue_server(&request(now() + Duration::days(6))).unwrap_err();
    assert!(matches!(error, AuthorityError::LeafOutlivesAuthority { .. }), "{error}");
    let issued = authority.issue_server(&request(now() + Duration::days(4))).unwrap();
    assert_eq!(issued.chain_pem, format!("{}{}", lower.pem(), upper.pem()));
    assert_eq!(issued.full_chain_pem(), format!("{}{}", issued.certificate_pem, issued.chain_pem));
    let chain = verify_chain(
        &issued.certificate,
        &read_bundle(issued.chain_pem.as_bytes()).unwrap().certificates,
        std::slice::from_ref(&root),
        now(),
        Purpose::Server,
    )
    .unwrap();
    assert_eq!(chain.path().len(), 4);
    assert_eq!(chain.root(), Some(&root));
}

#[test]
fn what_cannot_issue_is_not_loaded() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let ca = || Draft::new("CA", "CA").with(basic_constraints(true, None));
    assert_eq!(load(&ca().sign(&key, &key), &other).unwrap_err(), AuthorityError::KeyMismatch);
    let leaf = Draft::new("CA", "CA").with(basic_constraints(false, None)).sign(&key, &key);
    assert_eq!(load(&leaf, &key).unwrap_err(), AuthorityError::NotAnAuthority("CN=CA".to_owned()));
    let mut old = Draft::new("CA", "CA");
    old.version = 1;
    assert_eq!(
        load(&old.sign(&key, &key), &key).unwrap_err(),
        AuthorityError::NotAnAuthority("CN=CA".to_owned())
    );
    assert_eq!(
        load(&ca().with(key_usage(0x80)).sign(&key, &key), &key).unwrap_err(),
        AuthorityError::MayNotSign("CN=CA".to_owned())
    );
    let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert_eq!(
        load(&ca().sign(&edwards, &edwards), &edwards).unwrap_err(),
        AuthorityError::UnsuitableKey("Ed25519".to_owned())
    );
    let mut twice = ca();
    twice.subject = name_of(&[("2.5.4.11", UTF8, b"a"), ("2.5.4.11", UTF8, b"b")]);
    let error = load(&twice.sign(&key, &key), &key).unwrap_err();
    assert_eq!(error, AuthorityError::UnrepeatableSubject("OU=b,OU=a".to_owned()));

    let certificate = ca().sign(&key, &key).pem();
    let load = |certificate: &str, key: &str| {
        CertificateAuthority::load(certificate.as_bytes(), key.as_bytes(), None).unwrap_err().to_string()
    };
    assert_eq!(load("", &pem(&key)), "the authority's certificate cannot be read: it is empty");
    assert_eq!(
        load(&pem(&key), &pem(&key)),
        "the authority's certificate is missing: its file holds no block CERTIFICATE"
    );
    assert_eq!(
        load(&certificate, &certificate),
        "the authority's private key is missing: its file holds no block PRIVATE KEY"
    );
}

#[test]
fn what_cannot_be_issued_is_refused() {
    let authority = create(KeyType::EcdsaP256);
    let soon = now() + Duration::days(1);
    let mut nobody = request(soon);
    nobody.sans.clear();
    assert_eq!(authority.issue_server(&nobody).unwrap_err(), AuthorityError::NoNames);
    let mut backwards = request(soon);
    backwards.not_before = soon;
    let error = authority.issue_server(&backwards).unwrap_err();
    assert!(matches!(error, AuthorityError::NeverValid { .. }), "{error}");
    let no_subject = AuthorityRequest {
        subject: pgseal_pki::Subject::default(),
        key_type: KeyType::EcdsaP256,
        not_before: now(),
        not_after: soon,
        permitted: None,
    };
    assert_eq!(CertificateAuthority::create(&no_subject).unwrap_err(), AuthorityError::NoSubject);
}

#[test]
fn subjects_and_late_dates_are_written_as_openssl_reads_them() {
    let authority = CertificateAuthority::create(&AuthorityRequest {
        subject: r"CN=Zoë \, \+ \; x,OU=a,O=Exämple,L=Köln,ST=NRW,C=DE,DC=local,emailAddress=a@b.example"
            .parse()
            .unwrap(),
        key_type: KeyType::EcdsaP256,
        not_before: OffsetDateTime::from_unix_timestamp(0).unwrap(),
        not_after: OffsetDateTime::from_unix_timestamp(4_102_444_800).unwrap(),
        permitted: None,
    })
    .unwrap();
    let certificate = authority.certificate();
    let options = ["x509", "-noout", "-subject", "-dates", "-nameopt", "RFC2253,-esc_msb"];
    let text = said(&openssl(&options, certificate.pem().as_bytes()));
    assert_eq!(
        text,
        format!(
            "subject={}\nnotBefore=Jan  1 00:00:00 1970 GMT\nnotAfter=Jan  1 00:00:00 2100 GMT\n",
            certificate.subject()
        )
    );
    let mut request = request(OffsetDateTime::from_unix_timestamp(4_102_444_800).unwrap());
    request.not_before = OffsetDateTime::from_unix_timestamp(2_524_607_999).unwrap();
    let leaf = authority.issue_server(&request).unwrap().certificate;
    assert_eq!(leaf.not_before().unix_timestamp(), 2_524_607_999);
    assert_eq!(leaf.not_after().unix_timestamp(), 4_102_444_800);
}

//! PEM files with junk, in odd forms, and what people give instead of them.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod mint;

use mint::*;
use pgseal_pki::bundle::{Ignored, MAX_BUNDLE};
use pgseal_pki::{BundleError, Certificate, KeyPem, KeyType, PrivateKey, read_bundle};
use proptest::prelude::*;
use rcgen::KeyPair;

fn certificate(name: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    Draft::new(name, name).sign(&key, &key)
}

#[test]
fn junk_between_the_blocks_is_passed_over_and_named() {
    let (one, two) = (certificate("one"), certificate("two"));
    let key = KeyPem::generate(KeyType::EcdsaP256).unwrap();
    let text = format!(
        "# a comment\n\nBag Attributes\n{}-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n{}subject=x\n{}",
        one.pem(),
        key.as_str(),
        two.pem(),
    );
    let bundle = read_bundle(text.as_bytes()).unwrap();
    assert_eq!(bundle.certificates, [one.clone(), two.clone()]);
    assert!(matches!(&bundle.private_key, Some(PrivateKey::Plain(found)) if found.as_str() == key.as_str()));
    let ignored: Vec<&str> = bundle.ignored.iter().map(|part| part.what.as_str()).collect();
    assert_eq!(ignored, ["2 lines of text", "X509 CRL", "a line of text"]);
    assert_eq!(bundle.ignored[0], Ignored { line: 1, what: "2 lines of text".to_owned() });
    assert_eq!(format!("{:?}", bundle.private_key), "Some(Plain(KeyPem(ECDSA P-256)))");
}

#[test]
fn line_ends_marks_and_widths_do_not_matter() {
    let one = certificate("one");
    let pem = one.pem();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for text in [
        pem.replace('\n', "\r\n"),
        format!("\u{feff}{pem}"),
        pem.trim_end().to_owned(),
        format!("  {}", pem.replace('\n', "  \n  ")),
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"),
        pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
    ] {
        assert_eq!(read_bundle(text.as_bytes()).unwrap().certificates, std::slice::from_ref(&one), "{text}");
    }
}

#[test]
fn openssls_own_files_are_read() {
    let judge = Judge::new();
    let file = judge.write("key.pem", "");
    let file = file.to_str().unwrap();
    let made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", file, "-subj", "/CN=x", "-text"];
    let text = said(&openssl(&made, b"")) + &std::fs::read_to_string(file).unwrap();
    let bundle = read_bundle(text.as_bytes()).unwrap();
    let Some(PrivateKey::Plain(key)) = bundle.private_key else { unreachable!("a plain key") };
    assert!(key.belongs_to(&bundle.certificates[0]));
    assert!(!key.belongs_to(&certificate("other")));
}

#[test]
fn what_is_given_instead_of_pem_is_named() {
    let judge = Judge::new();
    let one = certificate("one");
    let key = KeyPem::generate(KeyType::Rsa2048).unwrap();
    let pem = judge.write("both.pem", key.as_str());
    let pem = pem.to_str().unwrap();
    let own = said(&openssl(&["req", "-x509", "-key", pem, "-subj", "/CN=x"], b""));
    let both = judge.write("pair.pem", &format!("{own}{}", key.as_str()));
    let pkcs12 =
        openssl(&["pkcs12", "-export", "-in", both.to_str().unwrap(), "-passout", "pass:x"], b"").stdout;
    let pkcs7 =
        openssl(&["crl2pkcs7", "-nocrl", "-certfile", both.to_str().unwrap(), "-outform", "der"], b"").stdout;
    // A message made in a stream: the same within a length that is not told beforehand.
    assert_eq!(pkcs7[..2], [0x30, 0x82]);
    let streamed = [&[0x30, 0x80], &pkcs7[4..], &[0, 0]].concat();
    openssl(&["pkcs7", "-inform", "der", "-noout"], &streamed);
    let encrypted =
        openssl(&["pkcs8", "-topk8", "-outform", "der", "-in", pem, "-passout", "pass:x"], b"").stdout;
    let pkcs1 = openssl(&["rsa", "-traditional", "-outform", "der", "-in", pem], b"").stdout;
    for (bytes, error) in [
        (one.der(), BundleError::CertificateInDer),
        (key.pkcs8_der(), BundleError::KeyInDer),
        (&pkcs1, BundleError::KeyInDer),
        (&encrypted, BundleError::KeyInDer),
        (&pkcs12, BundleError::Pkcs12),
        (&pkcs7, BundleError::Pkcs7),
        (&streamed, BundleError::Pkcs7),
        (b"", BundleError::Empty),
        (b" \r\n\t", BundleError::Empty),
        (b"hello", BundleError::NoBlock),
        (&[0x30, 0x80, 2, 1, 3, 0x30], BundleError::Pkcs12),
    ] {
        assert_eq!(read_bundle(bytes).unwrap_err(), error);
        assert!(!error.to_string().ends_with('.'));
    }
}

#[test]
fn damage_is_named_with_its_line() {
    let pem = certificate("one").pem();
    let key = KeyPem::generate(KeyType::EcdsaP256).unwrap();
    let read = |text: &str| read_bundle(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        read(&format!("\n{}", pem.replace("-----END CERTIFICATE-----\n", ""))),
        "the block CERTIFICATE that begins at line 2 does not end"
    );
    assert_eq!(
        read(&pem.replace("-----END CERTIFICATE-----\n", &pem)),
        "the block CERTIFICATE that begins at line 1 does not end"
    );
    assert_eq!(
        read("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"),
        "the block CERTIFICATE at line 1 holds no valid base64"
    );
    let error = read("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(error.starts_with("the certificate at line 1: not an X.509 certificate in DER"), "{error}");
    let error = read("x\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert!(
        error.starts_with("the private key at line 2: the private key is of no supported kind"),
        "{error}"
    );
    let lines = key.as_str().lines().count();
    assert_eq!(
        read(&format!("{}{}", key.as_str(), key.as_str())),
        format!("it holds a second private key at line {}", lines + 1)
    );
}

#[test]
fn a_bundle_is_bounded() {
    assert_eq!(read_bundle(&vec![b'x'; MAX_BUNDLE + 1]).unwrap_err(), BundleError::TooLarge(MAX_BUNDLE + 1));
    let many = "-----BEGIN X-----\n-----END X-----\n".repeat(5000);
    assert_eq!(read_bundle(many.as_bytes()).unwrap_err(), BundleError::TooManyParts);
    let start = std::time::Instant::now();
    let wide = "-----BEGIN CERTIFICATE-----\n".repeat(100_000);
    assert!(read_bundle(wide.as_bytes()).is_err());
    let text = "x\n".repeat(1_500_000);
    assert_eq!(read_bundle(text.as_bytes()).unwrap_err(), BundleError::NoBlock);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "-----BEGIN ", "-----END ", "CERTIFICATE", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "-----",
            "-----\n", "\n", "\r\n", "AAAA", "MIIB", "=", ":", " ", "\u{feff}", "X",
        ]), 0..40,
    )) {
        let _ = read_bundle(pieces.concat().as_bytes());
    }
}

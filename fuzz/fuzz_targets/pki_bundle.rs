//! What a PEM file holds does not depend on the order of its blocks, on its line ends, or on what else stands in the
//! same file; and what is written out again reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_pki::bundle::MAX_PARTS;
use pgseal_pki::{Bundle, BundleError, Certificate, PrivateKey, read_bundle};

/// Stands between two files in one input.
const BETWEEN: &[u8] = b"\n=====\n";

fuzz_target!(|input: &[u8]| {
    let at = input.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    let (one, two) = at.map_or((input, &b""[..]), |at| (&input[..at], &input[at + BETWEEN.len()..]));
    let (first, second) = (read_bundle(one), read_bundle(two));
    for (text, read) in [(one, &first), (two, &second)] {
        match read {
            Ok(bundle) => whole(text, bundle),
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
        }
    }
    // In the middle of a file a byte order mark is text like any other.
    if !one.starts_with(b"\xef\xbb\xbf") && !two.starts_with(b"\xef\xbb\xbf") {
        together(&first, &second, &read_bundle(&[one, b"\n", two].concat()));
        together(&second, &first, &read_bundle(&[two, b"\n", one].concat()));
    }
});

/// One file by itself.
fn whole(text: &[u8], bundle: &Bundle) {
    let lines = text.split(|byte| *byte == b'\n').count();
    let mut line = 0;
    for ignored in &bundle.ignored {
        assert!(line < ignored.line && ignored.line <= lines, "{ignored:?}");
        assert!(!ignored.what.is_empty());
        line = ignored.line;
    }
    let windows: Vec<u8> = text
        .iter()
        .flat_map(|byte| if *byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(byte) })
        .copied()
        .collect();
    same(bundle, &read_bundle(&windows).expect("carriage returns change nothing"));

    let mut backwards: Vec<String> = bundle.certificates.iter().map(Certificate::pem).collect();
    backwards.reverse();
    if let Some(PrivateKey::Plain(key)) = &bundle.private_key {
        backwards.push(key.as_str().to_owned());
    }
    if !backwards.is_empty() {
        let again = read_bundle(backwards.concat().as_bytes()).expect("what was written is read");
        assert!(again.certificates.iter().eq(bundle.certificates.iter().rev()));
        assert!(again.ignored.is_empty());
        if let (Some(PrivateKey::Plain(one)), Some(PrivateKey::Plain(two))) =
            (&bundle.private_key, &again.private_key)
        {
            assert_eq!(one.pkcs8_der(), two.pkcs8_der());
            assert_eq!(one.public_key(), two.public_key());
        } else {
            assert!(!matches!(bundle.private_key, Some(PrivateKey::Plain(_))) && again.private_key.is_none());
        }
    }
}

fn same(one: &Bundle, two: &Bundle) {
    assert_eq!(one.certificates, two.certificates);
    assert_eq!(one.ignored, two.ignored);
    assert_eq!(one.private_key.is_some(), two.private_key.is_some());
}

/// Two files one after the other: all that either holds, in that order.
fn together(
    first: &Result<Bundle, BundleError>,
    second: &Result<Bundle, BundleError>,
    both: &Result<Bundle, BundleError>,
) {
    if matches!(both, Err(BundleError::TooManyParts | BundleError::TooLarge(_))) {
        return;
    }
    match (first, second) {
        (Ok(first), Ok(second)) => match (&first.private_key, &second.private_key) {
            (Some(_), Some(_)) => assert!(matches!(both, Err(BundleError::SecondKey { .. }))),
            (one, other) => {
                let both = both.as_ref().expect("both were read alone");
                assert!(both.certificates.iter().eq(first.certificates.iter().chain(&second.certificates)));
                assert_eq!(both.private_key.is_some(), one.is_some() || other.is_some());
                assert!(both.ignored.len() <= MAX_PARTS);
            }
        },
        // A block that ends, and cannot be read, cannot be read in company either.
        (Err(BundleError::Base64 { .. } | BundleError::Certificate { .. } | BundleError::Key { .. }), _)
        | (
            Ok(_),
            Err(BundleError::Base64 { .. } | BundleError::Certificate { .. } | BundleError::Key { .. }),
        ) => {
            assert!(both.is_err());
        }
        _ => {}
    }
}

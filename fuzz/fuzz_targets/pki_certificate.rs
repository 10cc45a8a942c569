//! Whatever is read as a certificate is described without loss and without contradiction, is itself under every name,
//! and is trusted through itself only while it is valid and says that it is its own issuer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_pki::certificate::{Certificate, MAX_DER};
use pgseal_pki::extensions::AltName;
use pgseal_pki::{
    Fingerprint, LibpqRules, NameRefusal, Purpose, libpq_matches, read_bundle, strict_matches,
    strict_verify_chain, verify_chain,
};
use pgseal_wire::EndPointBinding;
use time::{Duration, OffsetDateTime};

fuzz_target!(|der: &[u8]| {
    match Certificate::from_der(der) {
        Ok(certificate) => {
            bytes(der, &certificate);
            description(&certificate);
            names(&certificate);
            chain(&certificate);
            binding(&certificate);
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
});

/// What it was read from, in every form.
fn bytes(der: &[u8], certificate: &Certificate) {
    assert!(der.len() <= MAX_DER);
    assert_eq!(certificate.der(), der);
    let fingerprint = certificate.fingerprint();
    assert_eq!(fingerprint, Fingerprint::of(der));
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    let bundle = read_bundle(certificate.pem().as_bytes()).expect("its own PEM is read");
    assert_eq!(bundle.certificates, std::slice::from_ref(certificate));
    assert!(bundle.private_key.is_none() && bundle.ignored.is_empty());
}

fn description(certificate: &Certificate) {
    assert!((1..=3).contains(&certificate.version()));
    let serial = certificate.serial_hex();
    let digits = serial.strip_prefix('-').unwrap_or(&serial);
    assert!(digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')), "{serial}");
    assert!(!format!("{certificate:?} {}", certificate.issuer()).contains(char::is_control));
    for name in [certificate.subject(), certificate.issuer()] {
        assert!(name.same_as(name));
        assert_eq!(name.is_empty(), name.attributes().is_empty());
    }
    assert_eq!(certificate.common_names().len(), certificate.subject().common_names().count());
    assert_eq!(certificate.days_left(certificate.not_after()), 0);
    assert_eq!(certificate.days_left(certificate.not_after() + Duration::SECOND), -1);
    assert_eq!(certificate.spki_der(), certificate.public_key().spki_der());
    assert!(!certificate.signature_algorithm().is_empty());
    assert!(!certificate.self_signed() || certificate.self_issued());
    assert!(certificate.key_usage().is_none_or(|usage| usage.names().len() <= 9));
    let _ = certificate.extended_key_usage().map(|usage| usage.names().len());
    let _ = (certificate.is_ca(), certificate.path_length());
    let _ = (certificate.subject_key_id(), certificate.authority_key_id());
    let every =
        certificate.dns_names().len() + certificate.ip_addresses().len() + certificate.other_names().len();
    assert_eq!(every, certificate.alt_names().map_or(0, <[AltName]>::len), "each name is told once");
}

/// libpq takes it for its own names, and refuses it with a reason for others.
fn names(certificate: &Certificate) {
    let dns = certificate.dns_names();
    let addresses = certificate.ip_addresses().into_iter().map(|address| address.to_string());
    let common = certificate.common_names().into_iter().map(str::to_owned);
    let asked = dns.iter().cloned().chain(addresses).chain(common).take(8);
    for host in asked.chain(["db.example.org", "10.0.0.1", "::1", ""].map(str::to_owned)) {
        for rules in [LibpqRules::of_version(14), LibpqRules::of_version(15)] {
            let refused = libpq_matches(certificate, &host, rules).err();
            assert_eq!(refused == Some(NameRefusal::NoHost), host.is_empty());
            let mine = dns.contains(&host) && !host.contains(['\0', char::REPLACEMENT_CHARACTER]);
            match refused {
                Some(NameRefusal::Mismatch { names, .. }) => assert!(!names.is_empty() && !mine, "{host}"),
                Some(NameRefusal::NoName) => assert!(!mine, "{host}"),
                _ => {}
            }
        }
        let _ = strict_matches(certificate, &host);
    }
}

/// At the ends of its life and half-way between.
fn chain(certificate: &Certificate) {
    let (first, last) = (certificate.not_before(), certificate.not_after());
    let this = std::slice::from_ref(certificate);
    for now in [first, first + (last - first) / 2, last, OffsetDateTime::UNIX_EPOCH] {
        for purpose in [Purpose::Server, Purpose::Client] {
            match verify_chain(certificate, this, this, now, purpose) {
                Ok(chain) => {
                    assert_eq!(chain.path(), this);
                    assert_eq!(chain.root(), Some(certificate));
                    assert!(certificate.self_signed());
                    assert!(first <= now && now < last, "{now} is not from {first} to {last}");
                }
                Err(refusal) => assert!(!refusal.to_string().is_empty()),
            }
            let alone = verify_chain(certificate, &[], &[], now, purpose);
            assert!(alone.is_err(), "nothing is trusted without roots");
        }
        let _ = strict_verify_chain(certificate, this, this, now);
    }
    let order = pgseal_pki::chain::order_of(certificate, this);
    assert!(order.issuers.is_empty() && order.strangers.is_empty());
    let _ = certificate.check_signed_by(certificate);
}

/// A channel binding is as long as its hash.
fn binding(certificate: &Certificate) {
    match EndPointBinding::of_leaf(certificate) {
        Ok(binding) => {
            let bits = binding.hash_name().rsplit('-').next().and_then(|bits| bits.parse().ok());
            assert_eq!(bits, Some(8 * binding.value().len()), "{}", binding.hash_name());
        }
        Err(none) => assert!(!none.to_string().contains(char::is_control)),
    }
}

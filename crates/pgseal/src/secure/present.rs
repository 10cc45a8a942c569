//! The certificate and key that the settings name, seen as the server sees them.

use std::collections::BTreeMap;

use pgseal_pki::{
    BundleError, Certificate, LibpqRules, PrivateKey, SubjectAltName, libpq_matches, order_of, read_bundle,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::facts::{Present, Setting};
use super::observe::in_data;
use crate::place::Place;

/// A bundle of certificates.
const LIMIT: u64 = 4 << 20;

/// Reads both files in the server's name; why there is no certificate, if there is none.
pub(crate) async fn look(place: &mut Place, settings: &BTreeMap<String, Setting>) -> Result<Present, String> {
    let named = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    let certificate_file = in_data(place, named("ssl_cert_file"));
    let key_file = in_data(place, named("ssl_key_file"));
    let bundle = read_certificates(place, &certificate_file).await?;
    let mut certificates = bundle.certificates.into_iter();
    let leaf =
        certificates.next().ok_or_else(|| format!("{} holds no certificate", certificate_file.display()))?;
    let mut encrypted = false;
    let key = match read(place, &key_file).await {
        Ok(bundle) => {
            match bundle.private_key.inspect(|key| encrypted = matches!(key, PrivateKey::Encrypted(_))) {
                Some(PrivateKey::Plain(key)) if key.belongs_to(&leaf) => Ok(()),
                Some(PrivateKey::Plain(_)) => Err("its key belongs to another certificate".to_owned()),
                // The server opens it itself, also at a reload; the wire tells whether it could.
                Some(PrivateKey::Encrypted(_)) if opened_by_the_server(settings) => Ok(()),
                Some(PrivateKey::Encrypted(_)) => {
                    Err("its key is behind a passphrase that no reload can open".to_owned())
                }
                None => Err(format!("{} holds no key", key_file.display())),
            }
        }
        Err(why) => Err(why),
    };
    Ok(Present { leaf, others: certificates.collect(), key, encrypted })
}

/// be-secure-common.c: at a reload the command is run only where it is said to support that.
fn opened_by_the_server(settings: &BTreeMap<String, Setting>) -> bool {
    let value = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    !value("ssl_passphrase_command").is_empty() && value("ssl_passphrase_command_supports_reload") == "on"
}

/// The certificates of a file whose key may be one that cannot be read, such as one that is too short.
async fn read_certificates(place: &mut Place, path: &std::path::Path) -> Result<pgseal_pki::Bundle, String> {
    let bytes = bytes_of(place, path).await?;
    let outcome = match read_bundle(&bytes) {
        Err(BundleError::Key { .. }) => read_bundle(&without_keys(&bytes)),
        outcome => outcome,
    };
    outcome.map_err(|error| format!("{}: {error}", path.display()))
}

/// The blocks of certificates alone.
fn without_keys(bytes: &[u8]) -> Vec<u8> {
    let mut inside = false;
    let mut kept = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        inside |= line.starts_with(b"-----BEGIN CERTIFICATE-----");
        if inside {
            kept.extend_from_slice(line);
        }
        inside &= !line.starts_with(b"-----END CERTIFICATE-----");
    }
    kept
}

async fn read(place: &mut Place, path: &std::path::Path) -> Result<pgseal_pki::Bundle, String> {
    let bytes = bytes_of(place, path).await?;
    read_bundle(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

async fn bytes_of(place: &mut Place, path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let found = place.hands.look(path).await.map_err(|failure| failure.sentence().to_owned())?;
    let (real, _) = found.ok_or_else(|| format!("there is no {}", path.display()))?;
    place.hands.read(&real, LIMIT).await.map_err(|failure| failure.sentence().to_owned())
}

/// Why a certificate is not one to keep, if so: what a client that verifies fully would say of it.
pub(crate) fn flaw(
    leaf: &Certificate,
    others: &[Certificate],
    names: &[SubjectAltName],
    now: OffsetDateTime,
) -> Option<String> {
    let rules = LibpqRules { ip_sans: true };
    let missing: Vec<String> = names
        .iter()
        .map(ToString::to_string)
        .filter(|name| libpq_matches(leaf, name, rules).is_err())
        .collect();
    let order = order_of(leaf, others);
    let topmost = order.issuers.last().and_then(|index| others.get(*index)).unwrap_or(leaf);
    if leaf.version() != 3 {
        Some("it is X.509 version 1, which Go, Java and rustls refuse".to_owned())
    } else if leaf.self_signed() {
        Some("it is self-signed: renewing it would break every client that verifies it".to_owned())
    } else if leaf.is_ca() {
        Some("it is a CA's certificate, which rustls refuses as a server's".to_owned())
    } else if leaf.alt_names().is_none_or(<[_]>::is_empty) {
        Some("it has no subject alternative names".to_owned())
    } else if now < leaf.not_before() {
        Some(format!("it is not valid before {}", leaf.not_before().date()))
    } else if now > leaf.not_after() {
        Some(format!("it expired on {}", leaf.not_after().date()))
    } else if leaf.extended_key_usage().is_some_and(|usage| !usage.server_auth()) {
        Some("it is not for servers (extended key usage)".to_owned())
    } else if !missing.is_empty() {
        Some(format!("it is not for {}", missing.join(", ")))
    } else if order.issuers.len() < others.iter().filter(|other| !other.self_signed()).count() {
        Some(format!("its file holds certificates that do not lead from it to {}", topmost.issuer()))
    } else {
        None
    }
}

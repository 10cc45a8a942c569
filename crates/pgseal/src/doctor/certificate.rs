//! What is wrong with a certificate beside what full verification would say of it. Pure but for reading a revocation list.

use std::path::Path;

use pgseal_pki::crl::read_revocation_lists;
use pgseal_pki::{Certificate, KeyKind, LibpqRules, dh_prime_bits, libpq_matches};
use pgseal_wire::tls::{EndPointBinding, NoBinding};
use time::OffsetDateTime;

use super::Notes;
use crate::place::Place;
use crate::secure::facts::Facts;

/// RFC 8996's companions and OpenSSL's level 2: less than this is refused (112 bits).
const SHORTEST_RSA: usize = 2048;
/// The same for Diffie-Hellman (RFC 8247 and OpenSSL's level 2).
const SHORTEST_PRIME: usize = 2048;
const LIMIT: u64 = 16 << 20;
/// Debian's placeholder lies under this name (ssl-cert).
const SNAKEOIL: &str = "ssl-cert-snakeoil";
/// A list that ends sooner than this is one to renew.
const SOON: time::Duration = time::Duration::days(3);

pub(super) fn judge(leaf: &Certificate, others: &[Certificate], file: &str, notes: &mut Notes<'_>) {
    if file.contains(SNAKEOIL) {
        notes.find("snakeoil-certificate", file);
    }
    let key = leaf.public_key().kind();
    // RFC 5929, 4.1: the hash is that of its signature, so what counts is the issuer's key, and not its own.
    match EndPointBinding::of_leaf(leaf) {
        Ok(_) => {}
        Err(NoBinding::NoHash(algorithm)) => {
            notes.find("channel-binding-impossible", format!("it is signed with {algorithm}"));
        }
        Err(why) => notes.unseen(
            "whether a login can be bound to the certificate",
            why.to_string(),
            "a login with channel_binding=require",
        ),
    }
    if let KeyKind::Rsa(bits) = key
        && *bits < SHORTEST_RSA
    {
        notes.find("key-weak", format!("its key is {key}"));
    }
    let signature = leaf.signature_algorithm().to_ascii_lowercase();
    if signature.contains("sha1") || signature.contains("md5") {
        notes.find("key-weak", format!("it is signed with {}", leaf.signature_algorithm()));
    }
    if let Some(root) = others.iter().find(|other| other.self_signed()) {
        notes.find("root-in-chain", root.subject().to_string());
    }
}

/// Addresses that are listened on by name of their own, and that no client could verify.
pub(super) fn addresses(facts: &Facts, notes: &mut Notes<'_>) {
    let Ok(present) = &facts.certificate else { return };
    let not_named: Vec<String> = facts
        .listens_on
        .iter()
        .filter(|address| !address.is_loopback())
        .map(ToString::to_string)
        .filter(|address| libpq_matches(&present.leaf, address, LibpqRules::default()).is_err())
        .collect();
    if !not_named.is_empty() {
        notes.find("certificate-address-not-named", not_named.join(", "));
    }
}

/// Parameters of one's own are taken as they are (be-secure-openssl.c, initialize_dh); without a file it is the
/// built-in group of 2048 bits.
pub(super) async fn diffie_hellman(place: &mut Place, file: &str, notes: &mut Notes<'_>) {
    if file.is_empty() {
        return;
    }
    let path = place.data.join(file);
    match place.hands.read(&path, LIMIT).await {
        Ok(bytes) => {
            if let Some(bits) = dh_prime_bits(&bytes).filter(|bits| *bits < SHORTEST_PRIME) {
                notes.find("dh-weak", format!("{file}: {bits} bits"));
            }
        }
        Err(failure) => {
            notes.unseen("ssl_dh_params_file", failure.sentence().to_owned(), "the file that it names");
        }
    }
}

/// Whether the revocation lists are of today.
pub(super) async fn revocation(place: &mut Place, file: &str, now: OffsetDateTime, notes: &mut Notes<'_>) {
    if file.is_empty() {
        return;
    }
    let path = place.data.join(file);
    let bytes = match place.hands.read(Path::new(&path), LIMIT).await {
        Ok(bytes) => bytes,
        Err(failure) => {
            return notes.unseen(
                "revocation lists",
                failure.sentence().to_owned(),
                "the file that ssl_crl_file names",
            );
        }
    };
    let lists = match read_revocation_lists(&bytes) {
        Ok(lists) if lists.is_empty() => return notes.find("crl-outdated", format!("{file} holds none")),
        Ok(lists) => lists,
        Err(error) => return notes.find("crl-outdated", format!("{file}: {error}")),
    };
    for list in &lists {
        if let Err(fault) = list.is_current(now) {
            notes.find("crl-outdated", format!("{file}, of {}: {fault}", list.issuer()));
        } else if list.next_update().is_some_and(|next| next - now < SOON) {
            let next = list.next_update().map(|next| next.date().to_string()).unwrap_or_default();
            notes.find("crl-outdated", format!("{file}, of {}: good until {next} only", list.issuer()));
        }
    }
}

//! Signatures on certificates: which algorithm, and whether one holds.
//!
//! Knows the algorithms of rustls-webpki over aws-lc-rs; refuses to know who is trusted.

use rustls_pki_types::SignatureVerificationAlgorithm;
use x509_parser::oid_registry::format_oid;
use x509_parser::x509::AlgorithmIdentifier;

use crate::public_key::{KeyKind, PublicKey};

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefusal {
    /// No algorithm here for this pair of key and signature: MD5, SHA-1, DSA, RSA under 2048 bits,
    /// Ed448, Brainpool and secp256k1 curves, RSA-PSS keys.
    #[error("its signature algorithm is not supported")]
    Unsupported,
    /// The signature does not verify with the key.
    #[error("its signature does not match")]
    Mismatch,
}

/// Checks `signature` over `message` with `key`; `algorithm_id` is the content of the
/// `AlgorithmIdentifier` beside the signature.
pub(crate) fn check(
    key: &PublicKey,
    algorithm_id: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureRefusal> {
    let algorithm = fitting(key, algorithm_id).ok_or(SignatureRefusal::Unsupported)?;
    algorithm.verify_signature(key.key_bits(), message, signature).map_err(|_| SignatureRefusal::Mismatch)
}

fn fitting(key: &PublicKey, algorithm_id: &[u8]) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    webpki::ALL_VERIFICATION_ALGS.iter().copied().find(|one| {
        one.public_key_alg_id().as_ref() == key.algorithm_id()
            && one.signature_alg_id().as_ref() == algorithm_id
    })
}

/// The algorithm's name as OpenSSL prints it, or its dotted identifier.
pub(crate) fn name_of(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let dotted = format_oid(&algorithm.algorithm, x509_parser::objects::oid_registry());
    NAMES
        .iter()
        .find(|(oid, _)| *oid == algorithm.algorithm.to_id_string())
        .map_or(dotted, |(_, name)| (*name).to_owned())
}

/// RFC 3279, 4055, 5758, 8410: identifier and OpenSSL's long name.
const NAMES: [(&str, &str); 14] = [
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
];

/// The family of keys that can make a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    RsaPss,
    Ecdsa,
    Ed25519,
    Ed448,
    Dsa,
}

/// Whether a signature of this algorithm can come from such a key (OpenSSL's
/// `check_sig_alg_match`); false for algorithms that OpenSSL has no entry for.
pub(crate) fn suits(key: &KeyKind, signature_oid: &str) -> bool {
    let key = match key {
        KeyKind::Rsa(_) => Family::Rsa,
        KeyKind::RsaPss => Family::RsaPss,
        KeyKind::EcdsaP256
        | KeyKind::EcdsaP384
        | KeyKind::EcdsaP521
        | KeyKind::OtherCurve(_)
        | KeyKind::ExplicitCurve => Family::Ecdsa,
        KeyKind::Ed25519 => Family::Ed25519,
        KeyKind::Ed448 => Family::Ed448,
        KeyKind::Dsa => Family::Dsa,
        KeyKind::Other(_) => return false,
    };
    match family(signature_oid) {
        Some(Family::RsaPss) => matches!(key, Family::Rsa | Family::RsaPss),
        found => found == Some(key),
    }
}

fn family(signature_oid: &str) -> Option<Family> {
    match signature_oid {
        "1.2.840.113549.1.1.10" => Some(Family::RsaPss),
        "1.3.101.112" => Some(Family::Ed25519),
        "1.3.101.113" => Some(Family::Ed448),
        oid if oid.starts_with("1.2.840.113549.1.1.") => Some(Family::Rsa),
        oid if oid.starts_with("1.2.840.10045.4.") => Some(Family::Ecdsa),
        oid if oid.starts_with("1.2.840.10040.4.") || oid.starts_with("2.16.840.1.101.3.4.3.") => {
            Some(Family::Dsa)
        }
        _ => None,
    }
}

/// Under 112 bits of security: MD2, MD4, MD5 and SHA-1 as digests.
pub(crate) fn is_weak(signature_oid: &str) -> bool {
    matches!(
        signature_oid,
        "1.2.840.113549.1.1.2"
            | "1.2.840.113549.1.1.3"
            | "1.2.840.113549.1.1.4"
            | "1.2.840.113549.1.1.5"
            | "1.2.840.10045.4.1"
            | "1.2.840.10040.4.3"
    )
}

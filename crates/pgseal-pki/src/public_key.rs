//! What kind of public key a certificate carries, and the bytes that verify with it.
//!
//! Knows the algorithms that TLS certificates use; refuses to judge whether one is strong enough.

use std::fmt;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED448, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::der;

/// The algorithm of a public key and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// RSA (`rsaEncryption`), with the modulus's length in bits.
    Rsa(usize),
    /// RSA restricted to PSS signatures (`id-RSASSA-PSS`).
    RsaPss,
    /// ECDSA over NIST P-256 (`prime256v1`).
    EcdsaP256,
    /// ECDSA over NIST P-384 (`secp384r1`).
    EcdsaP384,
    /// ECDSA over NIST P-521 (`secp521r1`).
    EcdsaP521,
    /// An elliptic curve named by this object identifier.
    OtherCurve(String),
    /// An elliptic curve written out in full instead of being named (OpenSSL refuses such chains).
    ExplicitCurve,
    /// Ed25519: breaks `tls-server-end-point`, hence libpq's channel binding.
    Ed25519,
    /// Ed448.
    Ed448,
    /// DSA.
    Dsa,
    /// Anything else, by its object identifier.
    Other(String),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::RsaPss => f.write_str("RSA-PSS"),
            Self::EcdsaP256 => f.write_str("ECDSA P-256"),
            Self::EcdsaP384 => f.write_str("ECDSA P-384"),
            Self::EcdsaP521 => f.write_str("ECDSA P-521"),
            Self::OtherCurve(oid) => write!(f, "ECDSA on curve {oid}"),
            Self::ExplicitCurve => f.write_str("ECDSA with explicit curve parameters"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Ed448 => f.write_str("Ed448"),
            Self::Dsa => f.write_str("DSA"),
            Self::Other(oid) => write!(f, "algorithm {oid}"),
        }
    }
}

/// A `SubjectPublicKeyInfo`, kept as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    spki_der: Vec<u8>,
    algorithm_id: Vec<u8>,
    key_bits: Vec<u8>,
}

impl PublicKey {
    pub(crate) fn read(spki: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let (outer, _) = der::expect(spki.raw, der::SEQUENCE)?;
        let (algorithm, rest) = der::expect(outer.content, der::SEQUENCE)?;
        let (bits, _) = der::expect(rest, der::BIT_STRING)?;
        Some(Self {
            kind: kind_of(spki),
            spki_der: outer.whole.to_vec(),
            algorithm_id: algorithm.content.to_vec(),
            key_bits: der::whole_bytes(bits.content)?.to_vec(),
        })
    }

    /// Algorithm and size.
    pub fn kind(&self) -> &KeyKind {
        &self.kind
    }

    /// The whole `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1.2.7).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The content of the `AlgorithmIdentifier`, without its SEQUENCE header: the form in which
    /// `rustls_pki_types::alg_id` holds such identifiers.
    pub fn algorithm_id(&self) -> &[u8] {
        &self.algorithm_id
    }

    /// The bytes of the key itself, as `SignatureVerificationAlgorithm::verify_signature` takes
    /// them.
    pub fn key_bits(&self) -> &[u8] {
        &self.key_bits
    }
}

fn kind_of(spki: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    let oid = &spki.algorithm.algorithm;
    if *oid == OID_PKCS1_RSAENCRYPTION {
        return KeyKind::Rsa(match spki.parsed() {
            Ok(ParsedKey::RSA(key)) => bit_length(key.modulus),
            _ => 0,
        });
    }
    if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
        // The parser's `as_oid` reads any element as an identifier.
        let named = spki.algorithm.parameters.as_ref().filter(|found| found.tag() == Tag::Oid);
        let curve = named.map(Any::as_oid);
        return match curve {
            Some(Ok(curve)) if curve == OID_EC_P256 => KeyKind::EcdsaP256,
            Some(Ok(curve)) if curve == OID_NIST_EC_P384 => KeyKind::EcdsaP384,
            Some(Ok(curve)) if curve == OID_NIST_EC_P521 => KeyKind::EcdsaP521,
            Some(Ok(curve)) => KeyKind::OtherCurve(curve.to_id_string()),
            _ => KeyKind::ExplicitCurve,
        };
    }
    if *oid == OID_PKCS1_RSASSAPSS {
        KeyKind::RsaPss
    } else if *oid == OID_SIG_ED25519 {
        KeyKind::Ed25519
    } else if *oid == OID_SIG_ED448 {
        KeyKind::Ed448
    } else if *oid == OID_KEY_TYPE_DSA {
        KeyKind::Dsa
    } else {
        KeyKind::Other(oid.to_id_string())
    }
}

/// Length in bits of an unsigned big-endian number.
fn bit_length(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    match number.get(zeros) {
        None => 0,
        Some(top) => {
            let top_bits = 8 - usize::try_from(top.leading_zeros()).unwrap_or(0);
            (number.len() - zeros - 1) * 8 + top_bits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_modulus_counts_from_its_first_set_bit() {
        assert_eq!(bit_length(&[0, 0x80, 0]), 16);
        assert_eq!(bit_length(&[0x7f, 0xff]), 15);
        assert_eq!(bit_length(&[0, 0]), 0);
    }
}

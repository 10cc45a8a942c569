//! `tls-server-end-point`, the channel binding of SCRAM-SHA-256-PLUS.
//!
//! RFC 5929, section 4.1: a hash of the leaf as served; the hash of its signature algorithm, or
//! SHA-256 where that is MD5 or SHA-1. A certificate without such a hash has no binding:
//! Ed25519 is one, which is why libpq cannot log in there with SCRAM-PLUS.

use std::fmt;

use aws_lc_rs::digest;
use pgseal_pki::Certificate;

/// What both ends of a SCRAM-PLUS exchange must have seen.
#[derive(Clone, PartialEq, Eq)]
pub struct EndPointBinding {
    hash: Hash,
    value: Vec<u8>,
}

impl EndPointBinding {
    /// Of a leaf.
    pub fn of_leaf(leaf: &Certificate) -> Result<Self, NoBinding> {
        let hash = Hash::of_signature(leaf.signature_algorithm_id())?;
        let value = digest::digest(hash.algorithm(), leaf.der()).as_ref().to_vec();
        Ok(Self { hash, value })
    }

    /// The bytes that are bound.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The name of the hash, such as `SHA-256`.
    pub const fn hash_name(&self) -> &'static str {
        self.hash.name()
    }
}

impl fmt::Debug for EndPointBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndPointBinding({}, {} bytes)", self.hash.name(), self.value.len())
    }
}

/// Why a certificate has no `tls-server-end-point`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoBinding {
    /// Ed25519 and Ed448 hash inside the signature.
    #[error("the certificate is signed with {0}, which has no hash for tls-server-end-point")]
    NoHash(&'static str),
    /// A signature algorithm that is not known here.
    #[error(
        "the certificate's signature algorithm {0} is unknown, so there is no hash for tls-server-end-point"
    )]
    Unknown(String),
    /// The algorithm's parameters are broken.
    #[error("the certificate's signature algorithm cannot be read")]
    Unreadable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Signature algorithms whose OID names their hash; MD5 and SHA-1 stand as SHA-256.
/// RFC 3279, RFC 4055, RFC 5758.
const SIGNATURES: [(&[u8], Hash); 14] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", Hash::Sha256), // md5WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", Hash::Sha256), // sha1WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", Hash::Sha256), // sha256WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", Hash::Sha384), // sha384WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", Hash::Sha512), // sha512WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e", Hash::Sha224), // sha224WithRSAEncryption
    (b"\x2a\x86\x48\xce\x3d\x04\x01", Hash::Sha256),         // ecdsa-with-SHA1
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", Hash::Sha224),     // ecdsa-with-SHA224
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Hash::Sha256),     // ecdsa-with-SHA256
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Hash::Sha384),     // ecdsa-with-SHA384
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Hash::Sha512),     // ecdsa-with-SHA512
    (b"\x2a\x86\x48\xce\x38\x04\x03", Hash::Sha256),         // dsa-with-sha1
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x01", Hash::Sha224), // dsa-with-sha224
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x02", Hash::Sha256), // dsa-with-sha256
];

/// Hashes by themselves, as RSASSA-PSS parameters name them.
const HASHES: [(&[u8], Hash); 5] = [
    (b"\x2b\x0e\x03\x02\x1a", Hash::Sha256), // SHA-1
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", Hash::Sha256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x02", Hash::Sha384),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x03", Hash::Sha512),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x04", Hash::Sha224),
];

const RSASSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
const ED25519: &[u8] = b"\x2b\x65\x70";
const ED448: &[u8] = b"\x2b\x65\x71";

impl Hash {
    /// By the content of the `AlgorithmIdentifier` beside the certificate's signature.
    fn of_signature(algorithm: &[u8]) -> Result<Self, NoBinding> {
        let (oid, parameters) = der_value(0x06, algorithm).ok_or(NoBinding::Unreadable)?;
        match oid {
            ED25519 => Err(NoBinding::NoHash("Ed25519")),
            ED448 => Err(NoBinding::NoHash("Ed448")),
            RSASSA_PSS => Self::of_pss(parameters).ok_or(NoBinding::Unreadable),
            oid => look_up(&SIGNATURES, oid).ok_or_else(|| NoBinding::Unknown(dotted(oid))),
        }
    }

    /// RFC 4055, 3.1: `[0] hashAlgorithm DEFAULT sha1`.
    fn of_pss(parameters: &[u8]) -> Option<Self> {
        if parameters.is_empty() {
            return Some(Self::Sha256);
        }
        let (sequence, _) = der_value(0x30, parameters)?;
        let Some((tagged, _)) = der_value(0xa0, sequence) else {
            return Some(Self::Sha256);
        };
        let (algorithm, _) = der_value(0x30, tagged)?;
        let (oid, _) = der_value(0x06, algorithm)?;
        look_up(&HASHES, oid)
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }
}

fn look_up(table: &[(&[u8], Hash)], oid: &[u8]) -> Option<Hash> {
    table.iter().find(|row| row.0 == oid).map(|row| row.1)
}

/// The content of the element at the front, which must have this tag, and what follows it.
fn der_value(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first != tag {
        return None;
    }
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// An OID's content in dots, for an error text; at most 16 arcs of at most 4 bytes.
fn dotted(oid: &[u8]) -> String {
    let mut arcs: Vec<u32> = Vec::new();
    let mut arc: u32 = 0;
    for byte in oid.iter().take(64) {
        arc = arc.wrapping_shl(7) | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first);
                arc -= first * 40;
            }
            arcs.push(arc);
            arc = 0;
        }
    }
    let texts: Vec<_> = arcs.iter().take(16).map(u32::to_string).collect();
    texts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(algorithm: &[u8]) -> Result<&'static str, String> {
        Hash::of_signature(algorithm).map(Hash::name).map_err(|error| error.to_string())
    }

    fn oid(content: &[u8]) -> Vec<u8> {
        [&[0x06, u8::try_from(content.len()).unwrap()][..], content].concat()
    }

    #[test]
    fn weak_hashes_stand_as_sha_256_and_strong_ones_as_themselves() {
        for (content, hash) in SIGNATURES {
            assert_eq!(of(&oid(content)), Ok(hash.name()));
        }
        // md5WithRSAEncryption, with its NULL parameters.
        let md5 = [oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"), vec![5, 0]].concat();
        assert_eq!(of(&md5), Ok("SHA-256"));
    }

    #[test]
    fn rsa_pss_is_bound_by_the_hash_of_its_parameters() {
        let pss = |parameters: &[u8]| of(&[&oid(RSASSA_PSS), parameters].concat());
        // No parameters, and no hash among them, mean SHA-1.
        assert_eq!(pss(&[]), Ok("SHA-256"));
        assert_eq!(pss(&[0x30, 0]), Ok("SHA-256"));
        for (content, hash) in HASHES {
            let algorithm = [&[0x30, u8::try_from(content.len() + 2).unwrap()][..], &oid(content)].concat();
            let tagged = [&[0xa0, u8::try_from(algorithm.len()).unwrap()][..], &algorithm].concat();
            let parameters = [&[0x30, u8::try_from(tagged.len()).unwrap()][..], &tagged].concat();
            assert_eq!(pss(&parameters), Ok(hash.name()));
        }
    }

    #[test]
    fn what_has_no_hash_says_so() {
        assert_eq!(
            of(&oid(ED25519)),
            Err("the certificate is signed with Ed25519, which has no hash for tls-server-end-point".into())
        );
        let unknown = of(&oid(b"\x60\x86\x48\x01\x65\x03\x04\x03\x11")).unwrap_err();
        assert!(unknown.contains("2.16.840.1.101.3.4.3.17"), "{unknown}");
        assert!(of(&[]).is_err());
    }

    proptest! {
        #[test]
        fn no_algorithm_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = of(&bytes);
            let _ = of(&[&oid(RSASSA_PSS), bytes.as_slice()].concat());
            let _ = of(&oid(&bytes));
        }
    }
}

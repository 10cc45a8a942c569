//! A PKCS #12 store (RFC 7292) with one key and its chain, for Java: pgjdbc takes a client's key from nothing else but
//! this and bare PKCS #8.
//!
//! Writes, and does not read. The key is encrypted by PBES2 with AES-256 (RFC 8018), the certificates are not, and all of
//! it is sealed by HMAC-SHA-256: what Java has read since 8u301, OpenSSL since 1.1.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::der::{INTEGER, OID, SEQUENCE, element};
use crate::encryption;
use crate::key::{KeyError, KeyPem};

const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const BMP_STRING: u8 = 0x1e;
const SET: u8 = 0x31;
/// Context tag 0, constructed.
const EXPLICIT: u8 = 0xa0;

// Contents of object identifiers.
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const SHROUDED_KEY_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
const CERTIFICATE_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03";
const X509_CERTIFICATE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
const FRIENDLY_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14";
const LOCAL_KEY_ID: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15";
const SHA_256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";

/// Rounds of the seal's key derivation. Java refuses more than 5 million, and OpenSSL writes 2048.
const ROUNDS: u32 = 100_000;
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The alias under which pgjdbc looks for its key.
pub const JDBC_ALIAS: &str = "user";

/// A store in DER: the key and its leaf under `alias`, the leaf's issuers behind it.
pub fn store(
    alias: &str,
    key: &KeyPem,
    leaf: &Certificate,
    issuers: &[Certificate],
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let sealed = encryption::close_der(key, passphrase.as_bytes())?;
    let local_id = digest(&SHA256, leaf.der());
    let attributes = [friendly_name(alias), local_key_id(local_id.as_ref())];
    let key_bag = bag(SHROUDED_KEY_BAG, &sealed, &attributes);
    let mut certificates = bag(CERTIFICATE_BAG, &certificate_value(leaf), &attributes);
    for issuer in issuers {
        certificates.extend(bag(CERTIFICATE_BAG, &certificate_value(issuer), &[]));
    }
    let contents = [element(SEQUENCE, &certificates), element(SEQUENCE, &key_bag)];
    let safe = element(SEQUENCE, &contents.map(|content| data(&content)).concat());
    let seal = seal(&safe, passphrase)?;
    let version = element(INTEGER, &[3]);
    Ok(Zeroizing::new(element(SEQUENCE, &[version, data(&safe), seal].concat())))
}

/// `SafeBag` (RFC 7292 section 4.2).
fn bag(kind: &[u8], value: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut content = [element(OID, kind), element(EXPLICIT, value)].concat();
    if !attributes.is_empty() {
        content.extend(set(attributes));
    }
    element(SEQUENCE, &content)
}

fn certificate_value(certificate: &Certificate) -> Vec<u8> {
    let octets = element(OCTET_STRING, certificate.der());
    element(SEQUENCE, &[element(OID, X509_CERTIFICATE), element(EXPLICIT, &octets)].concat())
}

/// `ContentInfo` of type data (RFC 2315 section 8).
fn data(content: &[u8]) -> Vec<u8> {
    let octets = element(OCTET_STRING, content);
    element(SEQUENCE, &[element(OID, DATA), element(EXPLICIT, &octets)].concat())
}

fn friendly_name(alias: &str) -> Vec<u8> {
    attribute(FRIENDLY_NAME, &element(BMP_STRING, &utf16(alias)))
}

fn local_key_id(id: &[u8]) -> Vec<u8> {
    attribute(LOCAL_KEY_ID, &element(OCTET_STRING, id))
}

fn attribute(kind: &[u8], value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[element(OID, kind), element(SET, value)].concat())
}

/// A SET OF is sorted by its encodings (X.690 section 11.6).
fn set(members: &[Vec<u8>]) -> Vec<u8> {
    let mut members = members.to_vec();
    members.sort();
    element(SET, &members.concat())
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// `MacData` (RFC 7292 section 4).
fn seal(safe: &[u8], passphrase: &str) -> Result<Vec<u8>, KeyError> {
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| KeyError::NotMade)?;
    let key = derived(passphrase, &salt, ROUNDS);
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, key.as_slice()), safe);
    let algorithm = element(SEQUENCE, &[element(OID, SHA_256), element(NULL, &[])].concat());
    let digest = element(SEQUENCE, &[algorithm, element(OCTET_STRING, tag.as_ref())].concat());
    let rounds =
        element(INTEGER, &ROUNDS.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>());
    Ok(element(SEQUENCE, &[digest, element(OCTET_STRING, &salt), rounds].concat()))
}

/// RFC 7292 appendix B.2 for a MAC key of 32 bytes with SHA-256: one block of output, so that its step 6 never runs
/// twice.
fn derived(passphrase: &str, salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
    const MAC_KEY: u8 = 3;
    let mut password = Zeroizing::new(utf16(passphrase));
    // With the two zero bytes of its end (appendix B.1).
    password.extend([0, 0]);
    let filled = |bytes: &[u8]| -> Zeroizing<Vec<u8>> {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        Zeroizing::new(bytes.iter().copied().cycle().take(length).collect())
    };
    let mut text = Zeroizing::new(vec![MAC_KEY; BLOCK]);
    text.extend_from_slice(&filled(salt));
    text.extend_from_slice(&filled(&password));
    let mut hash = Zeroizing::new(digest(&SHA256, &text).as_ref().to_vec());
    for _ in 1..rounds {
        hash = Zeroizing::new(digest(&SHA256, &hash).as_ref().to_vec());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That it is the right one is told by openssl and Java, which read whole stores.
    #[test]
    fn a_derived_key_depends_on_passphrase_salt_and_rounds() {
        let one = derived("smeg", &[1; 8], 1);
        assert_eq!(one.len(), 32);
        for other in [derived("smeh", &[1; 8], 1), derived("smeg", &[2; 8], 1), derived("smeg", &[1; 8], 2)] {
            assert_ne!(*one, *other);
        }
        assert_eq!(*one, *derived("smeg", &[1; 8], 1));
    }
}

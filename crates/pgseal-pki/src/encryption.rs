//! Private keys under a passphrase: PKCS#8 `EncryptedPrivateKeyInfo` with PBES2 (RFC 8018).

use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};
use zeroize::Zeroizing;

use crate::key::{KeyError, KeyPem};
use crate::pem;

/// PBKDF2 rounds for keys written here (OWASP's figure for HMAC-SHA-256).
const ROUNDS: u32 = 600_000;
/// The most PBKDF2 rounds that are computed for a key that is read: some ten seconds.
const MOST_ROUNDS: u32 = 10_000_000;
/// The most memory that scrypt may ask for, in bytes.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// An encrypted private key, still closed.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedKey {
    der: Vec<u8>,
}

impl std::fmt::Debug for EncryptedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EncryptedKey")
    }
}

impl EncryptedKey {
    pub(crate) fn from_der(der: Vec<u8>) -> Result<Self, KeyError> {
        EncryptedPrivateKeyInfo::try_from(der.as_slice()).map_err(|_| KeyError::UnsupportedEncryption)?;
        Ok(Self { der })
    }

    /// Opens the key. Takes a moment: the passphrase is stretched on purpose.
    pub fn open(&self, passphrase: &[u8]) -> Result<KeyPem, KeyError> {
        let info = EncryptedPrivateKeyInfo::try_from(self.der.as_slice())
            .map_err(|_| KeyError::UnsupportedEncryption)?;
        let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
            return Err(KeyError::UnsupportedEncryption);
        };
        if !is_affordable(parameters) {
            return Err(KeyError::UnsupportedEncryption);
        }
        let document = info.decrypt(passphrase).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => {
                KeyError::UnsupportedEncryption
            }
            _ => KeyError::WrongPassphrase,
        })?;
        KeyPem::from_der(document.as_bytes())
    }
}

fn is_affordable(parameters: &Parameters<'_>) -> bool {
    match &parameters.kdf {
        Kdf::Pbkdf2(found) => found.iteration_count <= MOST_ROUNDS,
        Kdf::Scrypt(found) => {
            let memory = u64::from(found.block_size).checked_mul(128).and_then(|block| {
                block.checked_mul(found.cost_parameter)?.checked_mul(found.parallelization.into())
            });
            memory.is_some_and(|memory| memory <= MOST_MEMORY)
        }
        _ => false,
    }
}

/// Encrypts a key with AES-256-CBC under PBKDF2-HMAC-SHA-256, the combination that OpenSSL, `GnuTLS`
/// and Java all read; PEM with the label `ENCRYPTED PRIVATE KEY`.
pub(crate) fn close(key: &KeyPem, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    Ok(pem::encode("ENCRYPTED PRIVATE KEY", &close_der(key, passphrase)?))
}

/// The same in DER.
pub(crate) fn close_der(key: &KeyPem, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if passphrase.is_empty() {
        return Err(KeyError::EmptyPassphrase);
    }
    let mut salt = [0; 16];
    let mut vector = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| KeyError::NotMade)?;
    aws_lc_rs::rand::fill(&mut vector).map_err(|_| KeyError::NotMade)?;
    let parameters = Parameters::pbkdf2_sha256_aes256cbc(ROUNDS, &salt, &vector)
        .map_err(|_| KeyError::UnsupportedEncryption)?;
    let info = PrivateKeyInfo::try_from(key.pkcs8_der()).map_err(|_| KeyError::Unsupported)?;
    let document =
        info.encrypt_with_params(parameters, passphrase).map_err(|_| KeyError::UnsupportedEncryption)?;
    Ok(Zeroizing::new(document.as_bytes().to_vec()))
}

//! Private keys: made, read, kept in memory that is wiped, never shown.
//!
//! Knows kinds and encodings of keys; refuses to know files, owners and modes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair,
};
use rcgen::{KeyPair, PublicKeyData, RsaKeySize};
use rustls_pki_types::PrivateKeyDer;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::pem;
use crate::public_key::{KeyKind, PublicKey};

/// The kinds of key that are made here. No Ed25519 (its certificates have no hash for
/// `tls-server-end-point`, so libpq's channel binding fails) and no P-521 (few clients offer it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// ECDSA over NIST P-256, the default.
    #[default]
    EcdsaP256,
    /// ECDSA over NIST P-384.
    EcdsaP384,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
}

impl KeyType {
    /// Every kind, in the order in which it is offered.
    pub const ALL: [Self; 5] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// True for the RSA kinds, whose certificates also carry keyEncipherment.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text named no kind of key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key type \"{}\": choose ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096", .0.escape_default())]
pub struct KeyTypeError(String);

impl FromStr for KeyType {
    type Err = KeyTypeError;

    fn from_str(text: &str) -> Result<Self, KeyTypeError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| KeyTypeError(text.chars().take(40).collect()))
    }
}

/// A private key could not be made or read. No variant holds any of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The cryptographic library refused.
    #[error("a new private key could not be made")]
    NotMade,
    /// Not a key of a kind known here.
    #[error(
        "the private key is of no supported kind (ECDSA P-256, P-384 and P-521, RSA from 2048 bits, Ed25519; PKCS#8, PKCS#1 or SEC1)"
    )]
    Unsupported,
    /// A wrong passphrase, or damage.
    #[error("the private key could not be decrypted: wrong passphrase, or the file is damaged")]
    WrongPassphrase,
    /// Encrypted in a way that is not read here.
    #[error(
        "the private key is encrypted in an unsupported way; \"openssl pkcs8 -topk8 -v2 aes-256-cbc\" writes one that is read"
    )]
    UnsupportedEncryption,
    /// An empty passphrase to encrypt with.
    #[error("an empty passphrase protects nothing")]
    EmptyPassphrase,
}

/// A private key as PKCS#8 in PEM. Wiped when dropped; `Debug` shows its kind only.
pub struct KeyPem {
    pem: Zeroizing<String>,
    der: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPem({})", self.public.kind())
    }
}

impl KeyPem {
    /// Makes a new key from the operating system's randomness.
    pub fn generate(kind: KeyType) -> Result<Self, KeyError> {
        let pair = match kind {
            KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
        };
        let pair = Zeroizing::new(pair.map_err(|_| KeyError::NotMade)?);
        Self::from_der(pair.serialized_der()).map_err(|_| KeyError::NotMade)
    }

    /// Reads an unencrypted key from DER: PKCS#8, PKCS#1 (RSA) or SEC1 (EC).
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = PrivateKeyDer::try_from(der).map_err(|_| KeyError::Unsupported)?;
        let der = match &key {
            PrivateKeyDer::Pkcs8(_) => Zeroizing::new(der.to_vec()),
            PrivateKeyDer::Pkcs1(_) => rsa_to_pkcs8(der)?,
            PrivateKeyDer::Sec1(_) => ec_to_pkcs8(der)?,
            _ => return Err(KeyError::Unsupported),
        };
        let pair = pair_of(&der)?;
        let spki = pair.subject_public_key_info();
        let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| KeyError::Unsupported)?;
        let public = PublicKey::read(&parsed).ok_or(KeyError::Unsupported)?;
        Ok(Self { pem: pem::encode("PRIVATE KEY", &der), der, public })
    }

    /// The PEM text, label `PRIVATE KEY`, with a line feed at its end.
    pub fn as_str(&self) -> &str {
        &self.pem
    }

    /// Under a passphrase, in PEM with the label `ENCRYPTED PRIVATE KEY` (PKCS#8, PBES2 with AES-256).
    pub fn encrypted_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        crate::encryption::close(self, passphrase)
    }

    /// The PKCS#8 DER.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.der
    }

    /// Kind and size.
    pub fn kind(&self) -> &KeyKind {
        self.public.kind()
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// True where this is the key of `certificate`.
    pub fn belongs_to(&self, certificate: &Certificate) -> bool {
        self.public == *certificate.public_key()
    }

    pub(crate) fn pair(&self) -> Result<Zeroizing<KeyPair>, KeyError> {
        pair_of(&self.der)
    }
}

fn rsa(size: RsaKeySize) -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)
}

fn pair_of(pkcs8: &[u8]) -> Result<Zeroizing<KeyPair>, KeyError> {
    KeyPair::try_from(pkcs8).map(Zeroizing::new).map_err(|_| KeyError::Unsupported)
}

fn rsa_to_pkcs8(pkcs1: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let key = aws_lc_rs::rsa::KeyPair::from_der(pkcs1).map_err(|_| KeyError::Unsupported)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| KeyError::Unsupported)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn ec_to_pkcs8(sec1: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let curves =
        [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
    let key = curves
        .into_iter()
        .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, sec1).ok())
        .ok_or(KeyError::Unsupported)?;
    let document = key.to_pkcs8v1().map_err(|_| KeyError::Unsupported)?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

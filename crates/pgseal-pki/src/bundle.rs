//! A file of certificates and perhaps a private key, as people and OpenSSL write them.
//!
//! Knows PEM bundles with junk between the blocks, and recognises what was given instead of one;
//! refuses to know whether the certificates belong together.

use crate::certificate::{Certificate, CertificateError};
use crate::encryption::EncryptedKey;
use crate::key::{KeyError, KeyPem};
use crate::pem::{Block, CutError, Part, parts};

/// The most bytes that are read as one bundle: 4 MiB, some ten times a system's root store.
pub const MAX_BUNDLE: usize = 4 * 1024 * 1024;
/// The most blocks and runs of text in one bundle.
pub const MAX_PARTS: usize = 4096;

/// The object identifier 1.2.840.113549.1.7.2, as DER has it.
const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// What a PEM file holds.
#[derive(Debug, Default)]
pub struct Bundle {
    /// The certificates in the order of the file.
    pub certificates: Vec<Certificate>,
    /// The private key, where there is one.
    pub private_key: Option<PrivateKey>,
    /// What was passed over.
    pub ignored: Vec<Ignored>,
}

/// A private key as found in a file.
#[derive(Debug)]
pub enum PrivateKey {
    /// Unencrypted.
    Plain(KeyPem),
    /// Behind a passphrase.
    Encrypted(EncryptedKey),
}

impl PrivateKey {
    /// Opens the key; the passphrase is asked for only where it is needed.
    pub fn open(self, passphrase: Option<&[u8]>) -> Result<KeyPem, OpenError> {
        match self {
            Self::Plain(key) => Ok(key),
            Self::Encrypted(key) => Ok(key.open(passphrase.ok_or(OpenError::PassphraseNeeded)?)?),
        }
    }
}

/// A private key could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is encrypted, and no passphrase was given.
    #[error("the private key is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// Anything else.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A part of a file that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its first line, from 1.
    pub line: usize,
    /// What it is: a block's label, or how many lines of text.
    pub what: String,
}

/// A bundle could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_BUNDLE`].
    #[error("it has {0} bytes, and at most 4194304 are read as PEM")]
    TooLarge(usize),
    /// More than [`MAX_PARTS`].
    #[error("it has more than 4096 blocks")]
    TooManyParts,
    /// A certificate in DER.
    #[error(
        "it holds a certificate in DER, and PEM is wanted; \"openssl x509 -inform der\" turns it into PEM"
    )]
    CertificateInDer,
    /// A private key in DER.
    #[error(
        "it holds a private key in DER, and PEM is wanted; \"openssl pkey -inform der\" turns it into PEM"
    )]
    KeyInDer,
    /// PKCS#12.
    #[error("it is a PKCS#12 store, and PEM is wanted; \"openssl pkcs12 -nodes -in FILE\" turns it into PEM")]
    Pkcs12,
    /// PKCS#7 in DER, as Windows hands out chains.
    #[error(
        "it is a PKCS#7 message in DER, and PEM is wanted; \"openssl pkcs7 -inform der -print_certs -in FILE\" turns it into PEM"
    )]
    Pkcs7,
    /// Something without a single block.
    #[error("it holds no PEM block (\"-----BEGIN …-----\")")]
    NoBlock,
    /// `BEGIN` without `END`.
    #[error("the block {label} that begins at line {line} does not end")]
    Unterminated {
        /// Line of the `BEGIN`.
        line: usize,
        /// Its label.
        label: String,
    },
    /// A block that is no base64.
    #[error("the block {label} at line {line} holds no valid base64")]
    Base64 {
        /// Line of the `BEGIN`.
        line: usize,
        /// Its label.
        label: String,
    },
    /// A certificate that cannot be read.
    #[error("the certificate at line {line}: {error}")]
    Certificate {
        /// Line of the `BEGIN`.
        line: usize,
        /// Why.
        error: CertificateError,
    },
    /// A private key that cannot be read.
    #[error("the private key at line {line}: {error}")]
    Key {
        /// Line of the `BEGIN`.
        line: usize,
        /// Why.
        error: KeyError,
    },
    /// More than one private key.
    #[error("it holds a second private key at line {line}")]
    SecondKey {
        /// Line of its `BEGIN`.
        line: usize,
    },
}

/// Reads a PEM file: certificates, at most one private key, and notes on the rest.
///
/// Text between the blocks is passed over, as OpenSSL does; so are blocks of other kinds (CRLs,
/// parameters, requests). What is not PEM at all is named: DER, PKCS#12.
pub fn read_bundle(bytes: &[u8]) -> Result<Bundle, BundleError> {
    if bytes.len() > MAX_BUNDLE {
        return Err(BundleError::TooLarge(bytes.len()));
    }
    // Windows editors put a byte order mark in front.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.trim_ascii().is_empty() {
        return Err(BundleError::Empty);
    }
    let parts = parts(text, MAX_PARTS).map_err(|error| match error {
        CutError::TooMany => BundleError::TooManyParts,
        CutError::Unterminated { line, label } => BundleError::Unterminated { line, label },
    })?;
    if !parts.iter().any(|part| matches!(part, Part::Block(_))) {
        return Err(instead_of_pem(bytes));
    }
    let mut bundle = Bundle::default();
    for part in parts {
        match part {
            Part::Block(block) => bundle.take(&block)?,
            Part::Text { line, count } => {
                let what =
                    if count == 1 { "a line of text".to_owned() } else { format!("{count} lines of text") };
                bundle.ignored.push(Ignored { line, what });
            }
        }
    }
    Ok(bundle)
}

impl Bundle {
    fn take(&mut self, block: &Block<'_>) -> Result<(), BundleError> {
        let line = block.line;
        let base64 = || BundleError::Base64 { line, label: block.label.to_owned() };
        match block.label {
            "CERTIFICATE" | "X509 CERTIFICATE" => {
                let der = block.decode().ok_or_else(base64)?;
                let certificate =
                    Certificate::from_der(&der).map_err(|error| BundleError::Certificate { line, error })?;
                self.certificates.push(certificate);
            }
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {
                if self.private_key.is_some() {
                    return Err(BundleError::SecondKey { line });
                }
                let broken = |error| BundleError::Key { line, error };
                if block.has_headers() {
                    return Err(broken(KeyError::UnsupportedEncryption));
                }
                let der = block.decode().ok_or_else(base64)?;
                self.private_key = Some(if block.label == "ENCRYPTED PRIVATE KEY" {
                    PrivateKey::Encrypted(EncryptedKey::from_der(der.to_vec()).map_err(broken)?)
                } else {
                    PrivateKey::Plain(KeyPem::from_der(&der).map_err(broken)?)
                });
            }
            other => self.ignored.push(Ignored { line, what: other.to_owned() }),
        }
        Ok(())
    }
}

/// What somebody gave instead of PEM.
fn instead_of_pem(bytes: &[u8]) -> BundleError {
    if Certificate::from_der(bytes).is_ok() {
        return BundleError::CertificateInDer;
    }
    if KeyPem::from_der(bytes).is_ok() || EncryptedKey::from_der(bytes.to_vec()).is_ok() {
        return BundleError::KeyInDer;
    }
    // PFX ::= SEQUENCE { version INTEGER {v3(3)}, … } (RFC 7292 section 4); stores made in a
    // stream have an indefinite length.
    let starts_with_three = |content: &[u8]| content.starts_with(&[0x02, 0x01, 0x03]);
    let in_der = crate::der::expect(bytes, crate::der::SEQUENCE)
        .is_some_and(|(outer, _)| starts_with_three(outer.content));
    if in_der || bytes.strip_prefix(&[0x30, 0x80]).is_some_and(starts_with_three) {
        return BundleError::Pkcs12;
    }
    // ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, … }, of signedData (RFC 2315 section 14), of
    // indefinite length where it was made in a stream.
    let outer = crate::der::expect(bytes, crate::der::SEQUENCE);
    let in_der = outer.is_some_and(|(outer, _)| outer.content.starts_with(SIGNED_DATA));
    if in_der || bytes.strip_prefix(&[0x30, 0x80]).is_some_and(|content| content.starts_with(SIGNED_DATA)) {
        return BundleError::Pkcs7;
    }
    BundleError::NoBlock
}

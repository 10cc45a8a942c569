#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod authority;
pub mod bundle;
pub mod certificate;
pub mod chain;
pub mod crl;
mod der;
mod dh;
pub mod dn;
pub mod encryption;
pub mod extensions;
pub mod fingerprint;
pub mod key;
pub mod names;
pub mod one_pem;
mod pem;
pub mod permitted;
pub mod pkcs12;
pub mod public_key;
pub mod request;
pub mod san;
pub mod signature;
pub mod strict;
pub mod subject;
pub mod validity;

pub use authority::{
    AuthorityError, AuthorityRequest, CertificateAuthority, ClientRequest, IssuedCertificate, LeafRequest,
    ListRequest,
};
pub use bundle::{Bundle, BundleError, PrivateKey, read_bundle};
pub use certificate::{Certificate, CertificateError};
pub use chain::{
    ChainFault, ChainRefusal, Purpose, VerifiedChain, order_of, verify_chain, verify_chain_with_lists,
};
pub use crl::{RevocationList, RevocationListError, RevocationListFault};
pub use dh::dh_prime_bits;
pub use fingerprint::Fingerprint;
pub use key::{KeyError, KeyPem, KeyType};
pub use names::{LibpqRules, NameRefusal, libpq_matches};
pub use one_pem::{client_with_key_pem, server_with_encrypted_key_pem, server_with_key_pem};
pub use permitted::PermittedNames;
pub use public_key::{KeyKind, PublicKey};
pub use san::{SanError, SubjectAltName};
pub use strict::{StrictRefusal, strict_matches, strict_verify_chain};
pub use subject::{Subject, SubjectError};
pub use validity::{Validity, ValidityError};

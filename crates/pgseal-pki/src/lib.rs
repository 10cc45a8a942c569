//! Keys, certificates and chains for PostgreSQL servers and their clients.
#![warn(missing_docs)]

pub mod certificate;
pub mod chain;
mod der;
pub mod dn;
pub mod extensions;
pub mod fingerprint;
pub mod names;
pub mod pem;
pub mod public_key;
pub mod signature;

pub use certificate::{Certificate, CertificateError};
pub use chain::{ChainFault, ChainRefusal, Purpose, VerifiedChain, verify_chain};
pub use fingerprint::Fingerprint;
pub use names::{LibpqRules, NameRefusal, libpq_matches, strict_matches};

//! TLS as libpq does it, with rustls underneath.
//!
//! Knows what was wished for, what was agreed on, and who the server says it is. The chain and
//! the names are judged by pgseal-pki; this room only decides when to ask.

mod alert;
mod binding;
mod client_certificate;
mod config;
mod facts;
mod failure;
mod handshake;
mod names;
mod negotiated;
mod revocation;
mod roots;
mod signature;
mod verifier;
mod version;
mod wish;

pub use alert::Alert;
pub use binding::{EndPointBinding, NoBinding};
pub use client_certificate::{
    ClientCertificate, ClientCertificateError, ClientFiles, ClientIdentity, InvalidSslCertMode, SslCertMode,
};
pub(crate) use config::{ALPN, PROVIDER};
pub use facts::{ChainVerdict, TlsFacts};
pub use failure::HandshakeFailure;
pub use handshake::Presented;
pub(crate) use handshake::{SecureStream, handshake};
pub use names::{CipherSuite, KeyExchangeGroup};
pub(crate) use negotiated::Negotiated;
pub use revocation::{Lists, Revocation};
pub use roots::{NoRoots, RootFile, Roots, RootsError};
pub(crate) use verifier::{Seen, Verifier};
pub use version::{InvalidTlsVersion, TlsVersion};
pub use wish::{Check, TlsWish, UnspeakableVersions};

//! What a PostgreSQL server says on the wire: TLS negotiation, libpq-true connections.
//!
//! Knows how a conversation begins: `SSLRequest`, the TLS handshake, the startup packet,
//! authentication; and what libpq makes of each answer. Refuses to know `pg_hba.conf`, files of a
//! server, and what is done with an answer: every outcome is a plain value.
//!
//! - [`open`] a [`Channel`] on a [`Route`], in plaintext or with TLS as a [`TlsWish`] has it; look
//!   at [`Channel::tls`], then [`Channel::ask`] what the server would want, without answering, or
//!   [`Channel::login`].
//! - [`connect`] as libpq would for an [`SslMode`], with every [`Attempt`] on record; [`reach`] as
//!   far as one comes without a password.
//!
//! Everything that comes from a server is taken for hostile: lengths are bounded (64 KiB a message
//! and 256 KiB in all before the session stands, 64 MiB a message afterwards), every await ends
//! with the deadline of its route, and no text of a server is repeated without escapes for control
//! characters. After the session stands, deadlines of queries are the caller's.
#![warn(missing_docs)]

mod channel;
mod closing;
mod connect;
mod conversation;
mod deadline;
mod libpq;
pub mod message;
mod negotiate;
mod open_error;
pub mod registry;
mod route;
pub mod scan;
mod session;
mod socket;
mod sslmode;
mod stream;
pub mod tls;
mod wire_error;

#[cfg(unix)]
pub use channel::on_socket;
pub use channel::{AskError, Channel, Encryption, FirstAnswer, InvalidSslNegotiation, SslNegotiation, open};
pub use connect::{
    Attempt, AttemptOutcome, AttemptStep, ConnectError, ConnectOptions, Connected, GssEncMode,
    InvalidGssEncMode, InvalidOptions, InvalidTargetSession, Parameter, Reached, TargetSession, Unsuitable,
    connect, reach, understand,
};
pub use deadline::Step;
pub use libpq::LibpqVersion;
pub use message::{AuthenticationRequest, Replication, ServerError, SqlState, StartupParameters};
pub use open_error::{OpenError, OpenProblem};
pub use route::{DialError, Route};
pub use session::{
    BindingProblem, ChannelBinding, Credentials, InvalidChannelBinding, InvalidRequireAuth, LoginError,
    LoginMethod, RequireAuth, Session,
};
pub use socket::Peer;
pub use sslmode::{InvalidSslMode, SslMode};
pub use tls::{
    Alert, ChainVerdict, Check, CipherSuite, ClientCertificate, ClientCertificateError, ClientFiles,
    ClientIdentity, EndPointBinding, HandshakeFailure, InvalidSslCertMode, InvalidTlsVersion,
    KeyExchangeGroup, Lists, NoBinding, NoRoots, Presented, Revocation, RootFile, Roots, RootsError,
    SslCertMode, TlsFacts, TlsVersion, TlsWish, UnspeakableVersions,
};
pub use wire_error::WireError;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

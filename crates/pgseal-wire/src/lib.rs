//! What a PostgreSQL server says on the wire.
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
mod route;
mod session;
mod socket;
mod sslmode;
mod stream;
pub mod tls;
mod wire_error;

pub use channel::{AskError, Channel, Encryption, FirstAnswer, InvalidSslNegotiation, SslNegotiation, open};
pub use connect::{
    Attempt, AttemptOutcome, AttemptStep, ConnectError, ConnectOptions, Connected, InvalidOptions, Reached,
    connect, reach,
};
pub use deadline::Step;
pub use libpq::LibpqVersion;
pub use message::{AuthenticationRequest, Replication, ServerError, SqlState, StartupParameters};
pub use open_error::{OpenError, OpenProblem};
pub use route::{DialError, Route};
pub use session::{
    BindingProblem, ChannelBinding, Credentials, InvalidChannelBinding, LoginError, LoginMethod, Session,
};
pub use socket::Peer;
pub use sslmode::{InvalidSslMode, SslMode};
pub use tls::{
    Alert, ChainVerdict, Check, CipherSuite, EndPointBinding, HandshakeFailure, InvalidTlsVersion,
    KeyExchangeGroup, NoBinding, Presented, RootFile, Roots, RootsError, TlsFacts, TlsVersion, TlsWish,
    UnspeakableVersions,
};
pub use wire_error::WireError;

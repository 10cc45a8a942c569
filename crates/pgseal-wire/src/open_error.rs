//! Why a connection could not be opened.

use std::fmt;

use crate::message::ServerError;
use crate::route::{DialError, Route};
use crate::socket::Peer;
use crate::tls::{HandshakeFailure, Presented};
use crate::wire_error::WireError;

/// A connection that could not be opened: where, and why.
#[derive(Debug, Clone)]
pub struct OpenError {
    /// The way that was taken.
    pub route: Box<Route>,
    /// The address that took the socket, when it came to that.
    pub peer: Option<Peer>,
    /// What went wrong.
    pub problem: OpenProblem,
}

/// What went wrong with a connection before the startup packet.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenProblem {
    /// No socket.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// TLS is never spoken over a Unix socket.
    #[error("PostgreSQL does not speak TLS over a Unix socket")]
    TlsOnSocket,
    /// GSSAPI encryption was required and is not spoken here; a libpq without Kerberos credentials says the same.
    #[error(
        "GSSAPI encryption required but was impossible (possibly no credential cache, no server support, or using a \
         local socket)"
    )]
    NoGss,
    /// `N`: the server has TLS switched off, or was built without.
    #[error("server does not support SSL, but SSL was required")]
    NoTls,
    /// `S` or `N` and more in the clear.
    #[error("received unencrypted data after SSL response")]
    UnencryptedData,
    /// Another byte.
    #[error("received invalid response to SSL negotiation: {}", std::ascii::escape_default(*.0))]
    StrayAnswer(u8),
    /// An error message instead of the byte. Anyone on the way may have written its text.
    #[error("server sent an error response during SSL exchange")]
    ErrorInstead(Box<ServerError>),
    /// TLS was begun and did not come to be.
    #[error("{failure}")]
    Handshake {
        /// Why.
        failure: Box<HandshakeFailure>,
        /// What was seen of the server.
        presented: Box<Presented>,
    },
    /// The conversation broke off at `SSLRequest`.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl OpenError {
    pub(crate) fn new(route: &Route, peer: Option<Peer>, problem: OpenProblem) -> Self {
        Self { route: Box::new(route.clone()), peer, problem }
    }

    /// Whether it never came to a socket: nobody there, or no such name.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.problem, OpenProblem::Dial(_))
    }

    /// Whether the server answered, and said that it does no TLS.
    pub const fn is_without_tls(&self) -> bool {
        matches!(self.problem, OpenProblem::NoTls)
    }

    /// What the server presented, when it came to a handshake.
    pub fn presented(&self) -> Option<&Presented> {
        match &self.problem {
            OpenProblem::Handshake { presented, .. } => Some(presented),
            _ => None,
        }
    }

    /// Why the handshake failed, when it came to one.
    pub fn handshake(&self) -> Option<&HandshakeFailure> {
        match &self.problem {
            OpenProblem::Handshake { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

/// `localhost:5432 (127.0.0.1): …`.
impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.route)?;
        if let Some(Peer::Tcp(address)) = &self.peer
            && address.ip().to_string() != self.route.host
        {
            write!(f, " ({})", address.ip())?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for OpenError {}

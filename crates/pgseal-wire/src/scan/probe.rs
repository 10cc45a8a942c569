//! One question, one connection; and what came back on it.

use std::time::Duration;

use pgseal_pki::Certificate;

use super::hello::{Heard, Offer, Protocol};
use crate::message::{AuthenticationRequest, ServerError};
use crate::tls::{CipherSuite, KeyExchangeGroup, TlsVersion};

/// What is asked on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A hello, and no more of a handshake.
    Hello {
        /// What it is to tell.
        question: Question,
        /// What is offered.
        offer: Offer,
    },
    /// `GSSENCRequest`, and behind an `N` the question of [`Startup::Version`].
    GssEnc,
    /// A startup packet in the clear.
    Startup(Startup),
    /// A whole handshake after `SSLRequest`, and a startup packet inside.
    Login {
        /// For physical replication instead of the database.
        replication: bool,
    },
    /// TLS from the first byte on, and a startup packet for physical replication inside.
    Direct {
        /// With ALPN `postgresql`, as libpq does it.
        alpn: bool,
    },
    /// Intrusive: a startup packet of [`Startup::Version`] in the same segment as `SSLRequest`; then TLS, and the one of
    /// [`Startup::Database`] inside. Which of them is answered tells what became of the first.
    Stuffed,
    /// Intrusive: bytes that no protocol has.
    Stray,
    /// Intrusive: a second handshake within a session of TLS 1.2, begun by the client.
    Renegotiation,
}

/// What a hello is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// Whether the version is spoken, and with which suites.
    Suites(Protocol),
    /// Which groups, under TLS 1.2 or 1.3.
    Groups(Protocol),
    /// Which schemes sign the key exchange of TLS 1.2.
    Schemes,
    /// Whether a downgraded second try is refused (RFC 7507).
    Fallback,
}

/// What a startup packet in the clear asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Startup {
    /// The database.
    Database,
    /// Physical replication.
    Replication,
    /// Protocol 4.0, which nobody speaks: the refusal tells the server's age.
    Version,
}

impl Probe {
    /// Whether it asks for physical replication, which has places of its own.
    pub const fn is_for_replication(&self) -> bool {
        matches!(
            self,
            Self::Startup(Startup::Replication) | Self::Login { replication: true } | Self::Direct { .. }
        )
    }

    /// Whether the server may have to hold one of `max_connections` for it.
    pub const fn takes_a_slot(&self) -> bool {
        matches!(
            self,
            Self::Startup(Startup::Database | Startup::Replication) | Self::Login { .. } | Self::Stuffed
        )
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub enum Answer {
    /// No socket: the system's words, and whether a port answered that nobody listens.
    NoSocket {
        /// Why.
        text: String,
        /// Connection refused.
        refused: bool,
    },
    /// To a hello.
    Hello {
        /// What was said to `SSLRequest`.
        ssl: SslReply,
        /// The flight.
        heard: Box<Heard>,
        /// How it ended.
        end: End,
    },
    /// To `GSSENCRequest`, and to the startup packet behind it where there was one.
    GssEnc(SslReply, Option<Outcome>),
    /// To a startup packet.
    Startup(Outcome),
    /// To a handshake with a startup packet inside.
    Login(SslReply, Result<Box<Seen>, Failed>),
    /// To TLS without `SSLRequest`.
    Direct(Result<Box<Seen>, Failed>),
    /// To a startup packet in clear before the handshake: what the server said under TLS, or why there was none.
    Stuffed(SslReply, Result<Outcome, Failed>),
    /// To stray bytes.
    Stray(StrayReply),
    /// To a hello inside a session: what was said to `SSLRequest`, and what became of the hello.
    Renegotiation(SslReply, Renegotiation),
}

impl Answer {
    /// Whether the time was over before it came.
    pub(super) fn is_late(&self) -> bool {
        let late = |reply: &SslReply| matches!(reply, SslReply::Late(_));
        match self {
            Self::Hello { ssl, end, .. } => late(ssl) || matches!(end, End::Late(_)),
            Self::GssEnc(reply, _) => late(reply),
            Self::Login(reply, result) => late(reply) || result.as_ref().is_err_and(|failed| failed.late),
            Self::Startup(Outcome::Odd { late, .. }) => *late,
            _ => false,
        }
    }
}

/// The answer to `SSLRequest` or `GSSENCRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SslReply {
    /// `S`, or `G`.
    Yes,
    /// `N`.
    No,
    /// An error instead of the byte.
    Error(Box<ServerError>),
    /// `S` or `N` with more behind it in the clear: the beginning of it all.
    Stuffed(Vec<u8>),
    /// The beginning of something else.
    Other(Vec<u8>),
    /// Closed or reset without a byte.
    Closed(String),
    /// No answer within that time.
    Late(Duration),
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By us, when all was heard.
    Heard,
    /// The server closed.
    Closed,
    /// The system reported an error.
    Broken(String),
    /// It took longer than that.
    Late(Duration),
    /// It never came to a hello.
    NotBegun,
}

/// What decides about a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server goes on to authenticate; with `Ok` it lets in without.
    Asked(AuthenticationRequest),
    /// An error.
    Refused(Box<ServerError>),
    /// Neither.
    Odd {
        /// What happened instead.
        why: String,
        /// Whether it just took too long.
        late: bool,
    },
}

/// What a whole handshake showed.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The version agreed on.
    pub version: TlsVersion,
    /// The suite agreed on.
    pub suite: CipherSuite,
    /// The group agreed on.
    pub group: Option<KeyExchangeGroup>,
    /// What was chosen by ALPN.
    pub alpn: Option<String>,
    /// The chain as served; None where a session was resumed.
    pub chain: Option<Vec<Certificate>>,
    /// Whether a client certificate was asked for, and the names of the authorities that were named, in DER.
    pub certificate_request: Option<Vec<Vec<u8>>>,
    /// Whether an OCSP response was stapled.
    pub ocsp: bool,
    /// Session tickets that the server sent until it had answered.
    pub tickets: u32,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// What the server said to the startup packet inside.
    pub outcome: Outcome,
}

/// A handshake that came to nothing.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Why.
    pub why: String,
    /// The server's alert, where it sent one.
    pub alert: Option<crate::tls::Alert>,
    /// Whether the server speaks TLS, and only what rustls does not.
    pub beyond_us: bool,
    /// Whether it just took too long.
    pub late: bool,
    /// Whether anything came back that is TLS.
    pub speaks_tls: bool,
}

impl Outcome {
    pub(super) fn odd(why: String) -> Self {
        Self::Odd { why, late: false }
    }

    /// What happened, where neither an authentication request nor an error came.
    pub fn oddity(&self) -> Option<&str> {
        match self {
            Self::Odd { why, .. } => Some(why),
            _ => None,
        }
    }
}

impl Failed {
    /// For a reason that says nothing of the server's TLS.
    pub(super) fn because(why: String) -> Self {
        Self { why, alert: None, beyond_us: false, late: false, speaks_tls: false }
    }
}

/// What became of a startup packet that was stuffed behind `SSLRequest`, in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuffing {
    /// It was taken for what the client said under TLS (CVE-2021-23214): what the server answered.
    Taken(String),
    /// It was refused inside TLS, as 12.9 to 16 do after the fix.
    Refused(String),
    /// It ended the connection, as from 17 on.
    HungUp(String),
    /// It was passed over: what was said under TLS was answered.
    Ignored,
    /// It could not be told.
    Unknown(String),
}

/// What became of a hello inside a session of TLS 1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renegotiation {
    /// The server entered the handshake: it answered with a `ServerHello`.
    Entered,
    /// It refused with the alert that there is for it, `no_renegotiation` (RFC 5246, 7.2.2).
    Refused,
    /// It could not be told.
    Unknown(String),
}

/// What became of stray bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrayReply {
    /// The server hung up.
    HungUp,
    /// It said something.
    Said(Vec<u8>),
    /// It held the connection open for that long.
    Held(Duration),
    /// It could not be told.
    Unknown(String),
}

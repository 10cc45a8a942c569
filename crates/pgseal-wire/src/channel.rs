//! A connection to a server that has not been asked for anything yet.

use std::fmt;
use std::str::FromStr;

use crate::closing;
use crate::conversation::Conversation;
use crate::deadline::{Deadline, Step};
use crate::message::{
    AuthenticationRequest, BackendMessage, ProtocolVersion, ServerError, StartupError, StartupParameters,
};
use crate::negotiate::{self, Answer};
use crate::open_error::{OpenError, OpenProblem};
use crate::route::Route;
use crate::session::{self, Credentials, Demands, LoginError, Manners, Session};
use crate::socket::{Peer, Socket};
use crate::stream::Stream;
use crate::tls::{self, TlsFacts, TlsWish};
use crate::wire_error::WireError;

/// How TLS begins (libpq's `sslnegotiation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum SslNegotiation {
    /// `SSLRequest` first; every version of PostgreSQL.
    #[default]
    Postgres,
    /// With the `ClientHello` at once, and ALPN; PostgreSQL 17 and later.
    Direct,
}

impl SslNegotiation {
    /// The word as libpq spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Direct => "direct",
        }
    }
}

impl fmt::Display for SslNegotiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is neither. Its text is libpq's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid sslnegotiation value: \"{}\"", .0.escape_debug())]
pub struct InvalidSslNegotiation(pub String);

impl FromStr for SslNegotiation {
    type Err = InvalidSslNegotiation;

    /// Case-sensitive, as libpq reads it.
    fn from_str(word: &str) -> Result<Self, InvalidSslNegotiation> {
        [Self::Postgres, Self::Direct]
            .into_iter()
            .find(|negotiation| negotiation.as_str() == word)
            .ok_or_else(|| InvalidSslNegotiation(word.to_owned()))
    }
}

/// What a connection is to be wrapped in.
#[derive(Debug, Clone)]
pub enum Encryption {
    /// Nothing.
    Plaintext,
    /// TLS or no connection.
    Tls {
        /// What is wished of it.
        wish: Box<TlsWish>,
        /// How it begins.
        negotiation: SslNegotiation,
    },
}

impl Encryption {
    /// TLS that begins with `SSLRequest`.
    pub fn tls(wish: TlsWish) -> Self {
        Self::Tls { wish: Box::new(wish), negotiation: SslNegotiation::Postgres }
    }

    /// TLS that begins in this way.
    pub fn tls_by(negotiation: SslNegotiation, wish: TlsWish) -> Self {
        Self::Tls { wish: Box::new(wish), negotiation }
    }

    /// TLS from the first byte on.
    pub fn direct_tls(wish: TlsWish) -> Self {
        Self::Tls { wish: Box::new(wish), negotiation: SslNegotiation::Direct }
    }
}

/// An open connection on which no startup packet has been sent.
///
/// Dropping it closes the socket at once, which PostgreSQL may log; [`Channel::close`] is polite.
pub struct Channel {
    stream: Stream,
    peer: Peer,
    tls: Option<Box<TlsFacts>>,
    deadline: Deadline,
}

/// Opens a connection. The deadline of `route` covers this and everything done with the channel
/// until it is closed or logged in.
pub async fn open(route: &Route, encryption: Encryption) -> Result<Channel, OpenError> {
    let deadline = Deadline::after(route.deadline);
    let fail = |peer: Option<Peer>| move |problem: OpenProblem| OpenError::new(route, peer, problem);
    let dialed = route.dial(deadline).await;
    let (socket, peer) = dialed.map_err(|error| fail(None)(error.into()))?;
    let fail = fail(Some(peer.clone()));
    match encryption {
        Encryption::Plaintext => Ok(Channel::plain(socket, peer, deadline)),
        Encryption::Tls { .. } if matches!(peer, Peer::Unix(_)) => Err(fail(OpenProblem::TlsOnSocket)),
        Encryption::Tls { wish, negotiation } => {
            let offered = Offer { socket, peer, deadline };
            match offered.tls(&wish, negotiation).await {
                Ok(Ok(channel)) => Ok(channel),
                Ok(Err(_)) => Err(fail(OpenProblem::NoTls)),
                Err(problem) => Err(fail(problem)),
            }
        }
    }
}

/// A plaintext channel on a Unix socket that somebody else opened, as the server's own user, say: peer
/// authentication looks at who called connect(2) (auth.c, auth_peer). `path` names it in messages, and
/// `limit` covers everything until the session stands.
#[cfg(unix)]
pub fn on_socket(
    socket: std::os::unix::net::UnixStream,
    path: std::path::PathBuf,
    limit: std::time::Duration,
) -> std::io::Result<Channel> {
    socket.set_nonblocking(true)?;
    let socket = Socket::Unix(tokio::net::UnixStream::from_std(socket)?);
    Ok(Channel::plain(socket, Peer::Unix(path), Deadline::after(limit)))
}

/// A socket that TLS is about to be asked for on.
pub(crate) struct Offer {
    pub(crate) socket: Socket,
    pub(crate) peer: Peer,
    pub(crate) deadline: Deadline,
}

impl Offer {
    /// A channel with TLS; or, where the server says N, the same socket without it.
    pub(crate) async fn tls(
        self,
        wish: &TlsWish,
        negotiation: SslNegotiation,
    ) -> Result<Result<Channel, Channel>, OpenProblem> {
        let Self { mut socket, peer, deadline } = self;
        let direct = negotiation == SslNegotiation::Direct;
        if !direct {
            match negotiate::ssl(&mut socket, deadline).await? {
                Answer::Yes => {}
                Answer::No => return Ok(Err(Channel::plain(socket, peer, deadline))),
            }
        }
        match tls::handshake(socket, wish, direct, deadline).await {
            Ok((stream, facts)) => Ok(Ok(Channel {
                stream: Stream::Tls(Box::new(stream)),
                peer,
                tls: Some(Box::new(facts)),
                deadline,
            })),
            Err((failure, presented)) => {
                Err(OpenProblem::Handshake { failure: Box::new(failure), presented: Box::new(presented) })
            }
        }
    }
}

impl Channel {
    pub(crate) fn plain(socket: Socket, peer: Peer, deadline: Deadline) -> Self {
        Self { stream: Stream::Plain(socket), peer, tls: None, deadline }
    }

    /// The address that took the connection.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What the handshake showed; None in plaintext.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_deref()
    }

    /// Sends a startup packet, reads up to the first message that decides, answers nothing, and
    /// closes politely. No password leaves this machine, and no log line is caused beyond the
    /// server's own refusal.
    pub async fn ask(self, who: &StartupParameters) -> Result<FirstAnswer, AskError> {
        let packet = who.encode(ProtocolVersion::V3_0)?;
        let mut conversation = Conversation::new(self.stream, self.deadline);
        let answer = first_answer(&mut conversation, &packet).await;
        conversation.close().await;
        Ok(answer?)
    }

    /// Logs in, and leaves the deadline of the route behind once the session stands.
    ///
    /// Two things differ from libpq: a password is never sent in clear, whatever the server asks
    /// for; and under [`ChannelBinding::Prefer`](crate::ChannelBinding::Prefer) a certificate that
    /// cannot be bound to (Ed25519) is logged in to without binding, where libpq fails.
    /// [`connect`](crate::connect) does both as libpq does.
    pub async fn login(self, who: &Credentials) -> Result<Session, LoginError> {
        session::login(self, who, Manners::Careful, &Demands::default()).await
    }

    /// Ends it so that the server has nothing to log.
    pub async fn close(self) {
        closing::politely(self.stream, self.deadline).await;
    }

    pub(crate) fn into_parts(self) -> (Stream, Peer, Option<Box<TlsFacts>>, Deadline) {
        (self.stream, self.peer, self.tls, self.deadline)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls.is_some() { "TLS" } else { "plaintext" };
        write!(f, "Channel({}, {tls})", self.peer)
    }
}

/// The first message that decides about a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstAnswer {
    /// The server refuses: `pg_hba.conf`, too many connections, starting up …
    Refused(ServerError),
    /// The server goes on to authenticate (with `Ok`: it lets in without).
    Asked(AuthenticationRequest),
}

/// A startup packet that got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It could not be made.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// The conversation broke off.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Sends the packet and waits for what decides.
pub(crate) async fn first_answer(
    conversation: &mut Conversation,
    packet: &[u8],
) -> Result<FirstAnswer, WireError> {
    let step = Step::Startup;
    conversation.send(step, packet).await?;
    match conversation.answer(step).await? {
        BackendMessage::Error(error) => Ok(FirstAnswer::Refused(error)),
        BackendMessage::Authentication(request) => Ok(FirstAnswer::Asked(request)),
        other => Err(WireError::OutOfPlace { step, tag: other.tag() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_held_across_an_await_may_move_to_another_thread() {
        fn movable<T: Send + 'static>() {}
        fn future_is_movable<F: Future + Send>(_: impl FnOnce() -> F) {}
        movable::<Channel>();
        movable::<Session>();
        movable::<OpenError>();
        movable::<LoginError>();
        future_is_movable(|| async {
            let route = Route::new("localhost", 1);
            let channel = open(&route, Encryption::Plaintext).await?;
            let _ = channel.login(&Credentials::new("a", "b")).await;
            Ok::<(), OpenError>(())
        });
    }

    #[test]
    fn words_that_are_none_are_refused_in_the_words_of_libpq() {
        assert_eq!("direct".parse(), Ok(SslNegotiation::Direct));
        let said = "requiredirect".parse::<SslNegotiation>().unwrap_err().to_string();
        assert_eq!(said, "invalid sslnegotiation value: \"requiredirect\"");
        let said = "Require".parse::<crate::ChannelBinding>().unwrap_err().to_string();
        assert_eq!(said, "invalid channel_binding value: \"Require\"");
    }
}

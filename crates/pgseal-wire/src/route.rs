//! Where a server is, and how a socket to it is opened.
//!
//! Knows names, addresses and socket directories. Refuses to know what is spoken there.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::deadline::{Deadline, Step};
use crate::socket::{Peer, Socket};
use crate::wire_error::{WireError, system_text};

/// More addresses of one name than this are not tried.
const MAX_ADDRESSES: usize = 32;

/// A way to one server (libpq's `host`, `hostaddr`, `port`, `connect_timeout`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// A host name, an IP address, or the absolute path of a directory with Unix sockets.
    /// It is this that is verified and sent as SNI, never `hostaddr`. May be empty when
    /// `hostaddr` is given; then no name can be verified.
    pub host: String,
    /// The address to go to instead of looking `host` up.
    pub hostaddr: Option<IpAddr>,
    /// The port, also part of a Unix socket's file name.
    pub port: u16,
    /// For the whole attempt: lookup, connection, handshake, login. A day at most.
    pub deadline: Duration,
}

impl Route {
    /// What an attempt is given when nobody says otherwise.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

    /// A way to `host` with [`Self::DEFAULT_DEADLINE`].
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), hostaddr: None, port, deadline: Self::DEFAULT_DEADLINE }
    }

    /// The Unix socket's path, `DIR/.s.PGSQL.PORT`, when `host` is an absolute path.
    /// `hostaddr` wins, as in libpq.
    pub fn socket_path(&self) -> Option<PathBuf> {
        (self.hostaddr.is_none() && self.host.starts_with('/'))
            .then(|| PathBuf::from(&self.host).join(format!(".s.PGSQL.{}", self.port)))
    }

    /// The same way, to just this address of it.
    #[must_use]
    pub fn pinned_to(&self, peer: &Peer) -> Self {
        let hostaddr = match peer {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix(_) => self.hostaddr,
        };
        Self { hostaddr, ..self.clone() }
    }

    /// What libpq writes before an error of a connection (`emitHostIdentityInfo`,
    /// fe-connect.c): `connection to server at "localhost" (127.0.0.1), port 5432 failed: `.
    pub fn libpq_prefix(&self, peer: Option<&Peer>) -> String {
        if let Some(path) = self.socket_path() {
            return format!("connection to server on socket \"{}\" failed: ", path.display());
        }
        let port = self.port;
        // Whoever gives an address is told that address, whatever the host is called.
        let shown = self.hostaddr.map_or_else(|| self.host.clone(), |address| address.to_string());
        match peer {
            Some(Peer::Tcp(address)) if address.ip().to_string() != shown => {
                let address = address.ip();
                format!("connection to server at \"{shown}\" ({address}), port {port} failed: ")
            }
            _ => format!("connection to server at \"{shown}\", port {port} failed: "),
        }
    }

    /// All places this way may lead to, in the resolver's order.
    pub(crate) async fn peers(&self, deadline: Deadline) -> Result<Vec<Peer>, DialError> {
        if let Some(path) = self.socket_path() {
            return Ok(vec![Peer::Unix(path)]);
        }
        if let Some(address) = self.hostaddr.or_else(|| self.host.parse().ok()) {
            return Ok(vec![Peer::Tcp(SocketAddr::new(address, self.port))]);
        }
        let lookup = tokio::net::lookup_host((self.host.as_str(), self.port));
        let found = deadline.wait(Step::Resolve, lookup).await?;
        let found = found
            .map_err(|error| DialError::Lookup { host: self.host.clone(), text: system_text(&error) })?;
        let mut peers = Vec::new();
        for address in found.take(MAX_ADDRESSES) {
            let peer = Peer::Tcp(address);
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        if peers.is_empty() {
            return Err(DialError::NoAddress { host: self.host.clone() });
        }
        Ok(peers)
    }

    /// Opens a socket to the first place that takes one.
    pub(crate) async fn dial(&self, deadline: Deadline) -> Result<(Socket, Peer), DialError> {
        dial_in_turn(self.peers(deadline).await?, deadline).await
    }
}

/// Tries each place in turn; each gets its share of the time that is left.
async fn dial_in_turn(peers: Vec<Peer>, deadline: Deadline) -> Result<(Socket, Peer), DialError> {
    let mut refusals = Vec::new();
    let count = peers.len();
    for (nth, peer) in peers.into_iter().enumerate() {
        match dial_one(&peer, deadline.share(count - nth)).await {
            Ok(socket) => return Ok((socket, peer)),
            Err(error) => refusals.push((peer, error)),
        }
    }
    Err(DialError::Refused(refusals))
}

/// `localhost:5432`, `[::1]:5432`, or the path of the socket.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.socket_path() {
            return write!(f, "{}", path.display());
        }
        match self.hostaddr {
            Some(address) if self.host.is_empty() => {
                write!(f, "{}", SocketAddr::new(address, self.port))
            }
            _ if self.host.contains(':') => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

pub(crate) async fn dial_one(peer: &Peer, deadline: Deadline) -> Result<Socket, WireError> {
    match peer {
        Peer::Tcp(address) => {
            let stream = deadline.io(Step::Dial, TcpStream::connect(address)).await?;
            // Small packets back and forth: waiting for more to send only costs time.
            let _ = stream.set_nodelay(true);
            Ok(Socket::Tcp(stream))
        }
        #[cfg(unix)]
        Peer::Unix(path) => {
            let stream = deadline.io(Step::Dial, tokio::net::UnixStream::connect(path)).await?;
            Ok(Socket::Unix(stream))
        }
        #[cfg(not(unix))]
        Peer::Unix(_) => Err(WireError::of_io(Step::Dial, &io::ErrorKind::Unsupported.into())),
    }
}

/// No socket could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The name could not be looked up.
    #[error("could not translate host name \"{}\" to address: {text}", .host.escape_debug())]
    Lookup {
        /// The name.
        host: String,
        /// The resolver's words.
        text: String,
    },
    /// The name exists and has no address.
    #[error("host name \"{}\" has no address", .host.escape_debug())]
    NoAddress {
        /// The name.
        host: String,
    },
    /// No address took a connection. One entry an address, in the order of trying.
    #[error("{}", refusals(.0))]
    Refused(Vec<(Peer, WireError)>),
    /// The lookup was late.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl DialError {
    /// Whether a port answered that nobody listens there.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(all) if all.iter().any(|(_, error)| matches!(
            error,
            WireError::Io { kind: io::ErrorKind::ConnectionRefused, .. }
        )))
    }
}

fn refusals(all: &[(Peer, WireError)]) -> String {
    let each: Vec<_> = all
        .iter()
        .map(|(peer, error)| match error {
            WireError::Io { text, .. } => format!("{peer}: {text}"),
            other => format!("{peer}: {other}"),
        })
        .collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const SOON: Duration = Duration::from_millis(900);

    async fn listening() -> (TcpListener, Peer) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let peer = Peer::Tcp(listener.local_addr().unwrap());
        (listener, peer)
    }

    fn nobody() -> Peer {
        Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let (_listener, peer) = listening().await;
        let peers = vec![nobody(), Peer::Unix("/no/such/socket".into()), peer.clone()];
        let (_, reached) = dial_in_turn(peers, Deadline::after(SOON)).await.unwrap();
        assert_eq!(reached, peer);
    }

    #[tokio::test]
    async fn all_refusals_are_told_in_the_order_of_trying() {
        let peers = vec![nobody(), Peer::Unix("/no/such/socket".into())];
        let error = dial_in_turn(peers, Deadline::after(SOON)).await.unwrap_err();
        assert!(error.is_refused());
        assert_eq!(
            error.to_string(),
            "127.0.0.1:1: Connection refused; /no/such/socket: No such file or directory"
        );
    }

    #[tokio::test]
    async fn no_address_takes_the_time_of_those_after_it() {
        let deadline = Deadline::after(SOON);
        assert!(deadline.share(3).left() <= SOON / 3);
        assert!(deadline.share(1).left() <= SOON);
        // A late address is late by its share, and says so by the whole.
        let late = deadline.share(3).wait(Step::Dial, std::future::pending::<()>()).await;
        assert_eq!(late.unwrap_err().to_string(), "no answer to the connection attempt within 0.9 s");
        assert!(deadline.left() > SOON / 3);
    }

    #[test]
    fn a_route_shows_as_it_is_written() {
        let route = |host: &str| Route::new(host, 5432);
        assert_eq!(route("localhost").to_string(), "localhost:5432");
        assert_eq!(route("::1").to_string(), "[::1]:5432");
        assert_eq!(route("/run/postgresql").to_string(), "/run/postgresql/.s.PGSQL.5432");
        let by_address = Route { hostaddr: "::1".parse().ok(), ..route("") };
        assert_eq!(by_address.to_string(), "[::1]:5432");
        let address_wins = Route { hostaddr: "10.0.0.1".parse().ok(), ..route("/run") };
        assert_eq!(address_wins.socket_path(), None);
    }

    #[test]
    fn libpq_says_where_in_its_own_way() {
        let at = |text: &str| Peer::Tcp(SocketAddr::new(text.parse().unwrap(), 5432));
        let route = Route::new("db", 5432);
        let named = route.libpq_prefix(Some(&at("10.0.0.1")));
        assert_eq!(named, "connection to server at \"db\" (10.0.0.1), port 5432 failed: ");
        let pinned = route.pinned_to(&at("10.0.0.2")).libpq_prefix(Some(&at("10.0.0.2")));
        assert_eq!(pinned, "connection to server at \"10.0.0.2\", port 5432 failed: ");
        let socket = Route::new("/tmp", 5432).libpq_prefix(None);
        assert_eq!(socket, "connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: ");
    }
}

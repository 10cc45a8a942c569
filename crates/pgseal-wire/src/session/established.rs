//! A session that stands.

use std::fmt;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::handover::Handover;
use super::login_error::LoginError;
use crate::deadline::{Deadline, Step};
use crate::message::ServerError;
use crate::socket::Peer;
use crate::tls::TlsFacts;

/// How long a session that nobody holds any more may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// How the server let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    /// It asked for nothing: `trust`, `peer`, `cert` or the like.
    NotAsked,
    /// With the password as it is.
    Cleartext,
    /// With an MD5 response.
    Md5,
    /// With SCRAM, not bound to the channel.
    ScramSha256,
    /// With SCRAM bound to the TLS channel: nobody is in the middle.
    ScramSha256Plus,
}

impl fmt::Display for LoginMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "no password asked",
            Self::Cleartext => "password in clear",
            Self::Md5 => "MD5",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        })
    }
}

/// A session for SQL. It ends when dropped, within two seconds and in the background;
/// [`Session::close`] waits for that.
pub struct Session {
    client: Client,
    /// Dropped with the session: the background task sees that.
    held: oneshot::Sender<()>,
    task: JoinHandle<()>,
    parameters: Vec<(String, String)>,
    notices: Vec<ServerError>,
    peer: Peer,
    tls: Option<Box<TlsFacts>>,
    method: LoginMethod,
}

impl Session {
    pub(super) async fn begin(
        stream: Handover,
        deadline: Deadline,
        parameters: Vec<(String, String)>,
        notices: Vec<ServerError>,
        peer: Peer,
        tls: Option<Box<TlsFacts>>,
        method: LoginMethod,
    ) -> Result<Self, LoginError> {
        let mut config = tokio_postgres::Config::new();
        // Not sent anywhere: the login is done. Without one tokio-postgres asks the system.
        config.user("-").ssl_mode(tokio_postgres::config::SslMode::Disable);
        let connecting = config.connect_raw(stream, NoTls);
        let connected = deadline.wait(Step::SessionStart, connecting).await?;
        let (client, connection) = connected.map_err(|error| LoginError::Handover(chain(&error)))?;
        let (held, dropped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let abandoned = async {
                let _ = dropped.await;
                tokio::time::sleep(FAREWELL).await;
            };
            tokio::select! {
                _ = connection => {}
                () = abandoned => {}
            }
        });
        Ok(Self { client, held, task, parameters, notices, peer, tls, method })
    }

    /// For queries. Its cancel tokens do not work: the session is not of its own making.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// For transactions.
    pub const fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// What the handshake showed; None in plaintext.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_deref()
    }

    /// The address that took the connection.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// How the server let us in.
    pub const fn method(&self) -> LoginMethod {
        self.method
    }

    /// Whether SCRAM was bound to the TLS channel.
    pub fn channel_bound(&self) -> bool {
        self.method == LoginMethod::ScramSha256Plus
    }

    /// A setting that the server reported at the login, such as `server_version`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the server remarked at the login, such as a password about to expire.
    pub fn notices(&self) -> &[ServerError] {
        &self.notices
    }

    /// Says goodbye, and waits for it to be done: two seconds at most.
    pub async fn close(self) {
        let Self { client, held, task, .. } = self;
        drop(client);
        drop(held);
        let _ = task.await;
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls.is_some() { "TLS" } else { "plaintext" };
        write!(f, "Session({}, {tls}, {})", self.peer, self.method)
    }
}

/// An error of tokio-postgres with its cause, which it does not print itself.
fn chain(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

//! A server of our own that does to a client whatever a script says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pgseal_wire::Route;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One thing that the server does.
#[derive(Clone)]
pub(crate) enum Act {
    /// Reads the eight bytes of `SSLRequest`.
    TakeSslRequest,
    /// Reads a packet with a length in front: the startup packet.
    TakeStartup,
    /// Reads a message with a type byte.
    TakeMessage,
    /// Reads a TLS record: the `ClientHello`.
    TakeRecord,
    /// Says this.
    Say(Vec<u8>),
    /// Says this, one byte at a time with a pause between.
    Trickle(Vec<u8>, Duration),
    /// Says this again and again until nobody listens.
    Forever(Vec<u8>),
    /// Says nothing more, and keeps the connection open.
    Silence,
    /// Aborts the connection.
    Reset,
    /// Does the server's part of TLS; what follows is said inside.
    Tls(Arc<ServerConfig>),
}

/// A listening server with a script, the same for every connection.
pub(crate) struct Malice {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Malice {
    pub(crate) async fn that(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(play(stream, script.clone()));
            }
        });
        Self { address, task }
    }

    /// The way to it, with this many milliseconds for the whole attempt.
    pub(crate) fn route(&self, milliseconds: u64) -> Route {
        let deadline = Duration::from_millis(milliseconds);
        Route { deadline, ..Route::new("127.0.0.1", self.address.port()) }
    }
}

impl Drop for Malice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut stream: TcpStream, script: Vec<Act>) {
    for (nth, act) in script.iter().enumerate() {
        match act {
            Act::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Act::Tls(config) => {
                let acceptor = TlsAcceptor::from(Arc::clone(config));
                if let Ok(mut inside) = acceptor.accept(stream).await {
                    for act in &script[nth + 1..] {
                        if perform(&mut inside, act).await.is_err() {
                            return;
                        }
                    }
                    let _ = inside.shutdown().await;
                }
                return;
            }
            other => {
                if perform(&mut stream, other).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn perform(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), act: &Act) -> std::io::Result<()> {
    match act {
        Act::TakeSslRequest => take(stream, 8).await,
        Act::TakeStartup => {
            let length = stream.read_u32().await?;
            take(stream, length - 4).await
        }
        Act::TakeMessage => {
            stream.read_u8().await?;
            let length = stream.read_u32().await?;
            take(stream, length - 4).await
        }
        Act::TakeRecord => {
            take(stream, 3).await?;
            let length = stream.read_u16().await?;
            take(stream, u32::from(length)).await
        }
        Act::Say(bytes) => {
            stream.write_all(bytes).await?;
            stream.flush().await
        }
        Act::Trickle(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                tokio::time::sleep(*pause).await;
            }
            Ok(())
        }
        Act::Forever(bytes) => loop {
            stream.write_all(bytes).await?;
            stream.flush().await?;
        },
        Act::Silence => {
            let mut scrap = [0; 256];
            while stream.read(&mut scrap).await? > 0 {}
            Ok(())
        }
        Act::Reset | Act::Tls(_) => Ok(()),
    }
}

async fn take(stream: &mut (impl AsyncRead + Unpin), length: u32) -> std::io::Result<()> {
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok(())
}

/// A message of PostgreSQL.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

pub(crate) fn say(tag: u8, body: &[u8]) -> Act {
    Act::Say(message(tag, body))
}

pub(crate) const AUTHENTICATION_OK: &[u8] = &[0, 0, 0, 0];

/// `E` or `N` with the fields that matter.
pub(crate) fn error_body(severity: &str, code: &str, text: &str) -> Vec<u8> {
    format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0").into_bytes()
}

/// A request for SASL with these mechanisms.
pub(crate) fn sasl(mechanisms: &str) -> Vec<u8> {
    [&[0, 0, 0, 10][..], mechanisms.as_bytes(), b"\0\0"].concat()
}

/// The server's next words in a SASL exchange.
pub(crate) fn sasl_continue(text: &str) -> Vec<u8> {
    [&[0, 0, 0, 11][..], text.as_bytes()].concat()
}

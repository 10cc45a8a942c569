//! A client that comes from a chosen address, says who it is, hears the server's first word, and goes. It never logs in.
//! Knows the start of the protocol, not what an answer means.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

use super::forge::Forged;

/// Longer than any answer takes.
const SILENCE: Duration = Duration::from_secs(20);
/// The length and the code of `SSLRequest`, and the version of the protocol (libpq/pqcomm.h).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const PROTOCOL: [u8; 4] = [0, 3, 0, 0];

/// A server's first word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// `AuthenticationOk`.
    Ok,
    /// Another `Authentication…`, by its number; 3 is a password in clear, 5 MD5, 7 GSS, 10 SASL.
    Asks(u32),
    /// An error.
    Refuses {
        /// Five letters and digits.
        sqlstate: String,
        /// The message.
        message: String,
    },
}

impl Said {
    /// Whether it is an error of that SQLSTATE whose message starts so.
    pub(crate) fn refuses_with(&self, code: &str, start: &str) -> bool {
        matches!(self, Self::Refuses { sqlstate, message } if sqlstate == code && message.starts_with(start))
    }

    /// Whether `pg_hba.conf` refused: a reject line, or no line at all.
    pub(crate) fn refused_by_hba(&self) -> bool {
        self.refuses_with("28000", "pg_hba.conf rejects ")
            || self.refuses_with("28000", "no pg_hba.conf entry for ")
    }
}

/// Who comes.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Where from; `None`: through the socket.
    pub(crate) from: Option<IpAddr>,
    pub(crate) tls: bool,
    pub(crate) user: Vec<u8>,
    /// `None`: physical replication.
    pub(crate) database: Option<Vec<u8>>,
}

/// The door of one server.
pub(crate) struct Door {
    port: u16,
    socket: std::path::PathBuf,
    tls: Arc<ClientConfig>,
    runtime: Runtime,
}

impl Door {
    /// The server on that port of 127.0.0.1 and ::1, with a socket in that directory. Its certificate is for
    /// `localhost` and signed by `authority` (PEM).
    pub(crate) fn of(port: u16, socket_dir: &Path, authority: &str) -> Self {
        Self::with(port, socket_dir, authority, None)
    }

    /// The same, for guests who show a certificate.
    pub(crate) fn with(port: u16, socket_dir: &Path, authority: &str, client: Option<&Forged>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
            let certificate = certificate.expect("an authority's certificate is PEM");
            roots.add(certificate).expect("an authority's certificate can be trusted");
        }
        let tls = ClientConfig::builder().with_root_certificates(roots);
        let tls = match client {
            None => tls.with_no_client_auth(),
            Some(client) => {
                let chain = CertificateDer::pem_slice_iter(client.certificate.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().expect("a forged certificate is PEM");
                let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).expect("a forged key is PEM");
                tls.with_client_auth_cert(chain, key).expect("a forged pair belongs together")
            }
        };
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
        Self { port, socket: socket_dir.join(format!(".s.PGSQL.{port}")), tls: Arc::new(tls), runtime }
    }

    /// Knocks, and tells the answer; an error where the address cannot be come from, or no answer was heard.
    pub(crate) fn knock(&self, guest: &Guest) -> io::Result<Said> {
        let Some(from) = guest.from else {
            let stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(SILENCE))?;
            return ask(stream, guest);
        };
        let mut stream = self.connect(from)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        if !guest.tls {
            return ask(stream, guest);
        }
        stream.write_all(&SSL_REQUEST)?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        if answer != *b"S" {
            return Err(io::Error::other(format!(
                "the server answered {:?} to SSLRequest",
                answer.escape_ascii().to_string()
            )));
        }
        let name = ServerName::try_from("localhost").expect("localhost is a name");
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        ask(StreamOwned::new(tls, stream), guest)
    }

    fn connect(&self, from: IpAddr) -> io::Result<TcpStream> {
        let connecting = async {
            let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // The same port may be taken again while an earlier connection from it lingers.
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::new(from, 0))?;
            let to: IpAddr =
                if from.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            tokio::time::timeout(SILENCE, socket.connect(SocketAddr::new(to, self.port))).await?
        };
        let stream = self.runtime.block_on(connecting)?.into_std()?;
        stream.set_nonblocking(false)?;
        let own = stream.local_addr()?.ip();
        if own != from {
            return Err(io::Error::other(format!("a connection from {from} came from {own}")));
        }
        Ok(stream)
    }
}

/// The startup packet, and the answer to it.
fn ask(mut stream: impl Read + Write, guest: &Guest) -> io::Result<Said> {
    let mut packet = [&PROTOCOL, b"user\0".as_slice(), &guest.user, b"\0"].concat();
    match &guest.database {
        Some(name) => packet.extend([b"database\0", name.as_slice(), b"\0"].concat()),
        None => packet.extend(b"replication\0true\0"),
    }
    packet.push(0);
    let length = u32::try_from(packet.len() + 4).expect("a packet is short");
    stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat())?;
    stream.flush()?;
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let [tag, length @ ..] = head;
        let length = u32::from_be_bytes(length).checked_sub(4).filter(|length| *length < 65_536);
        let mut body = vec![0; length.ok_or_else(|| io::Error::other("a message of no length"))? as usize];
        stream.read_exact(&mut body)?;
        match tag {
            b'R' => {
                let number = body.first_chunk().ok_or_else(|| io::Error::other("an empty request"))?;
                let number = u32::from_be_bytes(*number);
                return Ok(if number == 0 { Said::Ok } else { Said::Asks(number) });
            }
            b'E' => return Ok(refusal(&body)),
            // Notices, and the word about versions.
            b'N' | b'v' => {}
            other => return Err(io::Error::other(format!("a message {:?}", char::from(other)))),
        }
    }
}

fn refusal(body: &[u8]) -> Said {
    let field = |wanted: u8| {
        let fields = body.split(|byte| *byte == 0);
        let found = fields.filter_map(<[u8]>::split_first).find(|(name, _)| **name == wanted);
        found.map_or_else(String::new, |(_, text)| String::from_utf8_lossy(text).into_owned())
    };
    Said::Refuses { sqlstate: field(b'C'), message: field(b'M') }
}

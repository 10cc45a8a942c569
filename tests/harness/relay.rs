//! Somebody in the middle: speaks TLS to the server, whatever it can get away with to the client, and notes what the
//! client asks. Knows the tricks of such a one, not whom they work on.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned,
};

use super::forge::Forged;
use super::impostor::{SSL_REQUEST, asks_cleartext, message as framed, tls};
use super::stand_in::StandIn;

/// How long either side may be silent.
const SILENCE: Duration = Duration::from_secs(3);
/// `AuthenticationOk` and `ReadyForQuery`.
const WELCOME: [u8; 15] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];

/// How the client is dealt with.
#[derive(Clone)]
pub(crate) enum Trick {
    /// Its request for TLS is answered with N; SCRAM-SHA-256-PLUS is taken off the server's offer.
    Decline,
    /// TLS ends at the relay, with this certificate; SCRAM-SHA-256-PLUS is taken off the server's offer.
    Present(Arc<Forged>),
    /// The same, and the password is asked for in clear; the server is not needed any more.
    AskInClear(Arc<Forged>),
}

/// A relay on a free port of 127.0.0.1. Dropped, it is gone.
pub(crate) struct Relay {
    heard: Arc<Mutex<Vec<u8>>>,
    listening: StandIn,
}

impl Relay {
    /// Between clients and the server on that port.
    pub(crate) fn to(server: u16, trick: Trick) -> Self {
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let notes = Arc::clone(&heard);
        let listening = StandIn::serving(move |stream| {
            // Whoever hangs up ends it.
            pass(stream, server, &trick, &notes).ok();
        });
        Self { heard, listening }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listening.port()
    }

    /// Whether a client said this, after its login.
    pub(crate) fn read(mut self, text: &str) -> bool {
        self.listening.close();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// One connection to its end.
fn pass(mut client: TcpStream, server: u16, trick: &Trick, heard: &Mutex<Vec<u8>>) -> io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    let mut first = [0; 8];
    client.read_exact(&mut first)?;
    if first != SSL_REQUEST {
        return converse(&mut Plain { begun: first.to_vec(), socket: client }, server, trick, heard);
    }
    match trick {
        Trick::Decline => {
            client.write_all(b"N")?;
            converse(&mut Plain { begun: Vec::new(), socket: client }, server, trick, heard)
        }
        Trick::Present(certificate) | Trick::AskInClear(certificate) => {
            client.write_all(b"S")?;
            let mut config: ServerConfig = tls(certificate);
            config.alpn_protocols = vec![b"postgresql".to_vec()];
            let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, client);
            stream.conn.complete_io(&mut stream.sock)?;
            converse(&mut stream, server, trick, heard)
        }
    }
}

/// A plaintext client, some bytes of which have been read.
struct Plain {
    begun: Vec<u8>,
    socket: TcpStream,
}

impl Read for Plain {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.begun.is_empty() {
            return self.socket.read(into);
        }
        let count = self.begun.len().min(into.len());
        for (place, byte) in into.iter_mut().zip(self.begun.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// The login as the trick has it, message by message, and one statement.
fn converse(
    client: &mut (impl Read + Write),
    server: u16,
    trick: &Trick,
    heard: &Mutex<Vec<u8>>,
) -> io::Result<()> {
    let startup = packet(client, 0)?;
    if let Trick::AskInClear(_) = trick {
        client.write_all(&asks_cleartext())?;
        client.flush()?;
        let (tag, _password) = message(client)?;
        if tag == b'p' {
            client.write_all(&WELCOME)?;
            client.flush()?;
            note(heard, &message(client)?.1);
        }
        return Ok(());
    }
    let mut upstream = upstream(server)?;
    upstream.write_all(&startup)?;
    upstream.flush()?;
    loop {
        // The server's turn ends where it waits for the client.
        loop {
            let (tag, body) = message(&mut upstream)?;
            let body = if tag == b'R' { without_plus(&body) } else { body };
            client.write_all(&framed(tag, &body))?;
            client.flush()?;
            let waits = match tag {
                b'Z' => true,
                b'R' => body.get(..4).is_some_and(|code| !matches!(code, [0, 0, 0, 0 | 12])),
                _ => false,
            };
            if waits {
                break;
            }
        }
        let (tag, body) = message(client)?;
        if tag != b'p' {
            note(heard, &body);
        }
        upstream.write_all(&framed(tag, &body))?;
        upstream.flush()?;
    }
}

fn note(heard: &Mutex<Vec<u8>>, bytes: &[u8]) {
    heard.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
}

/// The server's offer without the mechanism that binds.
fn without_plus(body: &[u8]) -> Vec<u8> {
    let Some((code, list)) = body.split_at_checked(4).filter(|(code, _)| *code == [0, 0, 0, 10]) else {
        return body.to_vec();
    };
    let kept =
        list.split(|byte| *byte == 0).filter(|name| !name.is_empty() && *name != b"SCRAM-SHA-256-PLUS");
    let mut rewritten = code.to_vec();
    for name in kept {
        rewritten.extend(name);
        rewritten.push(0);
    }
    rewritten.push(0);
    rewritten
}

/// TLS to the server, whoever that is.
fn upstream(port: u16) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(SILENCE))?;
    socket.write_all(&SSL_REQUEST)?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    if answer != *b"S" {
        return Err(io::Error::other("the server speaks no TLS"));
    }
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, socket))
}

/// A message with its tag: the tag, and the body without its length.
fn message(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut tag = [0];
    from.read_exact(&mut tag)?;
    Ok((tag[0], packet(from, 4)?.split_off(4)))
}

/// A length that counts itself and what follows; the whole of it. `least`: bytes that are there at least.
fn packet(from: &mut impl Read, least: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let whole = u32::from_be_bytes(length) as usize;
    if !(4.max(least)..1 << 20).contains(&whole) {
        return Err(io::Error::other("a packet of an odd length"));
    }
    let mut packet = length.to_vec();
    packet.resize(whole, 0);
    from.read_exact(&mut packet[4..])?;
    Ok(packet)
}

/// Takes every certificate: it is somebody else's trouble.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
        ]
    }
}

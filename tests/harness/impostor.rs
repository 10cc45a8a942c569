//! Something that speaks like a PostgreSQL server, with any certificate, says one thing to everybody, and notes every byte
//! that it is given. It lets nobody in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::forge::Forged;
use super::stand_in::StandIn;

/// Longer than anybody is silent who is not waiting for an answer.
const SILENCE: Duration = Duration::from_secs(5);
/// The length and the code of `SSLRequest` (libpq/pqcomm.h: `NEGOTIATE_SSL_CODE`).
pub(super) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// It asks for the password in clear.
pub(crate) fn asks_cleartext() -> Vec<u8> {
    message(b'R', &[0, 0, 0, 3])
}

/// It asks for an MD5 response.
pub(crate) fn asks_md5() -> Vec<u8> {
    message(b'R', b"\0\0\0\x05salt")
}

/// It offers SCRAM, bound to the channel and not.
pub(crate) fn asks_scram() -> Vec<u8> {
    message(b'R', b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
}

/// It refuses, with that SQLSTATE and that text.
pub(crate) fn refuses(sqlstate: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{sqlstate}\0M{text}\0\0").as_bytes())
}

/// A message as it goes over the wire: tag, length, body.
pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a message is short");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// What came in over one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Whether TLS was agreed on.
    pub(crate) tls: bool,
    /// The startup packet, without its length.
    pub(crate) startup: Vec<u8>,
    /// All that came after our words.
    pub(crate) answer: Vec<u8>,
}

impl Heard {
    /// Whether it was answered with anything but a goodbye.
    pub(crate) fn was_answered(&self) -> bool {
        !self.answer.is_empty() && self.answer != b"X\0\0\0\x04"
    }
}

/// The listener. Dropped, it is gone.
pub(crate) struct Impostor {
    heard: Arc<Mutex<Vec<Heard>>>,
    listening: StandIn,
}

impl Impostor {
    /// Listens on a free port of 127.0.0.1, with that certificate; to every startup packet it says `words`.
    pub(crate) fn saying(words: Vec<u8>, certificate: &Forged) -> Self {
        let config = Arc::new(tls(certificate));
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let notes = Arc::clone(&heard);
        let listening = StandIn::serving(move |stream| {
            let heard = listen(stream, Arc::clone(&config), &words);
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        });
        Self { heard, listening }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listening.port()
    }

    /// All connections, once their ends have come; nobody is listened to any more.
    pub(crate) fn heard(mut self) -> Vec<Heard> {
        self.listening.close();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a server with that certificate and key speaks TLS.
pub(crate) fn tls(certificate: &Forged) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a forged certificate is PEM");
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("a forged key is PEM");
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a forged pair belongs together")
}

/// One connection to its end.
fn listen(mut stream: TcpStream, config: Arc<ServerConfig>, words: &[u8]) -> Heard {
    let mut heard = Heard::default();
    stream.set_read_timeout(Some(SILENCE)).expect("a socket takes a timeout");
    let mut first = [0; 8];
    if stream.read_exact(&mut first).is_err() {
        return heard;
    }
    if first != SSL_REQUEST {
        let mut from = (&first[..]).chain(stream.try_clone().expect("a socket can be shared"));
        converse(&mut from, |bytes| stream.write_all(bytes), words, &mut heard);
        return heard;
    }
    let connection = ServerConnection::new(config).expect("a connection can be begun");
    if stream.write_all(b"S").is_err() {
        return heard;
    }
    let mut tls = StreamOwned::new(connection, stream);
    if tls.conn.complete_io(&mut tls.sock).is_err() {
        return heard;
    }
    heard.tls = true;
    let shared = std::cell::RefCell::new(tls);
    let say = |bytes: &[u8]| {
        let mut tls = shared.borrow_mut();
        tls.write_all(bytes).and_then(|()| tls.flush())
    };
    converse(&mut Shared(&shared), say, words, &mut heard);
    heard
}

/// A stream that is read here and written elsewhere.
struct Shared<'s, S>(&'s std::cell::RefCell<S>);

impl<S: Read> Read for Shared<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().read(into)
    }
}

fn converse(
    from: &mut impl Read,
    mut say: impl FnMut(&[u8]) -> std::io::Result<()>,
    words: &[u8],
    heard: &mut Heard,
) {
    let Some(startup) = packet(from) else { return };
    heard.startup = startup;
    if say(words).is_err() {
        return;
    }
    let mut tag = [0];
    if from.read_exact(&mut tag).is_ok() {
        heard.answer.extend(tag);
        if let Some(body) = packet(from) {
            let length = u32::try_from(body.len() + 4).expect("a packet is short");
            heard.answer.extend(length.to_be_bytes());
            heard.answer.extend(body);
        }
        // Whatever it was, it was wrong.
        say(&refuses("28P01", "no")).ok();
        from.read_to_end(&mut heard.answer).ok();
    }
}

/// A startup packet: a length that counts itself, and the rest.
fn packet(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let rest =
        usize::try_from(u32::from_be_bytes(length)).ok()?.checked_sub(4).filter(|rest| *rest < 10_000)?;
    let mut packet = vec![0; rest];
    from.read_exact(&mut packet).ok()?;
    Some(packet)
}

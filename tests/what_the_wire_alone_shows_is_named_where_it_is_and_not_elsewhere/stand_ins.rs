//! Those that answer in the place of a server as none of today does: by versions, suites and features that every library has
//! given up, by TLS that ends before PostgreSQL, by another protocol. Know a flight of TLS 1.2 and older, and no keys.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::{Forge, StandIn, asks_scram, refuses, tls};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const SILENCE: Duration = Duration::from_secs(30);
/// Alerts (RFC 5246, 7.2; RFC 7507).
const HANDSHAKE_FAILURE: u8 = 40;
const INAPPROPRIATE_FALLBACK: u8 = 86;
const FALLBACK_SCSV: [u8; 2] = [0x56, 0x00];

/// How it answers hellos.
pub(super) struct OfAnotherAge {
    /// As they stand in a hello, the newest first.
    versions: [[u8; 2]; 2],
    /// In its order of preference.
    suites: &'static [[u8; 2]],
    compression: u8,
    extensions: &'static [u8],
    /// Whether it knows of second tries.
    minds_fallback: bool,
    /// Behind its certificate.
    behind: &'static [u8],
}

impl OfAnotherAge {
    /// SSL 3.0, RC4, an export suite, DEFLATE, no word on renegotiation, and something in its chain that is no certificate.
    pub(super) const ILL: Self = Self {
        versions: [[3, 3], [3, 0]],
        suites: &[[0x00, 0x05], [0x00, 0x03]],
        compression: 1,
        extensions: &[],
        minds_fallback: false,
        behind: &[0x30, 3, 1, 1, 0],
    };
    /// The same without any of that.
    pub(super) const WELL: Self = Self {
        versions: [[3, 3], [3, 2]],
        suites: &[[0x00, 0x2f]],
        compression: 0,
        // renegotiation_info and extended_master_secret.
        extensions: &[0xff, 0x01, 0, 1, 0, 0, 0x17, 0, 0],
        minds_fallback: true,
        behind: &[],
    };

    /// To a hello: a flight as far as its end, or an alert.
    fn answer(&self, hello: &[u8], leaf: &[u8]) -> Option<Vec<u8>> {
        let version: [u8; 2] = hello.get(4..6)?.try_into().ok()?;
        // The session's name, then the length of the list, then the list.
        let list = 39 + usize::from(*hello.get(38)?);
        let length = u16::from_be_bytes(hello.get(list..list + 2)?.try_into().ok()?);
        let offered = hello.get(list + 2..list + 2 + usize::from(length))?;
        let offers = |suite: &[u8; 2]| offered.chunks(2).any(|code| code == suite);
        if self.minds_fallback && offers(&FALLBACK_SCSV) && version != self.versions[0] {
            return Some(record(21, version, &[2, INAPPROPRIATE_FALLBACK]));
        }
        let suite = self.suites.iter().find(|suite| offers(suite));
        let Some(suite) = suite.filter(|_| self.versions.contains(&version)) else {
            return Some(record(21, version, &[2, HANDSHAKE_FAILURE]));
        };
        let mut words = [&version[..], &[9; 32], &[0], suite, &[self.compression]].concat();
        if !self.extensions.is_empty() {
            words.extend(u16::try_from(self.extensions.len()).ok()?.to_be_bytes());
            words.extend(self.extensions);
        }
        let chain = [leaf, self.behind].into_iter().filter(|each| !each.is_empty()).map(sized);
        let flight =
            [message(2, &words), message(11, &sized(&chain.collect::<Vec<_>>().concat())), message(14, &[])];
        Some(record(22, version, &flight.concat()))
    }
}

/// With three bytes of length before it.
fn sized(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("it is short").to_be_bytes();
    [&length[1..], content].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &sized(body)].concat()
}

fn record(kind: u8, version: [u8; 2], content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("it is short").to_be_bytes();
    [&[kind][..], &version, &length, content].concat()
}

/// Agrees to TLS and answers each hello; who comes without is refused as PostgreSQL refuses.
pub(super) fn of_another_age(how: &'static OfAnotherAge) -> StandIn {
    let leaf = Forge::new("the stand-in's").leaf(&["127.0.0.1"]).certificate;
    let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).expect("a forged certificate is PEM");
    StandIn::serving(move |guest| {
        // A guest that goes away has heard enough.
        converse(guest, |hello| how.answer(hello, &leaf)).ok();
    })
}

fn converse(mut guest: TcpStream, answer: impl Fn(&[u8]) -> Option<Vec<u8>>) -> io::Result<()> {
    guest.set_read_timeout(Some(SILENCE))?;
    let mut first = [0; 8];
    guest.read_exact(&mut first)?;
    if first != SSL_REQUEST {
        return if first[0] == 22 { Ok(()) } else { guest.write_all(&refused()) };
    }
    guest.write_all(b"S")?;
    let mut head = [0; 5];
    guest.read_exact(&mut head)?;
    if head[0] != 22 {
        return Ok(());
    }
    let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    guest.read_exact(&mut hello)?;
    guest.write_all(&answer(&hello).ok_or(ErrorKind::InvalidData)?)?;
    guest.read_to_end(&mut Vec::new()).map(drop)
}

fn refused() -> Vec<u8> {
    refuses("28000", "no pg_hba.conf entry for host \"127.0.0.1\", no encryption")
}

/// Ends TLS before PostgreSQL, also where it begins with the first byte; with or without asking for ALPN there.
pub(super) fn ends_tls(asks_alpn: bool) -> StandIn {
    let mut config = tls(&Forge::new("the stand-in's").leaf(&["127.0.0.1"]));
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let config = Arc::new(config);
    StandIn::serving(move |guest| {
        end(guest, Arc::clone(&config), asks_alpn).ok();
    })
}

fn end(mut guest: TcpStream, config: Arc<ServerConfig>, asks_alpn: bool) -> io::Result<()> {
    guest.set_read_timeout(Some(SILENCE))?;
    let mut first = [0];
    guest.peek(&mut first)?;
    let direct = first[0] == 22;
    if !direct {
        let mut request = [0; 8];
        guest.read_exact(&mut request)?;
        if request != SSL_REQUEST {
            return guest.write_all(&refused());
        }
        guest.write_all(b"S")?;
    }
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut inside = StreamOwned::new(connection, guest);
    inside.conn.complete_io(&mut inside.sock)?;
    if direct && asks_alpn && inside.conn.alpn_protocol().is_none() {
        return Ok(());
    }
    let mut startup = [0; 4096];
    let _ = inside.read(&mut startup)?;
    inside.write_all(&asks_scram())?;
    inside.flush()?;
    inside.read_to_end(&mut Vec::new()).map(drop)
}

/// A web server.
pub(super) fn elsewhere() -> StandIn {
    StandIn::serving(|mut guest| {
        let words = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        guest.read_exact(&mut [0; 8]).and_then(|()| guest.write_all(words)).ok();
    })
}

//! Whatever answers a scan, it ends by its deadlines, in bounded memory, prints nothing that a terminal obeys, and leaves
//! the rest of the fleet alone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Pgseal, Ran, Sandbox, Schema, StandIn, TlsServer, record, refuses};

const PROMISE: &str = "a hostile server cannot hold a scan or make it grow";
/// Writes to the clipboard, clears the screen, turns text around, forges a line.
const HOSTILE: &[u8] = b"\x1b]52;c;ZXZpbA==\x07\xc2\x9b2J\xe2\x80\xae\r\n  grade A\xff\x00";
/// Far more than any target has a right to; in KiB of data.
const MEMORY: u32 = 256 << 10;

/// What is done with one connection.
type Deed = fn(&mut TcpStream) -> io::Result<()>;

const DEEDS: [(&str, Deed); 30] = [
    ("hangs up at once", |_| Ok(())),
    ("says nothing", |guest| guest.read_to_end(&mut Vec::new()).map(drop)),
    ("writes on the terminal", |guest| first(guest, HOSTILE)),
    ("speaks HTTP", |guest| first(guest, b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[2J\r\n\r\n")),
    ("repeats what it hears", |guest| {
        let mut chunk = [0; 512];
        loop {
            let count = guest.read(&mut chunk)?;
            guest.write_all(
                chunk.get(..count).filter(|heard| !heard.is_empty()).ok_or(ErrorKind::UnexpectedEof)?,
            )?;
        }
    }),
    ("answers with nothing but N", |guest| without_end(guest, &[b'N'; 4096])),
    ("answers with nothing but S", |guest| without_end(guest, &[b'S'; 4096])),
    ("hangs up behind S", |guest| first(guest, b"S")),
    ("sends a megabyte behind S at once", |guest| first(guest, &[&b"S"[..], &[b'x'; 1 << 20]].concat())),
    ("sends an error before S", |guest| first(guest, &error())),
    ("begins an error that never ends", |guest| {
        first(guest, b"E\x7f\xff\xff\xff")?;
        without_end(guest, &[b'A'; 4096])
    }),
    ("sends an error of 10 MB", |guest| {
        first(guest, &[&b"E"[..], &(10_u32 << 20).to_be_bytes(), &vec![b'M'; 10 << 20]].concat())
    }),
    ("refuses every hello", |guest| hello(guest, &tls(21, &[2, 40]))),
    ("warns without end", |guest| endless(guest, &tls(21, &[1, 90]).repeat(500))),
    ("sends noise for TLS without end", |guest| endless(guest, HOSTILE)),
    ("sends records of one byte without end", |guest| endless(guest, &tls(22, &[2]).repeat(500))),
    ("sends empty records without end", |guest| endless(guest, &tls(22, &[]).repeat(500))),
    ("asks for hellos without end", |guest| endless(guest, &tls(22, &[0, 0, 0, 0]).repeat(500))),
    ("drips a byte now and then", |guest| {
        hello(guest, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")?;
        loop {
            thread::sleep(Duration::from_millis(50));
            guest.write_all(b"\x00")?;
        }
    }),
    ("lies about a length, each time another", |guest| {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        const LENGTHS: [usize; 8] = [3, 4, 6, 7, 8, 43, 47, 48];
        let mut record = tls(22, &server_hello(0xc02b, &[0, 23, 0, 0]));
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        record[LENGTHS[turn % LENGTHS.len()]] ^= if turn.is_multiple_of(2) { 0xff } else { 0x01 };
        hello(guest, &record)
    }),
    ("picks what was not offered", |guest| hello(guest, &tls(22, &server_hello(0x1399, &[])))),
    ("picks whatever is offered first", |guest| {
        let offer = offer(guest)?;
        // The session's name, then the length of the list, then the list.
        let list = 44 + usize::from(offer.get(43).copied().unwrap_or(0));
        let pick = offer.get(list + 2..list + 4).ok_or(ErrorKind::InvalidData)?;
        guest.write_all(&tls(22, &server_hello(u16::from_be_bytes([pick[0], pick[1]]), &[])))
    }),
    ("asks for another group each time", |guest| {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let [.., high, low] = TURN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, high, low];
        hello(guest, &tls(22, &server_hello(0x1301, &extensions)))
    }),
    ("has a certificate of 10 MB", |guest| {
        hello(guest, &tls(22, &server_hello(0xc02b, &[])))?;
        guest.write_all(&tls(22, &[11, 0xa0, 0, 3, 0xa0, 0, 0, 0x9f, 0xff, 0xfd]))?;
        without_end(guest, &tls(22, &[0x30; 16_000]))
    }),
    ("has a chain of five thousand", |guest| {
        hello(guest, &tls(22, &server_hello(0xc02b, &[])))?;
        let chain = [&[0, 0, 14][..], HOSTILE.get(..14).unwrap_or_default()].concat().repeat(5_000);
        let length = |plus: usize| u32::try_from(chain.len() + plus).unwrap_or(0).to_be_bytes();
        let message = [&[11][..], &length(3)[1..], &length(0)[1..], &chain].concat();
        message.chunks(16_000).try_for_each(|part| guest.write_all(&tls(22, part)))?;
        guest.write_all(&tls(22, &[14, 0, 0, 0]))
    }),
    ("notices without end", |guest| {
        plain(guest, |guest| without_end(guest, &message(b'N', &[HOSTILE, b"\0"].concat())))
    }),
    ("sets settings without end", |guest| {
        plain(guest, |guest| without_end(guest, &message(b'S', b"a\0b\0").repeat(500)))
    }),
    ("asks for what nobody knows", |guest| {
        plain(guest, |guest| guest.write_all(&message(b'R', &[0, 0, 0, 99])))
    }),
    ("offers mechanisms without number", |guest| {
        plain(guest, |guest| {
            let names = [b"\x1b[2J\0".repeat(50_000), vec![0]].concat();
            guest.write_all(&message(b'R', &[&[0, 0, 0, 10][..], &names].concat()))
        })
    }),
    ("refuses in words that write on the terminal", |guest| plain(guest, |guest| guest.write_all(&error()))),
];

#[test]
fn every_one_of_them_is_told_and_the_fleet_goes_on() {
    let sandbox = Sandbox::new();
    let all: Vec<StandIn> = DEEDS.iter().map(|(_, deed)| hostile_that(*deed)).collect();
    let honest = TlsServer::of(15);
    let targets: Vec<String> = all
        .iter()
        .map(StandIn::port)
        .chain([honest.port()])
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let scan = |words: &[&str]| -> Ran {
        let ran = Pgseal::new(&sandbox)
            .arg("scan")
            .args(targets.clone())
            .args(["--jobs", "64", "--timeout", "3s", "--target-timeout", "10s", "--fail-on", "never"])
            .args(words.iter().copied())
            .through(format!("ulimit -d {MEMORY}; exec \"$@\""))
            .limit(Duration::from_secs(120))
            .run();
        ran.harmless();
        ran.succeeded()
    };
    let whole = scan(&["--format", "json", "--intrusive"]).json();
    Schema::of("scan").admits(&whole);
    let rows = whole["targets"].as_array().unwrap();
    assert_eq!(rows.len(), DEEDS.len() + 1);
    for (row, (name, _)) in rows.iter().zip(DEEDS) {
        assert!(row["connections"].as_u64().unwrap() <= 400, "{name}: {row:#}");
        assert_ne!(row["grade"], "A", "{name}: {row:#}");
        let told = row["reason"].is_string()
            || row["tls"]["offered"].is_boolean()
            || row["tls"]["reason"].is_string();
        assert!(told, "{name}: {row:#}");
        record(PROMISE, 1);
    }
    let honest = &rows[DEEDS.len()];
    assert_eq!(
        (&honest["speaks"], &honest["tls"]["offered"]),
        (&Value::from("postgresql"), &Value::Bool(true))
    );
    assert_eq!(honest["authentication"]["plaintext"]["let_in"], true, "{honest:#}");

    let human = scan(&["--verbose", "--quick"]);
    assert!(human.stdout().contains("ZXZpbA=="), "it is shown, not dropped:\n{human}");
    assert!(!human.stdout().lines().any(|line| line.starts_with("  grade A")), "{human}");
}

/// Does one thing to everybody, on a port of its own.
fn hostile_that(deed: Deed) -> StandIn {
    StandIn::serving(move |mut guest| {
        let limit = Some(Duration::from_secs(20));
        // A guest that goes away is what is wanted.
        guest.set_read_timeout(limit).and_then(|()| guest.set_write_timeout(limit)).ok();
        deed(&mut guest).ok();
    })
}

/// The first packet, whatever it is, and then that.
fn first(guest: &mut TcpStream, words: &[u8]) -> io::Result<()> {
    guest.read_exact(&mut [0; 8])?;
    guest.write_all(words)
}

fn without_end(guest: &mut TcpStream, words: &[u8]) -> io::Result<()> {
    loop {
        guest.write_all(words)?;
    }
}

/// Agrees to TLS, and hears the hello. Whoever asks for anything else is refused as PostgreSQL does it.
fn offer(guest: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut packet = [0; 8];
    guest.read_exact(&mut packet)?;
    if packet != [0, 0, 0, 8, 4, 210, 22, 47] {
        guest.write_all(&error())?;
        return Err(ErrorKind::InvalidData.into());
    }
    guest.write_all(b"S")?;
    let mut heard = vec![0; 4096];
    let count = guest.read(&mut heard)?;
    heard.truncate(count);
    Ok(heard)
}

fn hello(guest: &mut TcpStream, words: &[u8]) -> io::Result<()> {
    offer(guest)?;
    guest.write_all(words)
}

fn endless(guest: &mut TcpStream, words: &[u8]) -> io::Result<()> {
    offer(guest)?;
    without_end(guest, words)
}

/// No TLS, and to a startup packet that.
fn plain(guest: &mut TcpStream, deed: impl FnOnce(&mut TcpStream) -> io::Result<()>) -> io::Result<()> {
    let mut packet = [0; 8];
    guest.read_exact(&mut packet)?;
    while packet[..7] == [0, 0, 0, 8, 4, 210, 22] {
        guest.write_all(b"N")?;
        guest.read_exact(&mut packet)?;
    }
    deed(guest)
}

/// A record of TLS 1.2.
fn tls(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3][..], &length, content].concat()
}

/// A `ServerHello` that asks for another try where it has extensions of TLS 1.3.
fn server_hello(suite: u16, extensions: &[u8]) -> Vec<u8> {
    const RETRY: &[u8; 32] = b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\
        \xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";
    let mut body = [&[3, 3][..], if extensions.len() > 4 { RETRY } else { &[9; 32] }, &[0]].concat();
    body.extend(suite.to_be_bytes());
    body.push(0);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[2][..], &length[1..], &body].concat()
}

/// A message of PostgreSQL.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

fn error() -> Vec<u8> {
    refuses("28000", "\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}2J\u{202e}\r\n  grade A")
}

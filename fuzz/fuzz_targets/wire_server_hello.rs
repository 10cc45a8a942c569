//! A `ServerHello` is read as RFC 5246 and 8446 lay it out, and refused where it is anything else: held against a second
//! reading that knows the layout and nothing more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_fuzz::tls::{in_records, message};
use pgseal_wire::scan::hello::{Fault, Flight};

// The first byte says how long records are.
fuzz_target!(|input: (u8, &[u8])| {
    let (size, body) = input;
    // More than a message may have is another refusal.
    if body.len() > 60_000 {
        return;
    }
    let mut flight = Flight::default();
    flight.push(&in_records(&message(2, body), size));
    let heard = flight.into_heard();
    match laid_out(body) {
        Some(second) => {
            let hello = heard.server_hello.expect("it is laid out as it should be");
            let first = (hello.version, hello.suite, hello.compression, hello.session_id, hello.group);
            assert_eq!(
                first,
                (second.version, second.suite, second.compression, second.session_id, second.group)
            );
            assert_eq!(hello.alpn.as_deref(), second.alpn);
            let there = |kind: u16| second.kinds.contains(&kind);
            assert_eq!(
                (hello.extended_master_secret, hello.encrypt_then_mac, hello.session_ticket, hello.ocsp),
                (there(23), there(22), there(35), there(5))
            );
            assert_eq!(hello.secure_renegotiation, there(0xff01));
            assert_eq!(heard.fault, None);
            assert_eq!(heard.done, hello.version >= 0x0304);
        }
        None => assert_eq!((heard.server_hello, heard.fault), (None, Some(Fault::Malformed("ServerHello")))),
    }
});

struct Second<'b> {
    version: u16,
    suite: u16,
    compression: u8,
    session_id: bool,
    group: Option<u16>,
    alpn: Option<&'b [u8]>,
    kinds: Vec<u16>,
}

fn number(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

fn laid_out(body: &[u8]) -> Option<Second<'_>> {
    let id = usize::from(*body.get(34)?);
    if id > 32 {
        return None;
    }
    let rest = body.get(35 + id..)?;
    let mut second = Second {
        version: number(body)?,
        suite: number(rest)?,
        compression: *rest.get(2)?,
        session_id: id > 0,
        group: None,
        alpn: None,
        kinds: Vec::new(),
    };
    let mut rest = rest.get(3..)?;
    if rest.is_empty() {
        return Some(second);
    }
    if usize::from(number(rest)?) + 2 != rest.len() {
        return None;
    }
    rest = &rest[2..];
    while !rest.is_empty() {
        let (kind, length) = (number(rest)?, usize::from(number(rest.get(2..)?)?));
        let content = rest.get(4..4 + length)?;
        rest = &rest[4 + length..];
        second.kinds.push(kind);
        match kind {
            16 => {
                let list = content.get(2..2 + usize::from(number(content)?))?;
                second.alpn = Some(list.get(1..1 + usize::from(*list.first()?))?);
            }
            43 => second.version = number(content)?,
            51 => second.group = Some(number(content)?),
            _ => {}
        }
    }
    Some(second)
}

//! However the network cuts a server's first flight of TLS, the same is heard; nothing is kept that was not sent, and what
//! has come to its end changes no more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_wire::scan::hello::{Fault, Flight, Heard};

/// As many certificates as OpenSSL builds a chain of.
const MOST_CERTIFICATES: usize = 101;
/// Names of authorities that are kept.
const MOST_AUTHORITIES: usize = 64;

// The first two bytes say how the rest is cut.
fuzz_target!(|input: (u8, u8, &[u8])| {
    let (even, odd, stream) = input;
    let whole = hear(stream, &[stream.len().max(1)]);
    hold(stream, &whole);
    let whole = blurred(whole);
    assert_eq!(whole, blurred(hear(stream, &[1])), "byte by byte");
    let sizes = [usize::from(even).max(1), usize::from(odd).max(1)];
    assert_eq!(whole, blurred(hear(stream, &sizes)), "in pieces");
});

fn hear(stream: &[u8], sizes: &[usize]) -> Heard {
    let mut flight = Flight::default();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        let (piece, later) = rest.split_at((*size).min(rest.len()));
        let over = flight.heard().is_over().then(|| flight.heard().clone());
        flight.push(piece);
        assert!(over.is_none_or(|before| before == *flight.heard()), "what was over changed");
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    flight.into_heard()
}

fn hold(stream: &[u8], heard: &Heard) {
    let certificates = heard.certificates.as_deref().unwrap_or_default();
    assert!(certificates.len() <= MOST_CERTIFICATES);
    assert!(certificates.iter().map(Vec::len).sum::<usize>() <= stream.len());
    if let Some(request) = &heard.certificate_request {
        assert!(request.authorities.len() <= MOST_AUTHORITIES.min(request.authority_count));
        assert!(request.authorities.iter().map(Vec::len).sum::<usize>() <= stream.len());
    }
    let later =
        heard.certificates.is_some() || heard.key_exchange.is_some() || heard.certificate_request.is_some();
    assert!(!later || heard.server_hello.is_some(), "nothing comes before the choice");
    assert!(heard.fault.is_none() || heard.is_over());
    if let Some(fault) = &heard.fault {
        assert!(!fault.to_string().contains(char::is_control), "{fault:?}");
    }
}

/// How much of a bad beginning is shown, and when a flight was too long, depends on how much had arrived; nothing else does.
fn blurred(heard: Heard) -> Heard {
    match heard.fault {
        Some(Fault::NotTls(_)) => Heard { fault: Some(Fault::NotTls(Vec::new())), ..heard },
        _ => heard,
    }
}

//! A `Certificate` message of TLS 1.2 is cut into the certificates that its lengths name, at most 101 of them; each that can
//! be read is known afterwards, each that cannot is told with its place.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use pgseal_fuzz::tls::{in_records, message, server_hello};
use pgseal_pki::Certificate;
use pgseal_wire::scan::hello::{Flight, Offer, Protocol};
use pgseal_wire::scan::{Answer, End, Knowledge, Probe, Question, SslReply, Wish, learn};

const MOST: usize = 101;

// The first byte says how long records are.
fuzz_target!(|input: (u8, &[u8])| {
    let (size, body) = input;
    if body.len() > 100_000 {
        return;
    }
    let mut flight = Flight::default();
    let messages = [message(2, &server_hello(0x0303, 0x002f)), message(11, body), message(14, &[])].concat();
    flight.push(&in_records(&messages, size));
    let heard = flight.into_heard();
    let named = named(body);
    match &named {
        Some(all) => {
            let kept: Vec<&[u8]> = all.iter().take(MOST).copied().collect();
            assert_eq!(heard.certificates.as_deref().unwrap_or_default(), kept);
            assert!(heard.done && heard.fault.is_none());
        }
        None => assert!(heard.certificates.is_none() && heard.fault.is_some()),
    }
    let mut known = Knowledge::new(Wish::default());
    let offer = Offer {
        protocol: Protocol::Tls1_2,
        suites: vec![0x002f],
        groups: Vec::new(),
        schemes: Vec::new(),
        fallback: false,
    };
    let probe = Probe::Hello { question: Question::Suites(Protocol::Tls1_2), offer };
    learn(&mut known, &probe, Answer::Hello { ssl: SslReply::Yes, heard: Box::new(heard), end: End::Heard });
    hold(&known, &named.unwrap_or_default());
});

fn hold(known: &Knowledge, sent: &[&[u8]]) {
    let (mut good, mut bad) = (Vec::new(), BTreeSet::new());
    for (place, der) in sent.iter().take(MOST).enumerate() {
        match Certificate::from_der(der) {
            Ok(certificate) => good.push(certificate),
            Err(error) => {
                bad.insert((place + 1, error.to_string()));
            }
        }
    }
    let chain = known.chains.first().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(chain, good);
    assert_eq!(known.unreadable.iter().cloned().collect::<BTreeSet<_>>(), bad);
    assert!(known.unreadable.iter().all(|(_, why)| !why.contains(char::is_control)));
}

/// What the lengths name, where they agree with each other.
fn named(body: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut list, _) = cut(body)?;
    let mut all = Vec::new();
    while !list.is_empty() {
        let (one, rest) = cut(list)?;
        all.push(one);
        list = rest;
    }
    Some(all)
}

fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[high, middle, low], rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
}

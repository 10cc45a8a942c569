//! Promises of the flight's reader, over any bytes a server may send.

use proptest::prelude::*;

use super::client::record;
use super::*;
use crate::tls::Alert;

fn record_of(kind: u8, content: &[u8]) -> Vec<u8> {
    record(kind, Protocol::Tls1_2, content)
}

fn message_of(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &length[1..], body].concat()
}

fn hello(version: u16, suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([9; 32]);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    if !extensions.is_empty() {
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
    }
    message_of(2, &body)
}

fn hear(bytes: &[u8], sizes: &[usize]) -> Heard {
    let mut flight = Flight::default();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*size).clamp(1, rest.len()));
        flight.push(piece);
        rest = later;
    }
    flight.into_heard()
}

/// TLS 1.2 with an ECDSA suite: certificate, curve, a client certificate asked for.
fn whole_flight() -> Vec<u8> {
    let exchange = [&[3, 0, 0x17, 2, 4, 4][..], &[4, 3], &[0, 1, 0]].concat();
    let request = [&[1, 64][..], &[0, 4, 4, 3, 8, 4], &[0, 4, 0, 2, 0x30, 0]].concat();
    let messages = [
        hello(0x0303, 0xc02c, &[0, 23, 0, 0, 0xff, 1, 0, 1, 0]),
        message_of(11, &[0, 0, 5, 0, 0, 2, 0x30, 0]),
        message_of(12, &exchange),
        message_of(13, &request),
        message_of(14, &[]),
    ]
    .concat();
    record_of(22, &messages)
}

#[test]
fn a_whole_flight_tells_suite_chain_curve_scheme_and_what_is_asked_for() {
    let heard = hear(&whole_flight(), &[1]);
    assert!(heard.done && heard.fault.is_none(), "{heard:?}");
    let hello = heard.server_hello.unwrap();
    assert_eq!((hello.version, hello.suite, hello.retry), (0x0303, 0xc02c, false));
    assert!(hello.extended_master_secret && hello.secure_renegotiation && !hello.session_ticket);
    assert_eq!(heard.certificates.unwrap(), [[0x30, 0]]);
    assert_eq!(heard.key_exchange, Some(KeyExchange::Curve { group: 0x17, scheme: Some(0x0403) }));
    let request = heard.certificate_request.unwrap();
    assert_eq!((request.schemes, request.authorities), (vec![0x0403, 0x0804], vec![vec![0x30, 0]]));
}

#[test]
fn a_retry_tells_version_suite_and_group_without_a_key() {
    let mut bytes = hello(0x0303, 0x1302, &[0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 0x1d]);
    let random = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
        0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ];
    bytes[6..38].copy_from_slice(&random);
    let heard = hear(&record_of(22, &bytes), &[1000]);
    let hello = heard.server_hello.unwrap();
    assert!(hello.retry && heard.done);
    assert_eq!((hello.protocol(), hello.group), (Some(Protocol::Tls1_3), Some(0x1d)));
}

#[test]
fn a_finite_field_tells_its_bits() {
    let prime = [&[0, 3][..], &[0, 0x7f, 0xff], &[0, 1, 2], &[0, 1, 5], &[8, 4]].concat();
    let flight = [hello(0x0303, 0x009f, &[]), message_of(12, &prime)].concat();
    let heard = hear(&record_of(22, &flight), &[3]);
    assert_eq!(heard.key_exchange, Some(KeyExchange::FiniteField { bits: 15, scheme: Some(0x0804) }));
}

#[test]
fn an_alert_ends_it_and_a_warning_does_not() {
    assert_eq!(hear(&record_of(21, &[2, 40]), &[1]).alert, Some(Alert(40)));
    let warned = [record_of(21, &[1, 112]), whole_flight()].concat();
    assert!(hear(&warned, &[5]).done);
    assert_eq!(hear(&record_of(21, &[2]), &[1]).fault, Some(Fault::Malformed("alert")));
}

#[test]
fn what_is_no_tls_or_far_too_much_is_said_to_be() {
    let said = |bytes: &[u8]| hear(bytes, &[usize::MAX]).fault.unwrap().to_string();
    assert_eq!(said(b"HTTP/1.1 400 Bad Request"), "it is no TLS: it begins with \"HTTP/1.1 400 Bad\"");
    assert_eq!(said(&[22, 3, 3, 0xff, 0xff]), "a record has 65535 bytes, and at most 18432 make sense");
    let ten_megabytes = [hello(0x0303, 0xc02c, &[]), vec![11, 0xa0, 0, 0]].concat();
    assert_eq!(
        said(&record_of(22, &ten_megabytes)),
        "Certificate message has 10485760 bytes, and at most 131072 make sense"
    );
    assert!(hear(&[0x80, 0x2e, 4, 0, 1], &[1]).ssl2);
}

#[test]
fn a_flood_of_warnings_is_cut() {
    let heard = hear(&record_of(21, &[1, 112]).repeat(60_000), &[4096]);
    assert!(matches!(heard.fault, Some(Fault::TooLong { what: "the flight", .. })), "{:?}", heard.fault);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_no_cut_changes_what_is_heard(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..120,
        sizes in prop::collection::vec(1_usize..40, 1..5),
    ) {
        let mut bytes = whole_flight();
        for (offset, byte) in junk.iter().take(3).enumerate() {
            if let Some(place) = bytes.get_mut(at + offset) {
                *place = *byte;
            }
        }
        bytes.extend(&junk);
        // How much of a bad beginning is shown depends on how much had arrived; nothing else does.
        let blur = |heard: Heard| match heard.fault {
            Some(Fault::NotTls(_)) => Heard { fault: Some(Fault::NotTls(Vec::new())), ..heard },
            _ => heard,
        };
        let whole = blur(hear(&bytes, &[usize::MAX]));
        prop_assert_eq!(blur(hear(&bytes, &[1])), whole.clone());
        prop_assert_eq!(blur(hear(&bytes, &sizes)), whole);
        let _ = hear(&junk, &[7]);
    }
}

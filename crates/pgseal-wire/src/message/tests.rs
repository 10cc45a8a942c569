//! Promises of the codecs, over any bytes a server may send.

use proptest::prelude::*;

use super::*;

/// Everything that comes out of these bytes when they arrive in pieces of these sizes.
fn decode_in_pieces(bytes: &[u8], sizes: &[usize]) -> Vec<Result<BackendMessage, DecodeError>> {
    let mut reader = FrameReader::default();
    let mut out = Vec::new();
    let mut rest = bytes;
    let mut sizes = sizes.iter().copied().cycle();
    loop {
        loop {
            match reader.take() {
                Ok(Some(frame)) => out.push(BackendMessage::decode(&frame)),
                Ok(None) => break,
                Err(error) => {
                    out.push(Err(error));
                    return out;
                }
            }
        }
        if rest.is_empty() {
            return out;
        }
        let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
        let (piece, later) = rest.split_at(size);
        reader.push(piece);
        rest = later;
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame { tag, body: body.to_vec() }.write(&mut bytes);
    bytes
}

fn decode_one(bytes: &[u8]) -> Result<BackendMessage, DecodeError> {
    decode_in_pieces(bytes, &[bytes.len()]).remove(0)
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(b"RENSvKZ".to_vec());
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        prop::collection::vec(prop::sample::select(b"\0\0\0\0\x0aSMCVab".to_vec()), 0..80),
    ];
    (tag, body).prop_map(|(tag, body)| message(tag, &body))
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_in_pieces(&bytes, &[7]);
        let _ = ServerError::decode(b'E', &bytes);
        let _ = AuthenticationRequest::decode(&bytes);
        for tag in 0..=u8::MAX {
            let _ = BackendMessage::decode(&Frame { tag, body: bytes.clone() });
        }
    }

    #[test]
    fn however_the_bytes_are_cut_the_same_messages_come_out(
        messages in prop::collection::vec(any_message(), 0..8),
        sizes in prop::collection::vec(1_usize..40, 1..6),
        junk in prop::collection::vec(any::<u8>(), 0..10),
    ) {
        let mut bytes = messages.concat();
        bytes.extend(junk);
        let whole = decode_in_pieces(&bytes, &[bytes.len().max(1)]);
        let by_one = decode_in_pieces(&bytes, &[1]);
        // How much of a bad beginning is shown depends on how much had arrived; nothing else does.
        let blur = |all: Vec<Result<BackendMessage, DecodeError>>| -> Vec<_> {
            all.into_iter()
                .map(|one| match one {
                    Err(DecodeError::NotPostgres(shown)) => Err(DecodeError::NotPostgres(shown[..1].to_vec())),
                    other => other,
                })
                .collect()
        };
        prop_assert_eq!(blur(decode_in_pieces(&bytes, &sizes)), blur(whole.clone()));
        prop_assert_eq!(blur(by_one), blur(whole));
    }

    #[test]
    fn an_error_reads_back_field_by_field(
        severity in "[A-Z]{1,8}", code in "[0-9A-Z]{5}", text in "[^\0]{0,60}",
        detail in prop::option::of("[^\0]{0,60}"), line in 0_u32..100_000,
    ) {
        let mut body = Vec::new();
        let mut field = |name: u8, value: &str| {
            body.push(name);
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        };
        field(b'S', "FEHLER");
        field(b'V', &severity);
        field(b'C', &code);
        field(b'M', &text);
        if let Some(detail) = &detail {
            field(b'D', detail);
        }
        field(b'L', &line.to_string());
        body.push(0);
        let error = ServerError::decode(b'E', &body).unwrap();
        prop_assert_eq!(error.severity, severity);
        prop_assert_eq!(error.sqlstate.map(|code| code.to_string()), Some(code));
        prop_assert_eq!(error.message, text);
        prop_assert_eq!(error.detail, detail);
        prop_assert_eq!(error.line, Some(line));
    }

    #[test]
    fn an_error_prints_on_one_line_without_control_characters(text in any::<String>()) {
        let error = ServerError { severity: "FATAL".into(), message: text, ..ServerError::default() };
        prop_assert!(!error.to_string().chars().any(char::is_control));
    }

    #[test]
    fn a_startup_packet_says_its_own_length(user in "[^\0]{0,40}", database in "[^\0]{0,40}") {
        let packet = StartupParameters::new(user, database).encode(ProtocolVersion::V3_0).unwrap();
        let length = u32::from_be_bytes(packet[..4].try_into().unwrap());
        prop_assert_eq!(length as usize, packet.len());
        prop_assert!(packet.ends_with(b"client_encoding\0UTF8\0\0"));
    }
}

#[test]
fn a_web_server_is_no_postgresql() {
    let error = decode_one(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap_err();
    assert_eq!(error.to_string(), "is not PostgreSQL's: it begins with \"HTTP/1.1 400 Bad\"");
    let error = decode_one(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap_err();
    assert_eq!(error.to_string(), "is not PostgreSQL's: it begins with \"SSH-2.0-OpenSSH_\"");
    let error = decode_one(b"\x15\x03\x03\x00\x02\x02\x46").unwrap_err();
    assert_eq!(error.to_string(), "is not PostgreSQL's: it begins with \"\\x15\\x03\\x03\\x00\\x02\\x02F\"");
}

#[test]
fn an_impossible_length_is_refused_when_its_header_is_seen() {
    for (length, text) in [
        (0_i32, "has an impossible length: type 'E', length 0"),
        (3, "has an impossible length: type 'E', length 3"),
        (-1, "has an impossible length: type 'E', length -1"),
        (i32::MIN, "has an impossible length: type 'E', length -2147483648"),
        (i32::MAX, "is too long: type 'E', 2147483643 bytes where at most 65536 make sense"),
    ] {
        let mut bytes = vec![b'E'];
        bytes.extend(length.to_be_bytes());
        assert_eq!(decode_one(&bytes).unwrap_err().to_string(), text);
    }
}

#[test]
fn authentication_requests_are_told_apart() {
    let decode = AuthenticationRequest::decode;
    assert_eq!(decode(&[0, 0, 0, 0]), Ok(AuthenticationRequest::Ok));
    assert_eq!(decode(&[0, 0, 0, 3]), Ok(AuthenticationRequest::Cleartext));
    assert_eq!(decode(&[0, 0, 0, 5, 1, 2, 3, 4]), Ok(AuthenticationRequest::Md5 { salt: [1, 2, 3, 4] }));
    assert!(decode(&[0, 0, 0, 5, 1, 2, 3]).is_err());
    assert_eq!(decode(&[0, 0, 0, 99]), Ok(AuthenticationRequest::Other(99)));
    assert!(decode(&[0, 0, 0]).is_err());
    let sasl = decode(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0").unwrap();
    assert!(sasl.offers_channel_binding());
    assert_eq!(sasl.to_string(), "SCRAM-SHA-256-PLUS, SCRAM-SHA-256");
    assert!(decode(b"\0\0\0\x0aSCRAM-SHA-256\0").is_err());
    let endless = [b"\0\0\0\x0a".as_slice(), &b"x\0".repeat(1000), b"\0"].concat();
    assert!(decode(&endless).is_err());
}

#[test]
fn a_protocol_negotiation_must_list_what_it_counts() {
    let body = [&[0, 3, 0, 0, 0, 0, 0, 1][..], b"_pq_.x\0"].concat();
    let expected =
        BackendMessage::NegotiateProtocolVersion { newest: 3 << 16, unrecognized: vec!["_pq_.x".into()] };
    assert_eq!(decode_one(&message(b'v', &body)), Ok(expected));
    assert!(decode_one(&message(b'v', &[0, 3, 0, 0, 0xff, 0xff, 0xff, 0xff])).is_err());
    assert!(decode_one(&message(b'v', &[0, 3, 0, 0, 0, 0, 0, 1])).is_err());
}

#[test]
fn a_startup_packet_that_no_server_would_read_is_not_made() {
    let zero = StartupParameters::new("a\0b", "db").encode(ProtocolVersion::V3_0);
    assert_eq!(zero, Err(StartupError::ZeroByte("user")));
    let long = StartupParameters::new("a".repeat(10_000), "db").encode(ProtocolVersion::V3_0);
    assert!(matches!(long, Err(StartupError::TooLong(10_000..))));
    let physical =
        StartupParameters { replication: Replication::Physical, ..StartupParameters::new("u", "d") };
    let packet = physical.encode(ProtocolVersion::V3_0).unwrap();
    assert!(packet.windows(17).any(|part| part == b"replication\0true\0"));
}

#[test]
fn a_password_goes_out_with_its_length_and_its_end() {
    assert_eq!(*password_message(b"geheim"), b"p\0\0\0\x0bgeheim\0");
    assert_eq!(*sasl_initial_response("M", b"xy"), b"p\0\0\0\x0cM\0\0\0\0\x02xy");
    assert_eq!(*sasl_response(b"xyz"), b"p\0\0\0\x07xyz");
}

//! However the network cuts a server's bytes, the same messages come out; nothing in them is longer than what was
//! sent, and no text of theirs reaches a terminal raw.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_wire::ServerError;
use pgseal_wire::message::{BackendMessage, DecodeError, Frame, FrameReader};

/// What the reader takes by default.
const MAX_BODY: usize = 64 * 1024;

type Decoded = Result<BackendMessage, DecodeError>;

// The first two bytes say how the rest is cut.
fuzz_target!(|input: (u8, u8, &[u8])| {
    let (even, odd, stream) = input;
    let whole = decode(stream, &[stream.len()]);
    assert_eq!(whole, decode(stream, &[1]), "byte by byte");
    assert_eq!(whole, decode(stream, &[usize::from(even), usize::from(odd)]), "in pieces");
});

/// Everything that comes out of a stream that arrives in pieces of these sizes, over and over.
fn decode(stream: &[u8], sizes: &[usize]) -> Vec<Decoded> {
    let mut reader = FrameReader::default();
    let mut decoded = Vec::new();
    let mut taken = Vec::new();
    let mut rest = stream;
    let mut sizes = sizes.iter().cycle();
    while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
        let (piece, later) = rest.split_at((*size).clamp(1, rest.len()));
        reader.push(piece);
        rest = later;
        loop {
            match reader.take() {
                Ok(Some(frame)) => {
                    frame.write(&mut taken);
                    let message = BackendMessage::decode(&frame);
                    hold(&frame, &message);
                    decoded.push(message);
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().contains(char::is_control), "{error:?}");
                    decoded.push(Err(shortened(error)));
                    return decoded;
                }
            }
        }
        assert!(reader.pending().len() < MAX_BODY + 5, "no more than one message is kept");
        let arrived = stream.len() - rest.len();
        assert_eq!([taken.as_slice(), reader.pending()].concat(), stream[..arrived], "no byte is lost");
    }
    decoded
}

/// How much of a bad beginning is shown depends on how much had arrived; nothing else does.
fn shortened(error: DecodeError) -> DecodeError {
    match error {
        DecodeError::NotPostgres(shown) => DecodeError::NotPostgres(shown[..1].to_vec()),
        other => other,
    }
}

fn hold(frame: &Frame, message: &Decoded) {
    let body = &frame.body;
    assert!(body.len() <= MAX_BODY);
    match message {
        Ok(message) => assert_eq!(message.tag(), frame.tag),
        Err(error) => assert!(matches!(error, DecodeError::Malformed { tag, .. } if *tag == frame.tag)),
    }
    match message {
        Ok(BackendMessage::Error(error) | BackendMessage::Notice(error)) => hold_error(error, body.len()),
        Ok(BackendMessage::ParameterStatus { name, value }) => {
            assert!(name.len() + value.len() <= lossy(body.len()));
            assert!(!name.contains('\0') && !value.contains('\0'));
        }
        Ok(BackendMessage::NegotiateProtocolVersion { unrecognized, .. }) => {
            // Each takes a byte at least, for its end.
            assert!(unrecognized.len() <= 64 && unrecognized.len() + 8 <= body.len());
        }
        _ => {}
    }
}

fn hold_error(error: &ServerError, sent: usize) {
    let optional = [&error.detail, &error.hint, &error.file, &error.routine];
    let texts: Vec<&str> = [&error.severity, &error.message]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .map(String::as_str)
        .collect();
    assert!(texts.iter().map(|text| text.len()).sum::<usize>() <= lossy(sent), "{error:?} of {sent} bytes");
    assert!(texts.iter().all(|text| !text.contains('\0')));
    assert!(!error.to_string().contains(char::is_control), "{error}");
    if let Some(code) = error.sqlstate {
        assert!(code.as_str().len() == 5 && code.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(error.is(code) && code.as_str().parse() == Ok(code));
    }
}

/// The longest text of so many bytes, where each of them may become U+FFFD.
const fn lossy(bytes: usize) -> usize {
    bytes * char::REPLACEMENT_CHARACTER.len_utf8()
}

//! An authentication request is what its code says and holds what was sent; and a server that does not know the
//! password is not believed at the end of a SCRAM exchange, whatever it sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_wire::AuthenticationRequest as Request;
use pgseal_wire::message::DecodeError;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

fuzz_target!(|body: &[u8]| {
    match Request::decode(body) {
        Ok(request) => hold(body, &request),
        Err(error) => {
            assert!(matches!(error, DecodeError::Malformed { tag: b'R', .. }));
            let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
            assert!(matches!(code, None | Some(5 | 10)), "{body:?} is refused: {error}");
        }
    }
});

fn hold(body: &[u8], request: &Request) {
    let (code, rest) = body.split_first_chunk().expect("a code was read");
    let code = u32::from_be_bytes(*code);
    assert!(!request.to_string().contains(char::is_control), "{request}");
    match request {
        Request::Ok => assert_eq!(code, 0),
        Request::Cleartext => assert_eq!(code, 3),
        Request::Md5 { salt } => assert!(code == 5 && rest.starts_with(salt)),
        Request::Gss => assert_eq!(code, 7),
        Request::Sspi => assert_eq!(code, 9),
        Request::Sasl { mechanisms } => {
            assert!(code == 10 && mechanisms.len() <= 32);
            hold_mechanisms(rest, mechanisms);
            let plus = mechanisms.iter().any(|name| name == "SCRAM-SHA-256-PLUS");
            assert_eq!(request.offers_channel_binding(), plus);
        }
        Request::SaslContinue(data) => {
            assert!(code == 11 && data == rest);
            exchange(data);
        }
        Request::SaslFinal(data) => assert!(code == 12 && data == rest),
        Request::Other(other) => assert!(*other == code && !matches!(code, 0 | 3 | 5 | 7 | 9..=12)),
    }
}

/// Written out again they are the front of what was sent, where that was UTF-8.
fn hold_mechanisms(sent: &[u8], mechanisms: &[String]) {
    assert!(mechanisms.iter().all(|name| !name.is_empty() && !name.contains('\0')));
    let mut written: Vec<u8> = mechanisms.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
    written.push(0);
    if !mechanisms.iter().any(|name| name.contains(char::REPLACEMENT_CHARACTER)) {
        assert!(sent.starts_with(&written));
    }
}

/// The server's two messages, a line break between them; `@` in the first stands for the client's own nonce.
fn exchange(data: &[u8]) {
    let (first, last) = pgseal_fuzz::after_line(data);
    // Stretching a password by thousands of rounds would be all that the fuzzer does.
    if first.windows(4).any(|window| window.iter().all(u8::is_ascii_digit)) {
        return;
    }
    let mut client = ScramSha256::new(b"correct horse", ChannelBinding::unsupported());
    let hello = String::from_utf8(client.message().to_vec()).expect("the client's words are ASCII");
    let nonce = hello.rsplit("r=").next().unwrap_or_default();
    let first = match first.iter().position(|byte| *byte == b'@') {
        Some(at) => [&first[..at], nonce.as_bytes(), &first[at + 1..]].concat(),
        None => first.to_vec(),
    };
    if client.update(&first).is_ok() {
        assert!(client.finish(last).is_err(), "a server that knows no password was believed");
    }
}

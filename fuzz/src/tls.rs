//! Records and handshake messages as a server of TLS 1.2 would send them.

/// Handshake messages in records of at most `size` bytes (RFC 5246, 6.2.1).
pub fn in_records(messages: &[u8], size: u8) -> Vec<u8> {
    let size = usize::from(size.max(1)) * 16;
    messages.chunks(size).flat_map(|part| record(22, part)).collect()
}

/// One record of that type.
pub fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[kind, 3, 3][..], &length, content].concat()
}

/// A handshake message of that type (RFC 5246, 7.4).
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// The body of a `ServerHello` that has picked that suite, without extensions.
pub fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    [&version.to_be_bytes()[..], &[7; 32], &[0], &suite.to_be_bytes(), &[0]].concat()
}

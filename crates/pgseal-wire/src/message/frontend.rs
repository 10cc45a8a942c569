//! The few messages with a type byte that a client sends before it is let in.
//!
//! They may hold secrets: each is zeroized when dropped.

use zeroize::Zeroizing;

/// `PasswordMessage`: a password, or its MD5 response, ended by a zero byte.
pub fn password_message(password: &[u8]) -> Zeroizing<Vec<u8>> {
    message(&[password, b"\0"])
}

/// `SASLInitialResponse`: the chosen mechanism and the client's first words.
pub fn sasl_initial_response(mechanism: &str, data: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
    message(&[mechanism.as_bytes(), b"\0", &length, data])
}

/// `SASLResponse`: the client's next words.
pub fn sasl_response(data: &[u8]) -> Zeroizing<Vec<u8>> {
    message(&[data])
}

/// All three have the type `p`.
fn message(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    // Allocated once, so that no copy of a secret stays behind in a moved buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(body + 5));
    bytes.push(b'p');
    bytes.extend_from_slice(&u32::try_from(body + 4).unwrap_or(u32::MAX).to_be_bytes());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

//! Cuts a stream of bytes into messages: one type byte, four bytes of length, a body.
//!
//! Knows lengths and refuses to know meanings. A message that is too long is refused when its
//! header is seen, so the buffer holds at most one message and what was read along with it.

use crate::wire_error::tag_text;

/// The largest body taken by default: no message before `ReadyForQuery` comes near it
/// (libpq takes 2,000 bytes for an authentication request and 30,000 for an error).
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Bytes that are no message of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first byte is no message type that a server sends at this point.
    #[error("is not PostgreSQL's: it begins with \"{}\"", .0.escape_ascii())]
    NotPostgres(Vec<u8>),
    /// The length field is under 4, which counts the field itself.
    #[error("has an impossible length: type '{}', length {length}", tag_text(*.tag))]
    BadLength {
        /// The type byte.
        tag: u8,
        /// The length field as read.
        length: i32,
    },
    /// The message is longer than anything sensible here.
    #[error("is too long: type '{}', {length} bytes where at most {limit} make sense", tag_text(*.tag))]
    TooLong {
        /// The type byte.
        tag: u8,
        /// The length field as read.
        length: usize,
        /// What would have been taken.
        limit: usize,
    },
    /// The body does not hold what its type promises.
    #[error("is malformed: type '{}', {what}", tag_text(*.tag))]
    Malformed {
        /// The type byte.
        tag: u8,
        /// What is missing or too much.
        what: &'static str,
    },
}

/// One message, not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The type byte.
    pub tag: u8,
    /// Everything after the length field.
    pub body: Vec<u8>,
}

impl Frame {
    /// The message as it came.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let length = u32::try_from(self.body.len() + 4).unwrap_or(u32::MAX);
        bytes.push(self.tag);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.body);
    }
}

/// Collects bytes until they make a message.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    limit: usize,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new(MAX_BODY)
    }
}

impl FrameReader {
    /// A reader that refuses bodies over `limit` bytes as soon as their header is seen.
    pub const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), limit }
    }

    /// Adds bytes that came from the server.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next message, if it is complete.
    pub fn take(&mut self) -> Result<Option<Frame>, DecodeError> {
        let Some(whole) = self.whole()? else {
            return Ok(None);
        };
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let rest = self.buffer.split_off(whole);
        let mut message = std::mem::replace(&mut self.buffer, rest);
        let tag = message.first().copied().unwrap_or_default();
        message.drain(..5);
        Ok(Some(Frame { tag, body: message }))
    }

    /// What was received and not taken yet.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Gives up what was received and not taken yet.
    pub fn into_pending(self) -> Vec<u8> {
        self.buffer
    }

    /// The length of the whole message at the front of the buffer, once its header is there.
    fn whole(&self) -> Result<Option<usize>, DecodeError> {
        if let Some(first) = self.buffer.first()
            && !is_backend_tag(*first)
        {
            let shown = self.buffer.iter().take(16).copied().collect();
            return Err(DecodeError::NotPostgres(shown));
        }
        let Some((&[tag, a, b, c, d], _)) = self.buffer.split_first_chunk::<5>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes([a, b, c, d]);
        let body = length
            .checked_sub(4)
            .and_then(|body| usize::try_from(body).ok())
            .ok_or(DecodeError::BadLength { tag, length })?;
        if body > self.limit {
            // "HTTP/1.1 400 Bad Request" has a type that exists ('H') and an absurd length.
            if [tag, a, b, c, d].iter().all(u8::is_ascii_graphic) {
                let shown = self.buffer.iter().take(16).copied().collect();
                return Err(DecodeError::NotPostgres(shown));
            }
            return Err(DecodeError::TooLong { tag, length: body, limit: self.limit });
        }
        Ok(Some(body + 5))
    }
}

/// The types that a server may send (protocol.sgml, "Message Formats", marked B).
const fn is_backend_tag(tag: u8) -> bool {
    matches!(
        tag,
        b'R' | b'K'
            | b'2'
            | b'3'
            | b'C'
            | b'd'
            | b'c'
            | b'G'
            | b'H'
            | b'W'
            | b'D'
            | b'I'
            | b'E'
            | b'V'
            | b'v'
            | b'n'
            | b'N'
            | b'A'
            | b't'
            | b'S'
            | b'1'
            | b's'
            | b'Z'
            | b'T'
    )
}

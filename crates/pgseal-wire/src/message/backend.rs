//! What a server sends until `ReadyForQuery`, understood.

use super::authentication::AuthenticationRequest;
use super::frame::{DecodeError, Frame};
use super::server_error::ServerError;

/// A message of the server before the first query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendMessage {
    /// `R`.
    Authentication(AuthenticationRequest),
    /// `E`.
    Error(ServerError),
    /// `N`.
    Notice(ServerError),
    /// `v`: the server knows less of the protocol than was asked for.
    NegotiateProtocolVersion {
        /// The newest version of the asked major version: as sent, major in the upper half.
        newest: u32,
        /// Startup options that the server does not know.
        unrecognized: Vec<String>,
    },
    /// `S`: a setting that the client is told about.
    ParameterStatus {
        /// Such as `server_version`.
        name: String,
        /// Its value.
        value: String,
    },
    /// `K`: what a cancel request needs. Not kept.
    BackendKeyData,
    /// `Z`: the session stands.
    ReadyForQuery,
    /// Any other type that a server may send.
    Other {
        /// The type byte.
        tag: u8,
    },
}

/// More startup options than we would ever send.
const MAX_UNRECOGNIZED: usize = 64;

impl BackendMessage {
    /// The type byte it came with.
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Authentication(_) => b'R',
            Self::Error(_) => b'E',
            Self::Notice(_) => b'N',
            Self::NegotiateProtocolVersion { .. } => b'v',
            Self::ParameterStatus { .. } => b'S',
            Self::BackendKeyData => b'K',
            Self::ReadyForQuery => b'Z',
            Self::Other { tag } => *tag,
        }
    }

    /// Understands a message.
    pub fn decode(frame: &Frame) -> Result<Self, DecodeError> {
        let body = frame.body.as_slice();
        Ok(match frame.tag {
            b'R' => Self::Authentication(AuthenticationRequest::decode(body)?),
            b'E' => Self::Error(ServerError::decode(b'E', body)?),
            b'N' => Self::Notice(ServerError::decode(b'N', body)?),
            b'v' => negotiate(body)
                .ok_or(DecodeError::Malformed { tag: b'v', what: "without version and list of options" })?,
            b'S' => {
                let mut words = Words(body);
                match (words.next(), words.next()) {
                    (Some(name), Some(value)) => Self::ParameterStatus { name, value },
                    _ => {
                        return Err(DecodeError::Malformed { tag: b'S', what: "without name and value" });
                    }
                }
            }
            b'K' => Self::BackendKeyData,
            b'Z' => Self::ReadyForQuery,
            tag => Self::Other { tag },
        })
    }
}

fn negotiate(body: &[u8]) -> Option<BackendMessage> {
    let (newest, rest) = body.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    if count > MAX_UNRECOGNIZED {
        return None;
    }
    let unrecognized: Vec<_> = Words(rest).take(count).collect();
    (unrecognized.len() == count).then_some(BackendMessage::NegotiateProtocolVersion {
        newest: u32::from_be_bytes(*newest),
        unrecognized,
    })
}

/// Zero-ended strings, one after the other.
struct Words<'a>(&'a [u8]);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (word, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        Some(String::from_utf8_lossy(word).into_owned())
    }
}

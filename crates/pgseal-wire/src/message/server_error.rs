//! `ErrorResponse` and `NoticeResponse`: PostgreSQL's own words, field by field.
//!
//! The texts are the server's: translated, hostile, to be escaped by whoever prints them.

use std::fmt;
use std::str::FromStr;

use super::frame::DecodeError;

/// Five characters that stay the same in every language (errcodes.txt).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// 08P01: what was sent is not the protocol; also what is said to words in clear before a handshake.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// 0A000: also what is said to a protocol that the server does not speak.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// 28000: refused by `pg_hba.conf`, or the role may not log in.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// 28P01: the password is wrong.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// 3D000: no such database.
    pub const INVALID_CATALOG_NAME: Self = Self(*b"3D000");
    /// 53300: too many connections.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// 57P03: starting up or shutting down.
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");

    /// The code, such as `28000`.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters and digits ever get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for SqlState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match <[u8; 5]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_alphanumeric) => Ok(Self(code)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error or a notice of the server (protocol.sgml, "Error and Notice Message Fields").
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerError {
    /// `FATAL`, `ERROR` …: the untranslated field V where sent, else S.
    pub severity: String,
    /// Field C. Decide by this, never by the text.
    pub sqlstate: Option<SqlState>,
    /// Field M.
    pub message: String,
    /// Field D.
    pub detail: Option<String>,
    /// Field H.
    pub hint: Option<String>,
    /// Field F: the source file, such as `auth.c`.
    pub file: Option<String>,
    /// Field L: the line in it, which pins the minor version.
    pub line: Option<u32>,
    /// Field R: the C function.
    pub routine: Option<String>,
}

impl ServerError {
    /// Decodes the body of an `E` or `N` message. Fields that we do not know are passed over.
    pub fn decode(tag: u8, body: &[u8]) -> Result<Self, DecodeError> {
        let malformed = |what| DecodeError::Malformed { tag, what };
        let mut error = Self::default();
        let mut rest = body;
        loop {
            let (code, after) = rest.split_first().ok_or_else(|| malformed("fields without an end"))?;
            if *code == 0 {
                return Ok(error);
            }
            let end = after
                .iter()
                .position(|byte| *byte == 0)
                .ok_or_else(|| malformed("a field without an end"))?;
            let (value, tail) = after.split_at(end);
            error.set(*code, String::from_utf8_lossy(value).into_owned());
            rest = tail.get(1..).unwrap_or_default();
        }
    }

    fn set(&mut self, code: u8, value: String) {
        match code {
            b'V' => self.severity = value,
            b'S' if self.severity.is_empty() => self.severity = value,
            b'C' => self.sqlstate = value.parse().ok(),
            b'M' => self.message = value,
            b'D' => self.detail = Some(value),
            b'H' => self.hint = Some(value),
            b'F' => self.file = Some(value),
            b'L' => self.line = value.parse().ok(),
            b'R' => self.routine = Some(value),
            _ => {}
        }
    }

    /// Whether its code is this one.
    pub fn is(&self, code: SqlState) -> bool {
        self.sqlstate == Some(code)
    }
}

/// As psql prints it, on one line: `FATAL:  the message`. Control characters are escaped.
impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity.is_empty() { "ERROR" } else { &self.severity };
        for text in [severity, ":  ", &self.message] {
            for c in text.chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

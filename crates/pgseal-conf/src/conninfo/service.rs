//! Service files (`pg_service.conf`): one section of them, as `parseServiceFile` reads it. Refuses to know where they
//! lie, and to ask an LDAP server for a definition.

use zeroize::Zeroizing;

use super::options::Conninfo;
use super::parse::is_blank;
use crate::PgVersion;

/// The longest line libpq reads, in bytes, its newline included (`char buf[1024]`, and `>= sizeof(buf) - 1` is too long).
const MAX_LINE: usize = 1022;

/// A service file that libpq would refuse. libpq stops at the first mistake in the section asked for and does not look
/// at the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// A line of more than 1,022 bytes with its newline, anywhere before the end of the section.
    #[error("line {line} too long in the service file")]
    LineTooLong {
        /// Counted from 1.
        line: usize,
    },
    /// A line without `=`, or a parameter that libpq does not know.
    #[error("syntax error in the service file, line {line}")]
    Syntax {
        /// Counted from 1.
        line: usize,
    },
    /// `service=` or, from 19, `servicefile=` inside a section.
    #[error("nested service specifications not supported in the service file, line {line}")]
    Nested {
        /// Counted from 1.
        line: usize,
    },
    /// `ldap://…`: a definition to be fetched from a directory server, which is not done here.
    #[error("the service file, line {line}, refers to an LDAP server, which is not asked")]
    Ldap {
        /// Counted from 1.
        line: usize,
    },
    /// A value that is not UTF-8.
    #[error("the service file, line {line}, is not UTF-8")]
    NotUtf8 {
        /// Counted from 1.
        line: usize,
    },
}

/// The parameters of the first section of this name, as the newest measured libpq reads them; `None`: no such section,
/// so the next file is to be looked at.
pub fn find(text: impl AsRef<[u8]>, name: &str) -> Result<Option<Conninfo>, ServiceError> {
    find_as(text, name, PgVersion::LATEST)
}

/// [`find`] for the libpq of a given version.
pub fn find_as(
    text: impl AsRef<[u8]>,
    name: &str,
    version: PgVersion,
) -> Result<Option<Conninfo>, ServiceError> {
    let mut section: Option<Conninfo> = None;
    for (index, raw) in lines(text.as_ref()).enumerate() {
        let number = index + 1;
        if raw.len() > MAX_LINE {
            return Err(ServiceError::LineTooLong { line: number });
        }
        let line = trim(raw);
        match (line.first(), &mut section) {
            (Some(b'['), Some(_)) => break,
            (Some(b'['), None) if is_header_of(line, name) => section = Some(Conninfo::new()),
            (None | Some(b'#'), _) | (Some(_), None) => {}
            (Some(_), Some(section)) => assign(section, line, number, version)?,
        }
    }
    Ok(section)
}

/// `[name]`, whatever follows the bracket.
fn is_header_of(line: &[u8], name: &str) -> bool {
    line.get(1..)
        .and_then(|rest| rest.strip_prefix(name.as_bytes()))
        .is_some_and(|rest| rest.first() == Some(&b']'))
}

fn assign(
    section: &mut Conninfo,
    line: &[u8],
    number: usize,
    version: PgVersion,
) -> Result<(), ServiceError> {
    if line.starts_with(b"ldap") {
        return Err(ServiceError::Ldap { line: number });
    }
    let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
        return Err(ServiceError::Syntax { line: number });
    };
    let (key, value) = line.split_at(equals);
    let nested = key == b"service" || key == b"servicefile" && version >= PgVersion::V19;
    if nested {
        return Err(ServiceError::Nested { line: number });
    }
    let key = std::str::from_utf8(key).map_err(|_| ServiceError::Syntax { line: number })?;
    let value = std::str::from_utf8(value.get(1..).unwrap_or_default())
        .map(|value| Zeroizing::new(value.to_owned()))
        .map_err(|_| ServiceError::NotUtf8 { line: number })?;
    if super::Keyword::find(key, version).is_none() {
        return Err(ServiceError::Syntax { line: number });
    }
    // Within a section the first of two lines for one parameter wins.
    if section.get(key).is_none() {
        section.set(key, &value).map_err(|_| ServiceError::Syntax { line: number })?;
    }
    Ok(())
}

/// The lines with their newline; one that a NUL byte ends is as long as a C string is.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.split(|byte| *byte == 0).next().unwrap_or_default())
}

fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| is_blank(char::from(*byte));
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    line.get(start..end).unwrap_or_default()
}

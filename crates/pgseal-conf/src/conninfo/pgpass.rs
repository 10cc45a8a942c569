//! Password files (`.pgpass`): which line answers, as `passwordFromFile` reads it, and how to write one. Refuses to
//! know where the file lies and what mode it has; libpq ignores one that group or others may read.

use std::fmt;

use zeroize::Zeroizing;

/// A password out of a file. Wiped when dropped, and shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// The bytes, which need not be UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, `None` when it is not UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(****)")
    }
}

/// The password of the first line that fits, as libpq finds it.
///
/// `host` is what the connection string calls the server (`host`, else `hostaddr`). Empty means `localhost`, and so
/// does the socket directory compiled into the libpq at hand, for which the caller is to pass `localhost`. An empty
/// `port` means 5432. Without a database or a user nothing is found.
pub fn lookup(text: impl AsRef<[u8]>, host: &str, port: &str, dbname: &str, user: &str) -> Option<Password> {
    if dbname.is_empty() || user.is_empty() {
        return None;
    }
    let host = if host.is_empty() { "localhost" } else { host };
    let port = if port.is_empty() { "5432" } else { port };
    text.as_ref().split(|byte| *byte == b'\n').find_map(|line| {
        if line.first() == Some(&b'#') || line.contains(&0) {
            return None;
        }
        let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
        let line = line.get(..end)?;
        [host, port, dbname, user]
            .iter()
            .try_fold(line, |rest, wanted| after_match(rest, wanted.as_bytes()))
            .map(unescape)
    })
}

/// What follows the field and its colon, when the field is `*` or spells `wanted` (`pwdfMatchesString`).
fn after_match<'a>(field: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = field.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut field = field;
    let mut wanted = wanted;
    loop {
        let escaped = field.first() == Some(&b'\\');
        if escaped {
            field = field.get(1..)?;
        }
        let byte = *field.first()?;
        match wanted.split_first() {
            None => return (byte == b':' && !escaped).then(|| field.get(1..)).flatten(),
            Some((first, rest)) if *first == byte => {
                wanted = rest;
                field = field.get(1..)?;
            }
            Some(_) => return None,
        }
    }
}

/// The password: up to an unescaped colon, a backslash taking the next byte as it is.
fn unescape(text: &[u8]) -> Password {
    let mut password = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => break,
            b'\\' => password.push(bytes.next().unwrap_or(b'\\')),
            byte => password.push(byte),
        }
    }
    Password(password)
}

/// A password or name that no line of a password file can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PgpassError {
    /// A newline or NUL byte, which end a line or a string there.
    #[error("a line of a password file cannot hold a newline or a NUL byte")]
    Unwritable,
    /// A trailing carriage return, which libpq strips.
    #[error("a password that ends in a carriage return cannot stand in a password file")]
    TrailingCarriageReturn,
    /// Nothing to match: libpq never looks for an empty name.
    #[error("an empty name matches nothing in a password file")]
    EmptyName,
}

/// One line, newline included, that [`lookup`] (and libpq) answers with this password. `None` stands for any host,
/// port, database or user (`*`).
pub fn line(
    host: Option<&str>,
    port: Option<u16>,
    dbname: Option<&str>,
    user: Option<&str>,
    password: &str,
) -> Result<Zeroizing<String>, PgpassError> {
    let port = port.map(|port| port.to_string());
    let names = [host, port.as_deref(), dbname, user];
    let room =
        names.iter().map(|name| 2 * name.map_or(1, str::len) + 1).sum::<usize>() + 2 * password.len() + 1;
    let mut line = Zeroizing::new(String::with_capacity(room));
    for name in names {
        match name {
            None => line.push('*'),
            Some("") => return Err(PgpassError::EmptyName),
            Some(name) => push_escaped(&mut line, name)?,
        }
        line.push(':');
    }
    if password.ends_with('\r') {
        return Err(PgpassError::TrailingCarriageReturn);
    }
    push_escaped(&mut line, password)?;
    line.push('\n');
    Ok(line)
}

fn push_escaped(line: &mut String, text: &str) -> Result<(), PgpassError> {
    let at_line_start = line.is_empty();
    for (at, c) in text.char_indices() {
        let special = match c {
            '\n' | '\0' => return Err(PgpassError::Unwritable),
            '\\' | ':' => true,
            // A lone star is a wildcard.
            '*' => at == 0 && text.len() == 1,
            '#' => at == 0 && at_line_start,
            _ => false,
        };
        if special {
            line.push('\\');
        }
        line.push(c);
    }
    Ok(())
}

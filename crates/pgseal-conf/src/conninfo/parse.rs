//! `keyword = 'value' …`: libpq's `conninfo_parse`. Knows blanks, quotes and backslashes; refuses to know URIs.

use zeroize::Zeroizing;

use super::error::ConninfoError;
use super::keyword::Keyword;
use super::options::Conninfo;
use super::render::MASK;
use crate::PgVersion;

/// The longest connection string read, in bytes. libpq sets no limit; a command line and a URL bar do, far below.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Whether libpq would take this text, given as a database name, for a connection string: a URI, or anything with `=`.
pub fn is_connection_string(text: &str) -> bool {
    is_uri(text) || text.contains('=')
}

/// Whether the text starts as libpq's URIs do. The scheme is case-sensitive there.
pub fn is_uri(text: &str) -> bool {
    uri_body(text).is_some()
}

/// What follows `postgresql://` or `postgres://`.
pub(super) fn uri_body(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

pub(super) fn keyword_values(text: &str, version: PgVersion) -> Result<Conninfo, ConninfoError> {
    let mut options = Conninfo::new();
    // Once a secret was given, whatever stands where a name should may be the rest of it.
    let mut after_secret = false;
    let mut rest = skip_blanks(text);
    while !rest.is_empty() {
        let (name, after_name) = name(rest);
        let shown = || (if after_secret { MASK } else { name }).to_owned();
        let Some(after_equals) = after_name.strip_prefix('=') else {
            return Err(ConninfoError::MissingEquals(shown()));
        };
        let (value, after_value) = value(skip_blanks(after_equals))?;
        if !options.store(name, &value, version) {
            return Err(ConninfoError::UnknownOption(shown()));
        }
        after_secret |= Keyword::find(name, version).is_some_and(|keyword| keyword.secret);
        rest = skip_blanks(after_value);
    }
    Ok(options)
}

/// The name, and what follows it and its blanks.
fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c| c == '=' || is_blank(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (name, skip_blanks(rest))
}

fn value(text: &str) -> Result<(Zeroizing<String>, &str), ConninfoError> {
    // Room for all of it, so that no half of a secret is left behind by a growing buffer.
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            c if !quoted && is_blank(c) => return Ok((value, text.get(at..).unwrap_or_default())),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(ConninfoError::UnterminatedQuote);
    }
    Ok((value, ""))
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// `isspace` in the C locale.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

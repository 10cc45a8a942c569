//! Passwords that stand in pg_hba.conf (ldapbindpasswd, radiussecrets), hidden wherever a line is
//! shown: also where a quote is missing, a name is misspelled, or the line is commented out.

use std::ops::Range;

use pgseal_conf::PgVersion;
use pgseal_conf::auth::{AuthFile, Line, Token};
use pgseal_conf::hba::OptionName;

use crate::report::escape::lines_for_terminal;

const MASK: &str = "****";

/// A character to be shown, and where in the file it comes from.
pub(crate) type Shown = (usize, char);

/// The part of a line that lies in `window` (bytes of the file), without its newline and its secrets.
/// Each secret shows as `****`, all of it from where the secret starts. What is not UTF-8 becomes
/// U+FFFD, byte by byte.
pub(crate) fn line(line: Line<'_>, window: Range<usize>, mut show: impl FnMut(Shown)) {
    let source = line.source();
    let raw = line.raw();
    let newline = raw.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let end = window.end.min(source.end - newline);
    let mut at = window.start.max(source.start);
    for secret in secrets(line, end).chain(std::iter::once(end..end)) {
        let until = secret.start.clamp(at, end);
        let open = raw.get(at - source.start..until - source.start).unwrap_or_default();
        characters(open, |offset, c| show((at + offset, c)));
        if secret.end > at && secret.start < end {
            MASK.chars().for_each(|c| show((secret.start, c)));
        }
        at = until.max(secret.end.min(end));
    }
}

/// A whole file without its secrets, for a terminal.
pub(crate) fn text(text: &[u8], version: PgVersion) -> Vec<u8> {
    let file = match AuthFile::read(text.to_vec(), version) {
        Ok(file) => file,
        Err(error) => return error.to_string().into_bytes(),
    };
    let mut all = String::new();
    for one in file.lines() {
        let mut shown = String::new();
        line(one, one.source(), |(_, c)| shown.push(c));
        all.push_str(&lines_for_terminal(&shown));
        all.push('\n');
    }
    all.into_bytes()
}

/// The secrets of a line that start before `end`, in their order.
fn secrets(line: Line<'_>, end: usize) -> impl Iterator<Item = Range<usize>> {
    // What follows a secret may be the rest of it, cut off by a blank or comma nobody quoted.
    let mut after_secret = false;
    let tokens = line.fields().flat_map(|field| (0..).zip(field.tokens()));
    let tokens = tokens.take_while(move |(_, token)| token.source().start < end);
    let in_tokens = tokens.filter_map(move |(place, token)| {
        if !(after_secret && place > 0) {
            match (secret_start(token), token.text().contains(&b'=')) {
                (Some(start), _) => {
                    after_secret = true;
                    return Some(start..token.source().end);
                }
                (None, true) => after_secret = false,
                (None, false) => {}
            }
        }
        after_secret.then(|| token.source())
    });
    in_tokens.chain(in_comment(line))
}

/// Behind a `#` a line is not cut into words: from the secret on, nothing of it is shown.
fn in_comment(line: Line<'_>) -> Option<Range<usize>> {
    let (start, comment) = (line.source().start, line.comment()?);
    let text = line.raw().get(comment - start..)?;
    let mut words = text.split_inclusive(|byte| *byte == b'=').scan(comment, |at, piece| {
        *at += piece.len();
        Some((*at, piece))
    });
    let (secret, _) = words.find(|(_, piece)| {
        let name = piece.strip_suffix(b"=").unwrap_or_default();
        let from = name.iter().rposition(|byte| !is_of_a_name(*byte)).map_or(0, |at| at + 1);
        is_secret(name.get(from..).unwrap_or_default())
    })?;
    Some(secret..line.source().end)
}

const fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the secret starts that a token sets. Quotes before it only move it forward.
fn secret_start(token: Token<'_>) -> Option<usize> {
    let name =
        token.text().split(|byte| *byte == b'=').next().filter(|name| name.len() < token.text().len())?;
    is_secret(name).then(|| token.source().start + name.len() + 1)
}

/// The options that are secret, and what could be one of them misspelled.
fn is_secret(name: &[u8]) -> bool {
    let known = OptionName::ALL.iter().any(|option| option.is_secret() && option.name().as_bytes() == name);
    let lower = name.to_ascii_lowercase();
    let like = |word: &[u8]| lower.windows(word.len()).any(|part| part == word);
    known || (lower.len() < 64 && (like(b"passw") || like(b"secret")))
}

fn characters(bytes: &[u8], mut each: impl FnMut(usize, char)) {
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        chunk.valid().char_indices().for_each(|(offset, c)| each(at + offset, c));
        at += chunk.valid().len();
        (0..chunk.invalid().len()).for_each(|offset| each(at + offset, char::REPLACEMENT_CHARACTER));
        at += chunk.invalid().len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn masked(line: &str, expected: &str) {
        let shown = String::from_utf8(text(line.as_bytes(), PgVersion::V16)).unwrap();
        assert_eq!(shown, format!("{expected}\n"));
    }

    #[test]
    fn no_part_of_a_secret_is_shown() {
        masked(
            "host a b all ldap ldapbindpasswd=x1 ldaptls=1",
            "host a b all ldap ldapbindpasswd=**** ldaptls=1",
        );
        masked("host a b all ldap \"ldapbindpasswd=x 1\"", "host a b all ldap \"ldapbindpasswd****");
        masked(
            "host a b all ldap ldapbindpasswd=\"x 1\" # why",
            "host a b all ldap ldapbindpasswd=**** # why",
        );
        masked("host a b all ldap ldapbindpasswd=x y=1 z", "host a b all ldap ldapbindpasswd=**** y=1 z");
        masked(
            "host a b all ldap ldapbindpasswd=x y z=1 w",
            "host a b all ldap ldapbindpasswd=**** **** z=1 w",
        );
        masked(
            "host a b all radius radiussecrets=x,y=2,z a=b",
            "host a b all radius radiussecrets=****,****,**** a=b",
        );
        masked("host a b all ldap ldapbindpasswd=\"x y", "host a b all ldap ldapbindpasswd=****");
        masked("host a b all ldap LdapPassword=x", "host a b all ldap LdapPassword=****");
        masked("# host a b all ldap a=b ldapbindpasswd=x y", "# host a b all ldap a=b ldapbindpasswd=****");
        masked("local all all trust # radiussecrets=\"x\"", "local all all trust # radiussecrets=****");
        masked("local all all trust", "local all all trust");
    }
}

//! Passwords that stand in pg_hba.conf (ldapbindpasswd, radiussecrets), hidden wherever a line is
//! shown.

use std::ops::Range;

use pgseal_conf::PgVersion;
use pgseal_conf::auth::{AuthFile, Line};
use pgseal_conf::hba::OptionName;

use crate::report::escape::lines_for_terminal;

const MASK: &str = "****";

/// The line's text without its secrets, and where the given bytes of it came to lie, in characters.
pub(crate) fn line(line: Line<'_>, place: Range<usize>) -> (String, Range<usize>) {
    let start = line.source().start;
    let secrets: Vec<Range<usize>> = line
        .fields()
        .flat_map(pgseal_conf::auth::Field::tokens)
        .filter_map(|token| Some((token.source(), secret_name(token.text())?)))
        .map(|(source, name)| (source.start + name + 1)..source.end)
        .collect();
    let mut text = String::new();
    let mut marked = 0..0;
    let mut at = start;
    for secret in secrets.iter().cloned().chain(std::iter::once(usize::MAX..usize::MAX)) {
        let until = secret.start.min(start + line.raw().len());
        for (offset, c) in characters(line.raw().get(at - start..until - start).unwrap_or_default()) {
            if at + offset < place.start {
                marked.start += 1;
            }
            if at + offset < place.end {
                marked.end += 1;
            }
            text.push(c);
        }
        if secret.start == usize::MAX {
            break;
        }
        text.push_str(MASK);
        if secret.start < place.end {
            marked.end += MASK.len();
        }
        if secret.start < place.start {
            marked.start += MASK.len();
        }
        at = secret.end;
    }
    (text.trim_end_matches(['\n', '\r']).to_owned(), marked)
}

/// A whole file without its secrets, for a terminal.
pub(crate) fn text(text: &[u8], version: PgVersion) -> Vec<u8> {
    match AuthFile::read(text.to_vec(), version) {
        Ok(file) => file
            .lines()
            .flat_map(|line| format!("{}\n", lines_for_terminal(&self::line(line, 0..0).0)).into_bytes())
            .collect(),
        Err(error) => error.to_string().into_bytes(),
    }
}

/// The length of the option's name when the token sets a secret.
fn secret_name(token: &[u8]) -> Option<usize> {
    let (name, _) = OptionName::ALL
        .iter()
        .filter(|option| option.is_secret())
        .map(|option| (option.name().len(), option.name()))
        .find(|(length, name)| {
            token.get(..*length) == Some(name.as_bytes()) && token.get(*length) == Some(&b'=')
        })?;
    Some(name)
}

/// Characters with the offset of their first byte; what is not UTF-8 becomes U+FFFD, byte by byte.
fn characters(bytes: &[u8]) -> Vec<(usize, char)> {
    let mut found = Vec::new();
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        found.extend(chunk.valid().char_indices().map(|(offset, c)| (at + offset, c)));
        at += chunk.valid().len();
        found.extend((0..chunk.invalid().len()).map(|offset| (at + offset, char::REPLACEMENT_CHARACTER)));
        at += chunk.invalid().len();
    }
    found
}

//! Tokens out of one logical line: `next_token` of `hba.c`, and nothing of what they mean.

use std::borrow::Cow;
use std::ops::Range;

use super::file::LineFault;
use crate::PgVersion;

/// The longest token of 12 to 15, in bytes (`MAX_TOKEN` less its NUL).
const MAX_TOKEN: usize = 10_239;

/// One token of a line.
pub(super) struct RawToken<'t> {
    /// The text, quotes taken out.
    pub(super) text: Cow<'t, [u8]>,
    /// Its bytes in the line, quotes included, the comma behind it not.
    pub(super) span: Range<usize>,
    /// Whether a quote stood before the first character: such a token is no keyword, no `+role` and no `@file`.
    pub(super) quoted: bool,
    /// Whether a comma follows at once, so that the next token belongs to the same field.
    pub(super) comma: bool,
}

/// Takes tokens off a line.
pub(super) struct Tokens<'t> {
    text: &'t [u8],
    version: PgVersion,
    at: usize,
    /// Where a comment starts, once one was met.
    pub(super) comment: Option<usize>,
}

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t [u8], version: PgVersion) -> Self {
        Self { text, version, at: 0, comment: None }
    }

    /// Whether the line is used up.
    pub(super) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The next token of the line; `None` at its end.
    pub(super) fn next(&mut self) -> Result<Option<RawToken<'t>>, LineFault> {
        let separator = |byte: u8| byte == b',' || is_blank(byte, self.version);
        while self.peek().is_some_and(separator) {
            self.at += 1;
        }
        let start = self.at;
        let mut text = Unquoted { line: self.text, start, taken: None };
        let (mut in_quote, mut was_quote, mut saw_quote, mut quoted) = (false, false, false, false);
        let mut comma = false;
        while let Some(byte) = self.peek().filter(|byte| in_quote || !is_blank(*byte, self.version)) {
            if byte == b'#' && !in_quote {
                self.comment = Some(self.at);
                break;
            }
            if self.version < PgVersion::V16 && text.len(self.at) >= MAX_TOKEN {
                self.at = self.text.len();
                return Err(LineFault::TokenTooLong);
            }
            if byte == b',' && !in_quote {
                comma = true;
                break;
            }
            if byte != b'"' || was_quote {
                text.push(self.at, byte);
            } else {
                text.skip(self.at);
            }
            was_quote = in_quote && byte == b'"' && !was_quote;
            if byte == b'"' {
                in_quote = !in_quote;
                saw_quote = true;
                quoted |= text.len(self.at + 1) == 0;
            }
            self.at += 1;
        }
        let end = self.at;
        if self.comment.is_some() {
            self.at = self.text.len();
        }
        let text = text.finish(end);
        Ok((saw_quote || !text.is_empty()).then_some(RawToken { text, span: start..end, quoted, comma }))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// The text of a token: a stretch of the line as long as no quote was met, a copy from then on.
struct Unquoted<'t> {
    line: &'t [u8],
    start: usize,
    taken: Option<Vec<u8>>,
}

impl<'t> Unquoted<'t> {
    fn push(&mut self, _at: usize, byte: u8) {
        if let Some(taken) = &mut self.taken {
            taken.push(byte);
        }
    }

    fn skip(&mut self, at: usize) {
        let (line, start) = (self.line, self.start);
        self.taken.get_or_insert_with(|| line.get(start..at).unwrap_or_default().to_vec());
    }

    fn len(&self, at: usize) -> usize {
        self.taken.as_ref().map_or(at - self.start, Vec::len)
    }

    fn finish(self, end: usize) -> Cow<'t, [u8]> {
        match self.taken {
            Some(taken) => Cow::Owned(taken),
            None => Cow::Borrowed(self.line.get(self.start..end).unwrap_or_default()),
        }
    }
}

/// `pg_isblank`: a carriage return counts until 18; 19 asks C's `isblank`.
fn is_blank(byte: u8, version: PgVersion) -> bool {
    matches!(byte, b' ' | b'\t') || byte == b'\r' && version < PgVersion::V19
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, quoted, comma behind it.
    fn tokens(line: &str) -> Vec<(String, bool, bool)> {
        let mut tokens = Tokens::new(line.as_bytes(), PgVersion::V18);
        let mut all = Vec::new();
        while let Some(token) = tokens.next().unwrap() {
            all.push((String::from_utf8(token.text.into_owned()).unwrap(), token.quoted, token.comma));
        }
        all
    }

    fn token(text: &str, quoted: bool, comma: bool) -> (String, bool, bool) {
        (text.to_owned(), quoted, comma)
    }

    #[test]
    fn tokens_end_at_blanks_commas_and_comments() {
        assert_eq!(
            tokens("a\tb\rc"),
            [token("a", false, false), token("b", false, false), token("c", false, false)]
        );
        assert_eq!(
            tokens(" ,, a, b ,c"),
            [token("a", false, true), token("b", false, false), token("c", false, false)]
        );
        assert_eq!(tokens("trust#c d"), [token("trust", false, false)]);
        assert_eq!(tokens("a,# b"), [token("a", false, true)]);
        assert_eq!(tokens("# all"), []);
        assert_eq!(tokens("  "), []);
    }

    #[test]
    fn quotes_hold_blanks_and_double_to_a_quote() {
        assert_eq!(tokens("\"a b\""), [token("a b", true, false)]);
        assert_eq!(tokens("a\"b c\"d"), [token("ab cd", false, false)]);
        assert_eq!(tokens("\"a\"\"b\""), [token("a\"b", true, false)]);
        assert_eq!(tokens("\"\""), [token("", true, false)]);
        assert_eq!(tokens("\"\"all"), [token("all", true, false)]);
        assert_eq!(tokens("\"\"\"\""), [token("\"", true, false)]);
        assert_eq!(tokens("\"a # b, c"), [token("a # b, c", true, false)]);
        assert_eq!(tokens("@\"a b\""), [token("@a b", false, false)]);
    }

    #[test]
    fn a_carriage_return_is_no_blank_in_19() {
        let mut tokens = Tokens::new(b"a\rb", PgVersion::V19);
        assert_eq!(tokens.next().unwrap().unwrap().text.as_ref(), b"a\rb");
    }

    /// Seen on 12.22 to 16.15.
    #[test]
    fn a_token_has_a_limit_until_15() {
        let fits = "a".repeat(10_239);
        let long = "a".repeat(10_240);
        assert!(Tokens::new(fits.as_bytes(), PgVersion::V15).next().is_ok());
        assert!(Tokens::new(long.as_bytes(), PgVersion::V15).next().is_err());
        assert!(Tokens::new(long.as_bytes(), PgVersion::V16).next().is_ok());
    }
}

//! The tokens of one line, by flex's rule that the longest match wins; quoting and unquoting. Refuses to know what a
//! line says.

use std::ops::Range;

/// What a token is to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    QualifiedId,
    String,
    Unquoted,
    Number,
    Equals,
    /// No token at all; one byte.
    Error,
}

/// Cuts one line, given without its newline.
pub(super) struct Lexer<'l> {
    line: &'l [u8],
    at: usize,
    /// Where a comment starts, once it was met.
    pub(super) comment: Option<usize>,
}

impl<'l> Lexer<'l> {
    pub(super) fn new(line: &'l [u8]) -> Self {
        Self { line, at: 0, comment: None }
    }

    /// The next token and its place; `None` at the end of the line.
    pub(super) fn next(&mut self) -> Option<(Kind, Range<usize>)> {
        self.at += count(self.rest(), |byte| matches!(byte, b' ' | b'\t' | b'\r'));
        let rest = self.rest();
        let (kind, length) = match rest.first()? {
            b'#' => {
                self.comment = Some(self.at);
                self.at = self.line.len();
                return None;
            }
            b'=' => (Kind::Equals, 1),
            b'\'' => string(rest).map_or((Kind::Error, 1), |length| (Kind::String, length)),
            byte if is_letter(*byte) => word(rest),
            _ => number(rest).map_or((Kind::Error, 1), |length| (Kind::Number, length)),
        };
        let start = self.at;
        self.at += length;
        Some((kind, start..self.at))
    }

    fn rest(&self) -> &'l [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }
}

fn count(text: &[u8], fits: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !fits(*byte)).unwrap_or(text.len())
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_letter_or_digit(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit()
}

/// ID, QUALIFIED_ID or UNQUOTED_STRING: the longest, and of equally long ones the first.
fn word(text: &[u8]) -> (Kind, usize) {
    let unquoted =
        count(text, |byte| is_letter_or_digit(byte) || matches!(byte, b'-' | b'.' | b'_' | b':' | b'/'));
    let id = count(text, is_letter_or_digit);
    if unquoted == id {
        return (Kind::Id, id);
    }
    if let Some([b'.', second @ ..]) = text.get(id..)
        && second.first().is_some_and(|byte| is_letter(*byte))
        && id + 1 + count(second, is_letter_or_digit) == unquoted
    {
        return (Kind::QualifiedId, unquoted);
    }
    (Kind::Unquoted, unquoted)
}

/// INTEGER or REAL, whichever is longer.
fn number(text: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let body = text.get(sign..).unwrap_or_default();
    let digits = count(body, |byte| byte.is_ascii_digit());
    let tail =
        |from: usize| from + count(body.get(from..).unwrap_or_default(), |byte| byte.is_ascii_alphabetic());
    let hexadecimal = body.strip_prefix(b"0x").map(|hex| count(hex, |byte| byte.is_ascii_hexdigit()));
    let integer = match (digits, hexadecimal) {
        (0, _) => None,
        (_, Some(hex)) if hex > 0 => Some(tail(digits).max(tail(2 + hex))),
        _ => Some(tail(digits)),
    };
    let real = (body.get(digits) == Some(&b'.')).then(|| {
        let end =
            digits + 1 + count(body.get(digits + 1..).unwrap_or_default(), |byte| byte.is_ascii_digit());
        end + exponent(body.get(end..).unwrap_or_default())
    });
    integer.max(real).map(|length| sign + length)
}

fn exponent(text: &[u8]) -> usize {
    let [b'e' | b'E', rest @ ..] = text else { return 0 };
    let sign = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
    match count(rest.get(sign..).unwrap_or_default(), |byte| byte.is_ascii_digit()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

/// STRING: the length of the longest one that starts here.
fn string(text: &[u8]) -> Option<usize> {
    let mut complete = None;
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'\'' => {
                complete = Some(at + 1);
                if text.get(at + 1) != Some(&b'\'') {
                    return complete;
                }
                at += 2;
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
        if at >= text.len() {
            return complete;
        }
    }
}

/// The value of a STRING (`DeescapeQuotedString`); a NUL in it, written or escaped, ends it.
pub(super) fn unquote(token: &[u8]) -> Vec<u8> {
    // What C sees of the token, less the opening quote and the last byte.
    let seen = token.split(|byte| *byte == 0).next().unwrap_or_default();
    let body = seen.get(1..seen.len().saturating_sub(1)).unwrap_or_default();
    let mut value = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => value.extend(escape(&mut bytes)),
            b'\'' => {
                bytes.next_if_eq(&b'\'');
                value.push(b'\'');
            }
            byte => value.push(byte),
        }
    }
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    value.truncate(end);
    value
}

fn escape(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Option<u8> {
    Some(match bytes.next()? {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        first @ b'0'..=b'7' => {
            let mut value = u32::from(first - b'0');
            for _ in 0..2 {
                let Some(digit) = bytes.next_if(|byte| matches!(byte, b'0'..=b'7')) else { break };
                value = value << 3 | u32::from(digit - b'0');
            }
            // As C's cast to char: \777 wraps.
            value.to_le_bytes()[0]
        }
        other => other,
    })
}

/// A value as `postgresql.conf` wants it: in single quotes, quotes and backslashes doubled, as ALTER SYSTEM writes it.
/// `None` for what no line can hold: a newline is refused there, and a NUL byte ends a string.
pub fn quote(value: &str) -> Option<String> {
    if value.contains(['\n', '\r', '\0']) {
        return None;
    }
    Some(format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''")))
}

/// A boolean as PostgreSQL reads it: `on`, `off`, `true`, `false`, `yes`, `no`, `1`, `0`, in any case, and every prefix
/// of them that is no other's.
pub fn parse_bool(value: &[u8]) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let prefix_of = |word: &str| !value.is_empty() && word.as_bytes().starts_with(&value);
    if value == b"1" || prefix_of("true") || prefix_of("yes") || value == b"on" {
        Some(true)
    } else if value == b"0" || prefix_of("false") || prefix_of("no") || value.len() >= 2 && prefix_of("off") {
        Some(false)
    } else {
        None
    }
}

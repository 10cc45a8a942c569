//! Regular expressions in names (`/…`, 16+; system users of `pg_ident.conf` in all versions).
//!
//! PostgreSQL's own engine decides what they match, byte by byte, since no database is chosen yet when it is asked. The
//! part of its language that people use in names is understood here exactly: literals, `.`, brackets, groups, `|`, `^`,
//! `$` and quantifiers. Of anything beyond (back references, look-around, embedded options) it is said that it is not
//! known, never guessed.

mod parse;
mod program;
mod samples;

use std::fmt;
use std::sync::Arc;

use crate::ByteString;
use program::Program;

/// An advanced regular expression, as PostgreSQL calls its kind.
#[derive(Clone)]
pub struct Pattern {
    text: ByteString,
    meaning: Arc<Meaning>,
}

#[derive(Debug)]
enum Meaning {
    Understood(Program),
    NotUnderstood,
    Refused(&'static str),
}

impl Pattern {
    /// The expression without its leading slash.
    pub fn new(text: &[u8]) -> Self {
        let meaning = match parse::parse(text) {
            Ok(tree) => Program::of(&tree).map_or(Meaning::NotUnderstood, Meaning::Understood),
            Err(parse::Fault::NotUnderstood) => Meaning::NotUnderstood,
            Err(parse::Fault::Refused(why)) => Meaning::Refused(why),
        };
        Self { text: text.into(), meaning: Arc::new(meaning) }
    }

    /// The expression, without its leading slash.
    pub fn text(&self) -> &ByteString {
        &self.text
    }

    /// Why PostgreSQL refuses it, where that is known for sure.
    pub fn error(&self) -> Option<&'static str> {
        match *self.meaning {
            Meaning::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// Whether [`Pattern::matches`] knows.
    pub fn is_understood(&self) -> bool {
        matches!(*self.meaning, Meaning::Understood(_))
    }

    /// Whether it matches somewhere in this text; `None`: not known here.
    pub fn matches(&self, text: &[u8]) -> Option<bool> {
        match &*self.meaning {
            Meaning::Understood(program) => Some(program.matches(text)),
            _ => None,
        }
    }

    /// The one text it matches, where it is a literal between `^` and `$`.
    pub fn only_match(&self) -> Option<&[u8]> {
        let literal = self.text.as_bytes().strip_prefix(b"^")?.strip_suffix(b"$")?;
        let plain =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'@') || *byte >= 0x80;
        literal.iter().all(plain).then_some(literal)
    }

    /// Whether it has a group that captures.
    pub fn has_group(&self) -> bool {
        let text = self.text.as_bytes();
        let mut escaped = false;
        text.iter().enumerate().any(|(at, byte)| {
            let opens = *byte == b'(' && !escaped && text.get(at + 1) != Some(&b'?');
            escaped = *byte == b'\\' && !escaped;
            opens
        })
    }

    /// What its first group captures of a text that it matches, where that is plain to see: `^literal(…)literal$` with
    /// nothing but one group. `None`: not known here.
    pub fn first_group<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        if self.matches(text) != Some(true) {
            return None;
        }
        let inner = self.text.as_bytes().strip_prefix(b"^")?.strip_suffix(b"$")?;
        let open = inner.iter().position(|byte| *byte == b'(')?;
        let close = inner.iter().rposition(|byte| *byte == b')')?;
        let group = inner.get(open + 1..close)?;
        if group.iter().any(|byte| matches!(byte, b'(' | b')' | b'|' | b'\\' | b'[')) {
            return None;
        }
        let before = literal(inner.get(..open)?)?;
        let behind = literal(inner.get(close + 1..)?)?;
        text.strip_prefix(before.as_slice())?.strip_suffix(behind.as_slice())
    }

    /// A few names that it matches, short ones first; none where it is not understood.
    pub fn samples(&self) -> Vec<Vec<u8>> {
        match &*self.meaning {
            Meaning::Understood(program) => samples::of(program),
            _ => Vec::new(),
        }
    }
}

/// What an expression without anything special in it spells.
fn literal(expression: &[u8]) -> Option<Vec<u8>> {
    let mut spelled = Vec::with_capacity(expression.len());
    let mut bytes = expression.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => spelled.push(*bytes.next().filter(|byte| byte.is_ascii_punctuation())?),
            b'.' | b'[' | b'(' | b')' | b'*' | b'+' | b'?' | b'{' | b'|' | b'^' | b'$' => return None,
            byte => spelled.push(*byte),
        }
    }
    Some(spelled)
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests;

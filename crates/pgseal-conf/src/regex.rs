//! Regular expressions in names (`/…`, 16+). PostgreSQL's own engine decides what they match; what is not surely the
//! same here is said not to be known.

use std::fmt;

use crate::ByteString;

/// An advanced regular expression, as PostgreSQL calls its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: ByteString,
}

impl Pattern {
    /// The expression without its leading slash.
    pub fn new(text: &[u8]) -> Self {
        Self { text: text.into() }
    }

    /// The expression, without its leading slash.
    pub fn text(&self) -> &ByteString {
        &self.text
    }

    /// Why PostgreSQL would refuse it, where that is known for sure.
    pub fn error(&self) -> Option<&'static str> {
        None
    }

    /// Whether [`Pattern::matches`] always knows.
    pub fn is_understood(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it matches somewhere in this text; `None`: not known here.
    pub fn matches(&self, _text: &[u8]) -> Option<bool> {
        self.text.is_empty().then_some(true)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

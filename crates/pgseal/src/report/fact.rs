//! One thing that was seen, before it has a form.

use super::escape::for_terminal;
use super::screen::{Mark, Screen};

/// One thing that was seen. Its text may hold foreign words: each form makes them harmless in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) mark: Mark,
    /// What it is about, in our words.
    pub(crate) title: String,
    pub(crate) text: String,
}

impl Fact {
    pub(crate) fn new(mark: Mark, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { mark, title: title.into(), text: text.into() }
    }

    /// On a screen.
    pub(crate) fn line(&self, screen: Screen) -> String {
        screen.line(self.mark, &self.title, &screen.spelled(&for_terminal(&self.text)))
    }
}

//! What the terminal can show: marks in UTF-8 or ASCII, colour or none.

use std::env;
use std::io::IsTerminal as _;

/// What a line says about its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Holds,
    HoldsNot,
    CannotTell,
    Mind,
}

/// How to write on one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    unicode: bool,
    colour: bool,
}

impl Screen {
    pub(crate) fn of_stdout() -> Self {
        Self::new(std::io::stdout().is_terminal())
    }

    fn new(terminal: bool) -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Self {
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            colour: terminal && !dumb && set("NO_COLOR").is_none(),
        }
    }

    /// Of a page that is read elsewhere: in UTF-8, and without a terminal's colours.
    pub(crate) const fn of_a_page() -> Self {
        Self { unicode: true, colour: false }
    }

    #[cfg(test)]
    pub(crate) const fn plain(unicode: bool) -> Self {
        Self { unicode, colour: false }
    }

    /// The mark, two columns wide in ASCII and one in UTF-8.
    pub(crate) fn mark(self, mark: Mark) -> String {
        let (utf8, ascii, colour) = match mark {
            Mark::Holds => ("✓", "ok", 32),
            Mark::HoldsNot => ("✗", "NO", 31),
            Mark::CannotTell => ("?", "??", 33),
            Mark::Mind => ("!", "!!", 33),
        };
        let text = if self.unicode { utf8 } else { ascii };
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// One fact: mark, what it is about, what was seen.
    pub(crate) fn line(self, mark: Mark, title: &str, evidence: &str) -> String {
        format!("  {} {title:<24} {evidence}", self.mark(mark)).trim_end().to_owned()
    }

    /// Our own words in letters that the terminal has. Foreign words stay as they are.
    pub(crate) fn spelled(self, text: &str) -> String {
        if self.unicode {
            text.to_owned()
        } else {
            text.replace('…', "...").replace('→', "->").replace('×', "x").replace(" · ", ", ")
        }
    }

    pub(crate) const fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    pub(crate) const fn dot(self) -> &'static str {
        if self.unicode { " · " } else { ", " }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_utf8_every_mark_and_word_of_ours_is_ascii() {
        let (utf8, ascii) = (Screen::plain(true), Screen::plain(false));
        for mark in [Mark::Holds, Mark::HoldsNot, Mark::CannotTell, Mark::Mind] {
            let line = |screen: Screen| screen.line(mark, "title", &screen.spelled("9f:3c:…:81"));
            assert!(line(ascii).is_ascii(), "{}", line(ascii));
            assert_eq!(line(utf8).chars().count() + 3, line(ascii).chars().count());
        }
    }
}

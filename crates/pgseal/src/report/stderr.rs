//! What is said beside the result: progress, warnings, errors.

use std::io::Write as _;

use super::escape::lines_for_terminal;
use super::screen::Screen;

/// A line on stderr, made harmless. Progress and errors go this way; results never do.
pub(crate) fn say(text: &str) {
    // Of stdout, and yet right: the letters are the locale's, which both streams share.
    let text = Screen::of_stdout().spelled(&lines_for_terminal(text));
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

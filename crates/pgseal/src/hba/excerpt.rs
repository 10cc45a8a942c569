//! A line of a file with a mark under what is meant.

use std::ops::Range;

use pgseal_conf::auth::Line;

use super::mask;
use crate::report::escape::for_terminal;

/// As much of a line as is shown, in characters.
const COLUMNS: usize = 110;

/// Two lines for a screen: the text, and carets under the place.
pub(crate) fn lines(line: Line<'_>, place: Range<usize>) -> Vec<String> {
    let (text, marked) = mask::line(line, place);
    let number = line.number().to_string();
    let margin = " ".repeat(number.len());
    // A mark far to the right moves the window.
    let from = marked.start.saturating_sub(COLUMNS / 2);
    let from = if marked.start < COLUMNS { 0 } else { from };
    let shown: Vec<char> = text.chars().skip(from).take(COLUMNS).collect();
    let (mut above, mut below) = (String::new(), String::new());
    for (at, c) in shown.iter().enumerate().map(|(at, c)| (at + from, c)) {
        // A tab is as wide above as below; what is escaped is wider than one column.
        let drawn = if *c == '\t' { " ".to_owned() } else { for_terminal(&c.to_string()) };
        let mark = if marked.contains(&at) { "^" } else { " " };
        below.push_str(&mark.repeat(drawn.chars().count()));
        above.push_str(&drawn);
    }
    let mut lines = vec![format!("    {number} | {above}").trim_end().to_owned()];
    if below.contains('^') {
        lines.push(format!("    {margin} | {}", below.trim_end()));
    }
    lines
}

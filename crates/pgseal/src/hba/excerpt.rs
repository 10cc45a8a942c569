//! A line of a file with a mark under what is meant.

use std::ops::Range;

use pgseal_conf::auth::Line;

use super::mask;
use crate::report::escape::for_terminal;

/// As much of a line as is shown, in characters.
const COLUMNS: usize = 110;

/// Two lines for a screen: the text, and carets under the place.
pub(crate) fn lines(line: Line<'_>, place: Range<usize>) -> Vec<String> {
    let mut shown: Vec<mask::Shown> = Vec::new();
    mask::line(line, window(line, &place), |one| shown.push(one));
    let number = line.number().to_string();
    let margin = " ".repeat(number.len());
    let (mut above, mut below) = (String::new(), String::new());
    for (at, c) in shown.into_iter().take(COLUMNS) {
        // A tab is as wide above as below; what is escaped is wider than one column.
        let drawn = if c == '\t' { " ".to_owned() } else { for_terminal(&c.to_string()) };
        let mark = if place.contains(&at) { "^" } else { " " };
        below.push_str(&mark.repeat(drawn.chars().count()));
        above.push_str(&drawn);
    }
    let mut lines = vec![format!("    {number} | {above}").trim_end().to_owned()];
    if below.contains('^') {
        lines.push(format!("    {margin} | {}", below.trim_end()));
    }
    lines
}

/// The bytes that may be shown: a line can be as long as its file. A mark far to the right moves them.
fn window(line: Line<'_>, place: &Range<usize>) -> Range<usize> {
    let source = line.source();
    let far = place.start > source.start + COLUMNS;
    let mut start = if far { place.start - COLUMNS / 2 } else { source.start };
    // Not from within a character.
    let within = |at: usize| line.raw().get(at - source.start).is_some_and(|byte| byte & 0xc0 == 0x80);
    while start < place.start && within(start) {
        start += 1;
    }
    // A character has at most four bytes.
    start..(start + 4 * COLUMNS).min(source.end)
}

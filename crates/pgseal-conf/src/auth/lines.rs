//! Physical lines joined to logical ones, as each version reads them, with all its limits. Knows bytes and newlines;
//! refuses to know tokens.

use std::borrow::Cow;
use std::ops::Range;

use super::file::LineFault;
use crate::PgVersion;

/// `MAX_LINE` of 12 and 13 (their last minor releases; 12.2 had 8,192), the terminating NUL counted.
const MAX_LINE: usize = 20_480;

/// `StringInfo`'s first size, and what `pg_get_line_append` asks for when it must read on.
const FIRST_BUFFER: usize = 1024;
const MORE_BUFFER: usize = 128;

/// One logical line.
pub(super) struct LogicalLine<'a> {
    /// The number PostgreSQL gives its first physical line, counted from 1.
    pub(super) number: usize,
    /// Its bytes in the file, newline included.
    pub(super) source: Range<usize>,
    /// What is tokenized: newlines, carriage returns before them and continuations taken out.
    pub(super) text: Cow<'a, [u8]>,
    /// Where each stretch of `text` starts, there and in the file, in order.
    pieces: Vec<(usize, usize)>,
    pub(super) fault: Option<LineFault>,
}

impl LogicalLine<'_> {
    /// The place in the file of a place in `text`.
    pub(super) fn source_of(&self, offset: usize) -> usize {
        let index = self.pieces.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        self.pieces.get(index).map_or(self.source.start, |(start, source)| source + offset - start)
    }
}

/// Reads logical lines one after the other.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    version: PgVersion,
    at: usize,
    number: usize,
    /// The size of PostgreSQL's line buffer, which decides what a NUL byte swallows.
    buffer: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8], version: PgVersion) -> Self {
        Self { bytes, version, at: 0, number: 1, buffer: FIRST_BUFFER }
    }

    /// Up to and with the next newline, at most `limit` bytes: C's `fgets`.
    fn chunk(&self, at: usize, limit: usize) -> &'a [u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let window = rest.get(..limit).unwrap_or(rest);
        let end = window.iter().position(|byte| *byte == b'\n').map_or(window.len(), |newline| newline + 1);
        window.get(..end).unwrap_or_default()
    }

    /// 12 and 13: a buffer of fixed size, no continuation. What does not fit is refused, and its rest is the next line.
    fn next_fixed(&mut self) -> LogicalLine<'a> {
        let start = self.at;
        let chunk = self.chunk(start, MAX_LINE - 1);
        self.at += chunk.len();
        let text = until_nul(chunk);
        let fault = (text.len() == MAX_LINE - 1).then_some(LineFault::LineTooLong);
        let number = self.number;
        self.number += 1;
        LogicalLine {
            number,
            source: start..self.at,
            text: Cow::Borrowed(strip_crlf(text)),
            pieces: vec![(0, start)],
            fault,
        }
    }

    /// 14 and later: lines of any length, joined where one ends in a backslash.
    fn next_joined(&mut self) -> LogicalLine<'a> {
        let start = self.at;
        let whole = self.chunk(start, usize::MAX);
        if !whole.contains(&0) && !strip_crlf(whole).ends_with(b"\\") {
            self.grow_buffer(0, whole.len());
            self.at += whole.len();
            let number = self.number;
            self.number += 1;
            let text = Cow::Borrowed(strip_crlf(whole));
            return LogicalLine {
                number,
                source: start..self.at,
                text,
                pieces: vec![(0, start)],
                fault: None,
            };
        }
        self.next_continued(start)
    }

    fn next_continued(&mut self, start: usize) -> LogicalLine<'a> {
        let mut text: Vec<u8> = Vec::new();
        let mut pieces = Vec::new();
        let mut continuations = 0;
        let mut last_backslash = 0;
        while self.append_line(&mut text, &mut pieces) {
            text.truncate(strip_crlf(&text).len());
            // The backslash must be behind the last one taken, else two backslashes before two newlines would differ.
            if text.len() > last_backslash && text.ends_with(b"\\") {
                text.pop();
                last_backslash = text.len();
                continuations += 1;
                continue;
            }
            break;
        }
        let number = self.number;
        self.number += continuations + 1;
        LogicalLine { number, source: start..self.at, text: Cow::Owned(text), pieces, fault: None }
    }

    /// `pg_get_line_append`: reads on until a newline is the last byte of `text`. A NUL byte hides the rest of its
    /// read, newline and all. Says whether anything was read.
    fn append_line(&mut self, text: &mut Vec<u8>, pieces: &mut Vec<(usize, usize)>) -> bool {
        let before = text.len();
        loop {
            let limit = self.buffer.saturating_sub(text.len() + 1);
            let chunk = self.chunk(self.at, limit);
            if chunk.is_empty() {
                return text.len() > before;
            }
            pieces.push((text.len(), self.at));
            text.extend_from_slice(until_nul(chunk));
            self.at += chunk.len();
            if text.len() > before && text.ends_with(b"\n") {
                return true;
            }
            self.enlarge(text.len());
        }
    }

    /// What reading a line of this length does to the buffer.
    fn grow_buffer(&mut self, filled: usize, length: usize) {
        let total = filled + length;
        while total > self.buffer - 1 {
            self.enlarge(self.buffer - 1);
        }
    }

    /// `enlargeStringInfo(buf, 128)`.
    fn enlarge(&mut self, filled: usize) {
        let needed = filled + MORE_BUFFER + 1;
        while needed > self.buffer {
            self.buffer *= 2;
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = LogicalLine<'a>;

    fn next(&mut self) -> Option<LogicalLine<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        Some(if self.version < PgVersion::V14 { self.next_fixed() } else { self.next_joined() })
    }
}

/// A C string ends at its first NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// `pg_strip_crlf`: every newline and carriage return at the end.
fn strip_crlf(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], version: PgVersion) -> Vec<(usize, String)> {
        Lines::new(bytes, version)
            .map(|line| (line.number, String::from_utf8_lossy(&line.text).into_owned()))
            .collect()
    }

    #[test]
    fn lines_continue_from_14() {
        let file = b"a \\\nb\\\r\n c\nd\\\\\n\n\\\n\\\ne";
        let joined = [(1, "a b c"), (4, "d\\"), (6, "e")].map(|(n, t)| (n, t.to_owned()));
        assert_eq!(read(file, PgVersion::V14), joined);
        let physical = ["a \\", "b\\", " c", "d\\\\", "", "\\", "\\", "e"];
        let physical: Vec<_> = physical.iter().enumerate().map(|(i, t)| (i + 1, (*t).to_owned())).collect();
        assert_eq!(read(file, PgVersion::V13), physical);
    }

    /// Seen on 14.23 and 13.23.
    #[test]
    fn a_nul_byte_joins_the_next_line_from_14_and_cuts_its_own_before() {
        let file = b"local tr\0ust\nhost\nx\n";
        assert_eq!(read(file, PgVersion::V18), [(1, "local trhost".to_owned()), (2, "x".to_owned())]);
        let cut = ["local tr", "host", "x"].map(str::to_owned);
        assert_eq!(read(file, PgVersion::V13).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), cut);
    }

    /// Seen on 12.22 and 13.23.
    #[test]
    fn the_rest_of_a_line_too_long_for_13_is_a_line() {
        let file = [b"x".repeat(20_478).as_slice(), b"\n", &b"y".repeat(20_480), b"\nz"].concat();
        let lines: Vec<_> = Lines::new(&file, PgVersion::V13)
            .map(|line| (line.number, line.text.len(), line.fault.is_some()))
            .collect();
        assert_eq!(lines, [(1, 20_478, true), (2, 20_479, true), (3, 1, false), (4, 1, false)]);
        assert!(Lines::new(&file, PgVersion::V14).all(|line| line.fault.is_none()));
    }

    #[test]
    fn a_place_in_a_joined_line_leads_back_to_the_file() {
        let file = b"ab\\\ncd\\\nef\n";
        let line = Lines::new(file, PgVersion::V16).next().unwrap();
        let back: Vec<u8> = (0..line.text.len()).map(|at| file[line.source_of(at)]).collect();
        assert_eq!(back, b"abcdef");
    }
}

//! One `postgresql.conf`, lossless: every byte it had, and what each of its lines says. Refuses to open what it
//! includes.

use std::ops::Range;

use super::lexer::{Kind, Lexer, unquote};
use crate::ByteString;
use crate::auth::FileTooLarge;
use crate::files::MAX_FILE_BYTES;

/// The text of a configuration file. [`ConfFile::bytes`] gives back what was read, to the byte.
#[derive(Clone, Debug)]
pub struct ConfFile {
    bytes: Vec<u8>,
    lines: Vec<ConfLine>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfLine {
    /// Counted from 1.
    pub number: u32,
    /// Its bytes in the file, newline included.
    pub source: Range<usize>,
    /// What it says.
    pub statement: Statement,
    /// Where its comment starts in the file.
    pub comment: Option<usize>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Nothing, or a comment alone.
    Empty,
    /// A setting, or an include, which has the same form.
    Setting {
        /// As written. Names are the same in any case.
        name: ByteString,
        /// Quotes and escapes taken out.
        value: ByteString,
        /// The value as written, in the file.
        value_source: Range<usize>,
    },
    /// What PostgreSQL calls a syntax error.
    Broken {
        /// The token it names, in the file; `None`: the end of the line.
        near: Option<Range<usize>>,
    },
}

impl ConfFile {
    /// Cuts a file into lines.
    pub fn read(bytes: Vec<u8>) -> Result<Self, FileTooLarge> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(FileTooLarge(bytes.len()));
        }
        let mut lines = Vec::new();
        let mut start = 0;
        for (raw, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1..) {
            lines.push(line(raw, start, number));
            start += raw.len();
        }
        Ok(Self { bytes, lines })
    }

    /// Every byte of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Every line.
    pub fn lines(&self) -> &[ConfLine] {
        &self.lines
    }

    /// A line's bytes, newline included.
    pub fn raw(&self, line: &ConfLine) -> &[u8] {
        self.bytes.get(line.source.clone()).unwrap_or_default()
    }

    /// The file with the line at `index` replaced by `text`, its newline kept; unchanged when there is no such line.
    pub fn replace_line(&self, index: usize, text: &[u8]) -> Vec<u8> {
        self.splice(index, |raw| {
            let end = raw.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
            [text, raw.get(end..).unwrap_or_default()].concat()
        })
    }

    /// The file with the line at `index` made a comment.
    pub fn comment_out(&self, index: usize) -> Vec<u8> {
        self.splice(index, |raw| [b"#".as_slice(), raw].concat())
    }

    /// The file without the line at `index`.
    pub fn remove_line(&self, index: usize) -> Vec<u8> {
        self.splice(index, |_| Vec::new())
    }

    fn splice(&self, index: usize, edit: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let Some(line) = self.lines.get(index) else { return self.bytes.clone() };
        let before = self.bytes.get(..line.source.start).unwrap_or_default();
        let after = self.bytes.get(line.source.end..).unwrap_or_default();
        [before, &edit(self.raw(line)), after].concat()
    }
}

fn line(raw: &[u8], start: usize, number: u32) -> ConfLine {
    let text = raw.strip_suffix(b"\n").unwrap_or(raw);
    let mut lexer = Lexer::new(text);
    let statement = statement(text, start, &mut lexer);
    // A broken line is skipped token by token, and its comment with it.
    while lexer.next().is_some() {}
    let comment = lexer.comment.map(|at| start + at);
    ConfLine { number, source: start..start + raw.len(), statement, comment }
}

fn statement(text: &[u8], start: usize, lexer: &mut Lexer<'_>) -> Statement {
    let place = |span: &Range<usize>| start + span.start..start + span.end;
    let broken =
        |token: Option<(Kind, Range<usize>)>| Statement::Broken { near: token.map(|(_, span)| place(&span)) };
    let name = match lexer.next() {
        None => return Statement::Empty,
        Some((Kind::Id | Kind::QualifiedId, span)) => span,
        other => return broken(other),
    };
    let mut token = lexer.next();
    if let Some((Kind::Equals, _)) = token {
        token = lexer.next();
    }
    let (kind, value) = match token {
        Some((kind @ (Kind::Id | Kind::String | Kind::Unquoted | Kind::Number), span)) => (kind, span),
        other => return broken(other),
    };
    if let Some(extra) = lexer.next() {
        return broken(Some(extra));
    }
    let written = text.get(value.clone()).unwrap_or_default();
    let plain = if kind == Kind::String { unquote(written) } else { written.to_vec() };
    Statement::Setting {
        name: text.get(name).unwrap_or_default().into(),
        value: plain.into(),
        value_source: place(&value),
    }
}

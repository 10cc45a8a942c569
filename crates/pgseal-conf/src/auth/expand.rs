//! The records of an authentication file with everything it mentions put in their place: `@file` inside a field, and
//! from 16 `include`, `include_if_exists` and `include_dir` (`tokenize_auth_file`). Knows the order and the limits;
//! refuses to know what a record means.

use std::ops::Range;

use super::file::{AuthFile, Token};
use crate::files::{FileFault, Files, conf_files, join, locate};
use crate::{ByteString, PgVersion};

/// `CONF_FILE_MAX_DEPTH`: how deep files may mention one another, from 16.
const MAX_DEPTH: usize = 10;
/// Up to 15 nothing but the number of open files ends `@` loops, with an error. No honest file nests this deep.
const MAX_DEPTH_BEFORE_16: usize = 64;
/// Where PostgreSQL would go on for ever or until memory ends: files that mention others again and again.
const MAX_FILES: usize = 10_000;
const MAX_WORDS: usize = 20_000_000;
/// Records with those of included files; what the main file holds by itself is not limited.
const MAX_RECORDS: usize = 1_000_000;
const MAX_FIELD_WORDS: usize = 2_000_000;

/// A token where it took effect.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: ByteString,
    pub(crate) quoted: bool,
}

/// One record, or one line that PostgreSQL could not read.
pub(crate) struct Record {
    /// The file it stands in, by its place in [`Expansion::files`].
    pub(crate) file: u32,
    pub(crate) line: u32,
    /// Its bytes in that file.
    pub(crate) source: Range<usize>,
    /// Never empty unless there is an error. No field is empty.
    pub(crate) fields: Vec<Vec<Word>>,
    /// Where each field starts and ends in the file.
    pub(crate) places: Vec<Range<usize>>,
    pub(crate) error: Option<String>,
}

/// Everything that was read.
pub(crate) struct Expansion {
    /// The files, in the order in which they were first opened; `None` in place of what could not be kept.
    pub(crate) files: Vec<(ByteString, AuthFile)>,
    pub(crate) records: Vec<Record>,
    /// What PostgreSQL only logs, with the file and line that led to it.
    pub(crate) remarks: Vec<(u32, u32, String)>,
}

/// Reads the main file and all that it mentions. `main` is given as bytes, so that text that lies nowhere can be read.
pub(crate) fn expand(
    path: &ByteString,
    main: Vec<u8>,
    version: PgVersion,
    files: &dyn Files,
) -> Result<Expansion, super::FileTooLarge> {
    let main = AuthFile::read(main, version)?;
    let expansion = Expansion { files: vec![(path.clone(), main)], records: Vec::new(), remarks: Vec::new() };
    let mut walk = Walk { version, source: files, expansion, opened: 1, words: 0 };
    let mut records = Vec::new();
    walk.file(0, 0, &mut records);
    walk.expansion.records = records;
    Ok(walk.expansion)
}

struct Walk<'w> {
    version: PgVersion,
    source: &'w dyn Files,
    expansion: Expansion,
    opened: usize,
    words: usize,
}

/// What an `include` names.
enum Directive {
    Include,
    IncludeIfExists,
    IncludeDir,
}

impl Walk<'_> {
    /// All records of a file already opened, those it includes among them.
    fn file(&mut self, index: u32, depth: usize, records: &mut Vec<Record>) {
        // The walk adds files while it reads this one, so the lines are taken one by one.
        let mut next_line = 0;
        while let Some((record, at)) = self.next_record(index, next_line, depth) {
            next_line = at + 1;
            if let Some((directive, name)) = self.directive(&record) {
                let error = self.include(&directive, &name, &record, depth, records);
                if error.is_some() {
                    // The error's row stands behind what was still read.
                    records.push(Record { error, ..record });
                }
                continue;
            }
            if depth > 0 && records.len() >= MAX_RECORDS {
                let error =
                    format!("more than {MAX_RECORDS} lines with those of included files: given up here");
                records.push(Record { error: Some(error), ..record });
                return;
            }
            records.push(record);
        }
    }

    /// The next line, from the one at `from` on, that is a record or an error, and its place.
    fn next_record(&mut self, index: u32, from: usize, depth: usize) -> Option<(Record, usize)> {
        let mut at = from;
        loop {
            let (_, file) = self.expansion.files.get(index as usize)?;
            let line = file.line(at)?;
            let (number, source, fault) = (line.number(), line.source(), line.fault());
            let fields = line.fields().len();
            if fields == 0 && fault.is_none() {
                at += 1;
                continue;
            }
            let mut record = Record {
                file: index,
                line: number,
                source,
                fields: Vec::new(),
                places: Vec::new(),
                error: None,
            };
            for field in 0..fields {
                let Some((tokens, place)) = self.take_field(index, at, field, &mut record.error) else {
                    break;
                };
                let words = self.field(tokens, index, depth, &mut record.error);
                if !words.is_empty() {
                    record.fields.push(words);
                    record.places.push(place);
                }
                if record.error.is_some() {
                    break;
                }
            }
            if record.error.is_none() {
                record.error = fault.map(|fault| fault.to_string());
            }
            if record.fields.is_empty() && record.error.is_none() {
                at += 1;
                continue;
            }
            return Some((record, at));
        }
    }

    /// A field's tokens, taken out of the file since the walk goes on opening others; `None` where there are too many.
    fn take_field(
        &self,
        index: u32,
        line: usize,
        field: usize,
        error: &mut Option<String>,
    ) -> Option<(Vec<OwnToken>, Range<usize>)> {
        let (_, file) = self.expansion.files.get(index as usize)?;
        let field = file.line(line)?.field(field)?;
        if field.tokens().len() > MAX_FIELD_WORDS {
            *error = Some(too_many(MAX_FIELD_WORDS));
            return None;
        }
        let start = field.tokens().next().map_or(0, |token| token.source().start);
        let end = field.tokens().next_back().map_or(start, |token| token.source().end);
        Some((field.tokens().map(OwnToken::of).collect(), start..end))
    }

    /// The words of a field, those of `@file`s in their place.
    fn field(
        &mut self,
        tokens: Vec<OwnToken>,
        index: u32,
        depth: usize,
        error: &mut Option<String>,
    ) -> Vec<Word> {
        let mut words = Vec::with_capacity(tokens.len());
        for token in tokens {
            match token.mentions {
                None => words.push(Word { text: token.text, quoted: token.quoted }),
                Some(name) => self.words_of_file(&name, index, depth + 1, &mut words, error),
            }
            self.words += 1;
            if error.is_none() && (self.words > MAX_WORDS || words.len() > MAX_FIELD_WORDS) {
                *error = Some(too_many(if self.words > MAX_WORDS { MAX_WORDS } else { MAX_FIELD_WORDS }));
            }
            if error.is_some() {
                break;
            }
        }
        words
    }

    /// `@name`: every word of every line of that file.
    fn words_of_file(
        &mut self,
        name: &[u8],
        from: u32,
        depth: usize,
        words: &mut Vec<Word>,
        error: &mut Option<String>,
    ) {
        let path = locate(name, self.path(from), self.version);
        let index = match self.open(&path, depth) {
            Ok(index) => index,
            Err(Fault::Unread(fault)) => {
                if self.version < PgVersion::V14 {
                    *error = Some(format!("could not read file \"{path}\": {fault}"));
                }
                return;
            }
            Err(fault) => {
                *error = Some(match fault {
                    Fault::Unopened(fault) if self.version < PgVersion::V16 => format!(
                        "could not open secondary authentication file \"@{}\" as \"{path}\": {fault}",
                        String::from_utf8_lossy(name)
                    ),
                    fault => fault.describe(&path),
                });
                return;
            }
        };
        let mut records = Vec::new();
        self.file(index, depth, &mut records);
        for record in records {
            if record.error.is_some() {
                *error = record.error;
                return;
            }
            words.extend(record.fields.into_iter().flatten());
        }
    }

    /// What a record of exactly two fields names, from 16. Quotes do not matter here.
    fn directive(&self, record: &Record) -> Option<(Directive, ByteString)> {
        if self.version < PgVersion::V16 || record.error.is_some() {
            return None;
        }
        let [first, second] = record.fields.as_slice() else { return None };
        let directive = match first.first()?.text.as_bytes() {
            b"include" => Directive::Include,
            b"include_if_exists" => Directive::IncludeIfExists,
            b"include_dir" => Directive::IncludeDir,
            _ => return None,
        };
        Some((directive, second.first()?.text.clone()))
    }

    /// Puts in what a directive names; the error, if it could not.
    fn include(
        &mut self,
        directive: &Directive,
        name: &ByteString,
        record: &Record,
        depth: usize,
        records: &mut Vec<Record>,
    ) -> Option<String> {
        let from = self.path(record.file).clone();
        match directive {
            Directive::Include => {
                self.include_file(&locate(name.as_bytes(), &from, self.version), depth, records)
            }
            Directive::IncludeIfExists => {
                let path = locate(name.as_bytes(), &from, self.version);
                match self.try_include(&path, depth, records) {
                    Err(Fault::Unopened(FileFault::NotFound)) => {
                        let remark = format!("skipping missing authentication file \"{path}\"");
                        self.expansion.remarks.push((record.file, record.line, remark));
                        None
                    }
                    tried => tried.err().map(|fault| fault.describe(&path)),
                }
            }
            Directive::IncludeDir => {
                let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
                if name.as_bytes().iter().all(blank) {
                    return Some("empty configuration directory name".to_owned());
                }
                let directory = locate(name.as_bytes(), &from, self.version);
                let names = match self.source.list(&directory) {
                    Ok(listed) => conf_files(listed),
                    Err(_) => return Some(format!("could not open directory \"{directory}\"")),
                };
                let errors: Vec<String> = names
                    .iter()
                    .filter_map(|name| {
                        self.include_file(&join(&directory, name, self.version), depth, records)
                    })
                    .collect();
                (!errors.is_empty()).then(|| errors.join("\n"))
            }
        }
    }

    fn include_file(&mut self, path: &ByteString, depth: usize, records: &mut Vec<Record>) -> Option<String> {
        self.try_include(path, depth, records).err().map(|fault| fault.describe(path))
    }

    fn try_include(
        &mut self,
        path: &ByteString,
        depth: usize,
        records: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        match self.open(path, depth + 1) {
            Ok(index) => {
                self.file(index, depth + 1, records);
                Ok(())
            }
            // A directory opens, and gives no line when read: logged, and nothing more.
            Err(Fault::Unread(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Opens a file mentioned at this depth. The same file is opened once however often it is mentioned.
    fn open(&mut self, path: &ByteString, depth: usize) -> Result<u32, Fault> {
        let max_depth = if self.version < PgVersion::V16 { MAX_DEPTH_BEFORE_16 } else { MAX_DEPTH };
        if depth > max_depth {
            return Err(Fault::TooDeep);
        }
        self.opened += 1;
        if self.opened > MAX_FILES {
            return Err(Fault::TooMany);
        }
        if let Some(index) = self.expansion.files.iter().position(|(known, _)| known == path) {
            return Ok(index_of(index));
        }
        let bytes = self.source.read(path).map_err(|fault| match fault {
            FileFault::IsDirectory => Fault::Unread(fault),
            fault => Fault::Unopened(fault),
        })?;
        let file = AuthFile::read(bytes, self.version)
            .map_err(|large| Fault::Unopened(FileFault::Other(large.to_string())))?;
        self.expansion.files.push((path.clone(), file));
        Ok(index_of(self.expansion.files.len() - 1))
    }

    fn path(&self, index: u32) -> &ByteString {
        static NOWHERE: std::sync::LazyLock<ByteString> = std::sync::LazyLock::new(ByteString::default);
        self.expansion.files.get(index as usize).map_or(&NOWHERE, |(path, _)| path)
    }
}

/// Why a mentioned file gives no words.
enum Fault {
    Unopened(FileFault),
    /// It opened, and could not be read.
    Unread(FileFault),
    TooDeep,
    TooMany,
}

impl Fault {
    fn describe(&self, path: &ByteString) -> String {
        match self {
            Self::Unopened(fault) | Self::Unread(fault) => format!("could not open file \"{path}\": {fault}"),
            Self::TooDeep => format!("could not open file \"{path}\": maximum nesting depth exceeded"),
            Self::TooMany => {
                format!("could not open file \"{path}\": more than {MAX_FILES} files were opened before")
            }
        }
    }
}

/// A token taken out of its file, since the walk goes on opening others.
struct OwnToken {
    text: ByteString,
    quoted: bool,
    mentions: Option<Vec<u8>>,
}

impl OwnToken {
    fn of(token: Token<'_>) -> Self {
        Self {
            text: token.text().into(),
            quoted: token.is_quoted(),
            mentions: token.mentioned_file().map(<[u8]>::to_vec),
        }
    }
}

fn too_many(words: usize) -> String {
    format!("more than {words} words once all files are put in: given up here")
}

/// There are at most [`MAX_FILES`].
#[allow(clippy::cast_possible_truncation)]
fn index_of(index: usize) -> u32 {
    index as u32
}

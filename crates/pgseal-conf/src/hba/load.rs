//! A whole `pg_hba.conf` with everything it includes: its rules in the order in which they are tried, and everything
//! that is wrong with it. Knows what one mistake does to all the rest: the file is refused as a whole.

use std::ops::Range;

use super::diagnostic::{Diagnostic, Problem, Severity};
use super::grammar::{self, Remark};
use super::lint;
use super::rule::Rule;
use super::server::Server;
use crate::ByteString;
use crate::auth::{AuthFile, Record, expand};
use crate::files::{FileFault, Files};

/// A file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path, as the main file's path and the mentions make it.
    pub path: ByteString,
    /// Its text.
    pub text: AuthFile,
}

/// What became of one record: a row of `pg_hba_file_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file, by its place in [`Ruleset::files`].
    pub file: u32,
    /// The line there.
    pub line: u32,
    /// The rule, by its place in [`Ruleset::rules`]; `None` when it was refused.
    pub rule: Option<u32>,
    /// What the view's `error` column says.
    pub view_error: Option<String>,
}

/// Every rule of a `pg_hba.conf`, for one server.
#[derive(Clone, Debug)]
pub struct Ruleset {
    /// The server it was read for.
    pub server: Server,
    /// The files, the main one first.
    pub files: Vec<SourceFile>,
    /// The rules that can be read, in the order in which they are tried. Where the file does not load, the server goes
    /// on with what it loaded before, and these decide nothing.
    pub rules: Vec<Rule>,
    /// What became of each record, in the view's order.
    pub entries: Vec<Entry>,
    /// Everything wrong or odd, file by file in the order read.
    pub diagnostics: Vec<Diagnostic>,
}

impl Ruleset {
    /// Reads the file at `path` and all that it includes.
    pub fn load(path: &ByteString, files: &dyn Files, server: Server) -> Self {
        match files.read(path) {
            Ok(bytes) => Self::read(path, bytes, files, server),
            // A directory opens and has no lines.
            Err(FileFault::IsDirectory) => Self::read(path, Vec::new(), files, server),
            Err(fault) => Self::unread(
                path,
                server,
                Problem::Unreadable,
                format!("could not open file \"{path}\": {fault}"),
            ),
        }
    }

    /// Reads this text as the file at `path`, with all that it includes.
    pub fn read(path: &ByteString, text: Vec<u8>, files: &dyn Files, server: Server) -> Self {
        let expansion = match expand(path, text, server.version, files) {
            Ok(expansion) => expansion,
            Err(large) => return Self::unread(path, server, Problem::TooLarge, large.to_string()),
        };
        let sources = expansion.files.into_iter().map(|(path, text)| SourceFile { path, text }).collect();
        let mut ruleset =
            Self { server, files: sources, rules: Vec::new(), entries: Vec::new(), diagnostics: Vec::new() };
        for record in expansion.records {
            ruleset.record(record);
        }
        for (file, line, message) in expansion.remarks {
            let place = ruleset.place_of(file, line);
            ruleset.diagnose(Severity::Warning, Problem::SkippedFile, file, line, place, message);
        }
        lint::files(&mut ruleset);
        if ruleset.entries.is_empty() {
            let message = format!("configuration file \"{path}\" contains no entries");
            ruleset.diagnose(Severity::Error, Problem::NoEntries, 0, 0, 0..0, message);
        }
        ruleset.diagnostics.sort_by_key(|diagnostic| (diagnostic.file, diagnostic.line));
        ruleset
    }

    fn unread(path: &ByteString, server: Server, problem: Problem, message: String) -> Self {
        // Reading no bytes cannot be too much.
        let text = AuthFile::read(Vec::new(), server.version);
        let files = text.into_iter().map(|text| SourceFile { path: path.clone(), text }).collect();
        let mut ruleset =
            Self { server, files, rules: Vec::new(), entries: Vec::new(), diagnostics: Vec::new() };
        ruleset.diagnose(Severity::Error, problem, 0, 0, 0..0, message);
        ruleset
    }

    fn record(&mut self, record: Record) {
        let (file, line, source) = (record.file, record.line, record.source.clone());
        if let Some(error) = record.error {
            let problem = match error.as_str() {
                "authentication file line too long" | "authentication file token too long" => {
                    Problem::LineTooLong
                }
                _ => Problem::MentionedFile,
            };
            self.diagnose(Severity::Error, problem, file, line, source, error.clone());
            self.entries.push(Entry { file, line, rule: None, view_error: Some(error) });
            return;
        }
        let mut remarks = Vec::new();
        let read = grammar::rule(record, &self.server, &mut remarks);
        let mut view_error = None;
        for Remark { problem, message, place, shown_in_view } in remarks {
            if shown_in_view {
                view_error = Some(message.clone());
            }
            self.diagnose(Severity::Warning, problem, file, line, place, message);
        }
        let rule = match read {
            Ok(rule) => {
                self.rules.push(rule);
                u32::try_from(self.rules.len() - 1).ok()
            }
            Err(refusal) => {
                if refusal.shown_in_view {
                    view_error = Some(refusal.message.clone());
                }
                self.diagnose(Severity::Error, refusal.problem, file, line, refusal.place, refusal.message);
                None
            }
        };
        self.entries.push(Entry { file, line, rule, view_error });
    }

    pub(super) fn diagnose(
        &mut self,
        severity: Severity,
        problem: Problem,
        file: u32,
        line: u32,
        place: Range<usize>,
        message: String,
    ) {
        self.diagnostics.push(Diagnostic { severity, problem, file, line, place, message });
    }

    fn place_of(&self, file: u32, line: u32) -> Range<usize> {
        let line = self.files.get(file as usize).and_then(|file| file.text.line_numbered(line));
        line.map_or(0..0, crate::auth::Line::source)
    }

    /// Whether PostgreSQL would load the file. Where a diagnostic says [`Problem::NotJudged`], that depends on more
    /// than the file.
    pub fn loads(&self) -> bool {
        self.errors().next().is_none()
    }

    /// What keeps the file from being loaded.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The path of a file, by its place.
    pub fn path(&self, file: u32) -> Option<&ByteString> {
        self.files.get(file as usize).map(|file| &file.path)
    }
}

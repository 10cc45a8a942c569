//! The settings of a main file with everything it includes, then of `postgresql.auto.conf`, and which of them counts
//! (`ProcessConfigFileInternal`). Refuses to judge a value.

use super::command_line::CommandLine;
use super::file::{ConfFile, Statement};
use super::names::{current_name, is_parameter};
use crate::files::{FileFault, Files, conf_files, join, locate};
use crate::{ByteString, PgVersion};

/// `CONF_FILE_MAX_DEPTH`.
const MAX_DEPTH: usize = 10;
/// Where PostgreSQL would go on until memory ends: files that include others again and again.
const MAX_FILES: usize = 10_000;

/// How many syntax errors PostgreSQL reports in a file before it leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorLimit {
    /// 100: at start and reload.
    Hundred,
    /// One: what the view `pg_file_settings` does, so that it shows nothing behind the first error.
    One,
}

impl ErrorLimit {
    const fn count(self) -> usize {
        match self {
            Self::Hundred => 100,
            Self::One => 1,
        }
    }
}

/// One setting in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSetting {
    /// The file, by its place in [`Settings::files`].
    pub file: u32,
    /// Its line there.
    pub line: u32,
    /// Its name as written.
    pub name: ByteString,
    /// Its value, quotes and escapes taken out.
    pub value: ByteString,
    /// Whether no later one of the same name stands against it.
    pub counts: bool,
    /// Whether no such parameter exists in this version, so that the whole of the files is refused.
    pub unknown: bool,
}

/// Something that keeps all settings from being applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file it is in, by its place in [`Settings::files`]; `None`: the main file could not be read.
    pub file: Option<u32>,
    /// The line there.
    pub line: u32,
    /// In the words of `pg_file_settings`.
    pub message: String,
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effective<'s> {
    /// A line of a file.
    File(&'s FileSetting),
    /// The command line, which beats every file.
    CommandLine(&'s ByteString),
}

impl Effective<'_> {
    /// The value.
    pub fn value(&self) -> &ByteString {
        match self {
            Self::File(setting) => &setting.value,
            Self::CommandLine(value) => value,
        }
    }
}

/// Everything that the configuration files say.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The files, in the order in which they were first opened.
    pub files: Vec<(ByteString, ConfFile)>,
    /// Every setting, in the order read.
    pub settings: Vec<FileSetting>,
    /// What is wrong. As long as there is anything, a reload changes nothing and a start fails.
    pub errors: Vec<FileError>,
    /// Files that were to be included if they exist, and could not be opened.
    pub skipped: Vec<ByteString>,
    /// What was given on the command line.
    pub command_line: CommandLine,
    /// For which version the names are read; `None`: for the newest.
    version: Option<PgVersion>,
}

impl Settings {
    /// Reads the main file, what it includes, and `postgresql.auto.conf` in the data directory where that is known.
    pub fn load(
        config_file: &ByteString,
        data_directory: Option<&ByteString>,
        files: &dyn Files,
        version: PgVersion,
        limit: ErrorLimit,
    ) -> Self {
        let mut walk = Walk {
            source: files,
            version,
            limit,
            found: Self { version: Some(version), ..Self::default() },
            directories: Vec::new(),
            opened: 0,
        };
        if walk.file(config_file, true, None, 0)
            && let Some(directory) = data_directory
        {
            walk.file(&join(directory, &"postgresql.auto.conf".into(), version), false, None, 0);
        }
        let mut settings = walk.found;
        settings.weigh(version);
        settings
    }

    /// The same with a command line, whose settings beat those of files.
    #[must_use]
    pub fn with_command_line(mut self, command_line: CommandLine) -> Self {
        self.command_line = command_line;
        self
    }

    /// What the setting of this name is, in any case, or by a name that it had once; `None` when nothing sets it and the built-in value holds. Tells
    /// what would hold if the files were applied: see [`Settings::errors`].
    pub fn effective(&self, name: &str) -> Option<Effective<'_>> {
        let wanted = self.known_as(name.as_bytes());
        let settings = &self.command_line.settings;
        if let Some(given) = settings.iter().rfind(|given| self.known_as(given.name.as_bytes()) == wanted) {
            return Some(Effective::CommandLine(&given.value));
        }
        let named = |setting: &&FileSetting| self.known_as(setting.name.as_bytes()) == wanted;
        self.settings.iter().rfind(named).map(Effective::File)
    }

    fn known_as(&self, name: &[u8]) -> Vec<u8> {
        current_name(name, self.version.unwrap_or(PgVersion::LATEST))
    }

    /// The path of a file, by its place.
    pub fn path(&self, file: u32) -> Option<&ByteString> {
        self.files.get(file as usize).map(|(path, _)| path)
    }

    /// Marks what counts and what is unknown.
    fn weigh(&mut self, version: PgVersion) {
        let mut seen = std::collections::HashSet::new();
        for setting in self.settings.iter_mut().rev() {
            setting.unknown = !is_parameter(setting.name.as_bytes(), version);
            setting.counts = seen.insert(current_name(setting.name.as_bytes(), version));
        }
        let unknown = self.settings.iter().filter(|setting| setting.unknown);
        let errors = unknown.map(|setting| FileError {
            file: Some(setting.file),
            line: setting.line,
            message: "unrecognized configuration parameter".to_owned(),
        });
        self.errors.extend(errors);
    }
}

struct Walk<'w> {
    source: &'w dyn Files,
    version: PgVersion,
    limit: ErrorLimit,
    found: Settings,
    /// Those of the files that are directories.
    directories: Vec<u32>,
    opened: usize,
}

/// The line that includes a file.
type Caller = Option<(u32, u32)>;

impl Walk<'_> {
    /// `ParseConfigFile`: whether nothing was wrong.
    fn file(&mut self, name: &ByteString, strict: bool, caller: Caller, depth: usize) -> bool {
        if is_blank(name) {
            return self.error(caller, "empty configuration file name");
        }
        if depth > MAX_DEPTH {
            return self.error(caller, "nesting depth exceeded");
        }
        let calling = caller.and_then(|(file, _)| self.found.path(file)).cloned();
        let path = calling
            .as_ref()
            .map_or_else(|| name.clone(), |calling| locate(name.as_bytes(), calling, self.version));
        if calling.as_ref() == Some(&path) {
            return self.error(caller, "configuration file recursion");
        }
        self.opened += 1;
        if self.opened > MAX_FILES {
            return self.error(caller, &format!("more than {MAX_FILES} files included: given up here"));
        }
        if let Some(known) = self.found.files.iter().position(|(known, _)| *known == path) {
            return self.lines(index_of(known), depth) & self.is_no_directory(index_of(known));
        }
        match self.source.read(&path) {
            Ok(bytes) => self.read(path, bytes, depth, caller),
            Err(FileFault::IsDirectory) => {
                self.read(path, Vec::new(), depth, caller);
                let directory = index_of(self.found.files.len().saturating_sub(1));
                self.directories.push(directory);
                self.is_no_directory(directory)
            }
            Err(_) if strict => self.error(caller, &format!("could not open file \"{path}\"")),
            Err(_) => {
                self.found.skipped.push(path);
                true
            }
        }
    }

    /// A directory opens and cannot be read, each time it is included.
    fn is_no_directory(&mut self, index: u32) -> bool {
        !self.directories.contains(&index) || self.error(Some((index, 1)), "input in flex scanner failed")
    }

    fn read(&mut self, path: ByteString, bytes: Vec<u8>, depth: usize, caller: Caller) -> bool {
        match ConfFile::read(bytes) {
            Ok(file) => {
                self.found.files.push((path, file));
                self.lines(index_of(self.found.files.len() - 1), depth)
            }
            Err(large) => self.error(caller, &large.to_string()),
        }
    }

    /// `ParseConfigFp`: every line of a file, includes in their place.
    fn lines(&mut self, index: u32, depth: usize) -> bool {
        let mut fine = true;
        let mut errors = 0;
        let mut at = 0;
        while let Some((line, ends_in_newline)) = self.line(index, at) {
            at += 1;
            match line.statement {
                Statement::Empty => {}
                Statement::Broken { near } => {
                    // PostgreSQL has not counted a line that the end of the file ends.
                    let unfinished = near.is_none() && !ends_in_newline;
                    fine = self.error(Some((index, line.number - u32::from(unfinished))), "syntax error");
                    errors += 1;
                    if errors >= self.limit.count() {
                        break;
                    }
                }
                Statement::Setting { name, value, .. } => {
                    fine &= self.setting(index, line.number, name, value, depth);
                }
            }
        }
        fine
    }

    fn line(&self, file: u32, at: usize) -> Option<(super::ConfLine, bool)> {
        let (_, file) = self.found.files.get(file as usize)?;
        let line = file.lines().get(at)?;
        Some((line.clone(), file.raw(line).ends_with(b"\n")))
    }

    fn setting(&mut self, file: u32, line: u32, name: ByteString, value: ByteString, depth: usize) -> bool {
        let is = |directive: &[u8]| name.as_bytes().eq_ignore_ascii_case(directive);
        let caller = Some((file, line));
        if is(b"include") {
            self.file(&value, true, caller, depth + 1)
        } else if is(b"include_if_exists") {
            self.file(&value, false, caller, depth + 1)
        } else if is(b"include_dir") {
            self.directory(&value, (file, line), depth + 1)
        } else {
            self.found.settings.push(FileSetting { file, line, name, value, counts: true, unknown: false });
            true
        }
    }

    /// `ParseConfigDirectory`: stops at the first file that is not fine.
    fn directory(&mut self, name: &ByteString, caller: (u32, u32), depth: usize) -> bool {
        if is_blank(name) {
            return self.error(Some(caller), "empty configuration directory name");
        }
        let from = self.found.path(caller.0).cloned().unwrap_or_default();
        let directory = locate(name.as_bytes(), &from, self.version);
        match self.source.list(&directory) {
            Ok(listed) => conf_files(listed)
                .into_iter()
                .all(|name| self.file(&join(&directory, &name, self.version), true, Some(caller), depth)),
            Err(_) => self.error(Some(caller), &format!("could not open directory \"{directory}\"")),
        }
    }

    /// Notes an error; always `false`.
    fn error(&mut self, place: Caller, message: &str) -> bool {
        let (file, line) = place.map_or((None, 0), |(file, line)| (Some(file), line));
        self.found.errors.push(FileError { file, line, message: message.to_owned() });
        false
    }
}

fn is_blank(name: &ByteString) -> bool {
    name.as_bytes().iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// There are at most [`MAX_FILES`].
#[allow(clippy::cast_possible_truncation)]
fn index_of(index: usize) -> u32 {
    index as u32
}

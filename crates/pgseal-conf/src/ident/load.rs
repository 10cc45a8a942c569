//! A whole `pg_ident.conf` with everything it includes: its lines in order, and what is wrong with it
//! (`parse_ident_line`, `check_usermap`).

use std::collections::BTreeSet;

use super::mapping::{Mapped, Mapping, role};
use crate::auth::{Record, Word, expand};
use crate::files::{FileFault, Files};
use crate::hba::{Hinge, RoleMatch, SourceFile, World};
use crate::regex::Pattern;
use crate::{ByteString, PgVersion};

/// What became of one line: a row of `pg_ident_file_mappings` (15+).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file, by its place in [`Maps::files`].
    pub file: u32,
    /// The line there.
    pub line: u32,
    /// The mapping, by its place in [`Maps::mappings`]; `None` when it was refused.
    pub mapping: Option<u32>,
    /// What is wrong, in PostgreSQL's words.
    pub error: Option<String>,
}

/// Every line of a `pg_ident.conf`.
#[derive(Clone, Debug, Default)]
pub struct Maps {
    /// The files, the main one first.
    pub files: Vec<SourceFile>,
    /// The lines that can be read, in order.
    pub mappings: Vec<Mapping>,
    /// What became of each line.
    pub entries: Vec<Entry>,
    /// Why the main file could not be read.
    pub unreadable: Option<String>,
}

impl Maps {
    /// Reads the file at `path` and all that it includes.
    pub fn load(path: &ByteString, files: &dyn Files, version: PgVersion) -> Self {
        match files.read(path) {
            Ok(bytes) => Self::read(path, bytes, files, version),
            Err(FileFault::IsDirectory) => Self::read(path, Vec::new(), files, version),
            Err(fault) => {
                let message = format!("could not open file \"{path}\": {fault}");
                Self { unreadable: Some(message), ..Self::default() }
            }
        }
    }

    /// Reads this text as the file at `path`, with all that it includes.
    pub fn read(path: &ByteString, text: Vec<u8>, files: &dyn Files, version: PgVersion) -> Self {
        let expansion = match expand(path, text, version, files) {
            Ok(expansion) => expansion,
            Err(large) => return Self { unreadable: Some(large.to_string()), ..Self::default() },
        };
        let sources = expansion.files.into_iter().map(|(path, text)| SourceFile { path, text }).collect();
        let mut maps = Self { files: sources, ..Self::default() };
        for record in expansion.records {
            let (file, line) = (record.file, record.line);
            let (mapping, error) = match mapping(record, version) {
                Ok(mapping) => {
                    maps.mappings.push(mapping);
                    (u32::try_from(maps.mappings.len() - 1).ok(), None)
                }
                Err(error) => (None, Some(error)),
            };
            maps.entries.push(Entry { file, line, mapping, error });
        }
        maps
    }

    /// Whether PostgreSQL would take the file. If not, it goes on with the maps it has, or without any after a start.
    pub fn loads(&self) -> bool {
        self.unreadable.is_none() && self.entries.iter().all(|entry| entry.error.is_none())
    }

    /// Whether the authenticated `system_user` may be the database user `user` under `map=`; without a map the names
    /// must be the same. `ignore_case` is the setting `krb_caseins_users`, which concerns GSSAPI and SSPI alone.
    pub fn allows(
        &self,
        map: Option<&[u8]>,
        system_user: &[u8],
        user: &[u8],
        ignore_case: bool,
        world: &World,
    ) -> Mapped {
        let Some(map) = map.filter(|map| !map.is_empty()) else {
            let same = if ignore_case { system_user.eq_ignore_ascii_case(user) } else { system_user == user };
            return if same { Mapped::Yes } else { Mapped::No };
        };
        let mut hinges: BTreeSet<Hinge> = BTreeSet::new();
        for line in self.mappings.iter().filter(|line| line.map.as_bytes() == map) {
            match line.fits(system_user, user, ignore_case, world) {
                Mapped::No => {}
                Mapped::Depends(more) => hinges.extend(more),
                // What comes later no longer matters; what came before may.
                sure if hinges.is_empty() || sure == Mapped::Yes => return sure,
                Mapped::Yes | Mapped::Error => return Mapped::Depends(hinges),
            }
        }
        if hinges.is_empty() { Mapped::No } else { Mapped::Depends(hinges) }
    }
}

fn mapping(record: Record, version: PgVersion) -> Result<Mapping, String> {
    if let Some(error) = record.error {
        return Err(error);
    }
    let mut fields = record.fields.into_iter();
    let mut field = || -> Result<Word, String> {
        let mut words = fields.next().ok_or("missing entry at end of line")?;
        match (words.pop(), words.is_empty()) {
            (Some(word), true) => Ok(word),
            _ => Err("multiple values in ident field".to_owned()),
        }
    };
    let (map, system_user, database_user) = (field()?, field()?, field()?);
    let pattern = system_user.text.as_bytes().strip_prefix(b"/").map(Pattern::new);
    let role = role(&database_user.text, database_user.quoted, version);
    let mut patterns = pattern.iter().chain(match &role {
        RoleMatch::Regex(pattern) => Some(pattern),
        _ => None,
    });
    if let Some((pattern, error)) = patterns.find_map(|pattern| Some((pattern, pattern.error()?))) {
        return Err(format!("invalid regular expression \"{pattern}\": {error}"));
    }
    Ok(Mapping {
        file: record.file,
        line: record.line,
        source: record.source,
        map: map.text,
        system_user: system_user.text,
        pattern,
        database_user: database_user.text,
        role,
    })
}

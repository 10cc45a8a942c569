//! What is said of a file that PostgreSQL would not load.

use pgseal_conf::hba::{Diagnostic, Ruleset};

use super::excerpt;
use super::judged::{Reading, spelled, versions_of};
use super::loaded::Loaded;
use super::source::Source;
use crate::failure::Failure;

/// As many errors of a file as are shown beside a verdict; `hba check` shows them all.
const SHOWN: usize = 3;

/// The first errors of the refusing versions, with their lines.
pub(crate) fn refused(source: &Source, refusing: &[Reading]) -> Failure {
    let versions = spelled(&versions_of(refusing));
    let mut failure = Failure::new(format!("PostgreSQL {versions} would not load {}", source.path))
        .hint(format!("pgseal hba check {}", source.path));
    if let Some(loaded @ Loaded::Newer(_)) = &source.loaded {
        failure = failure.because(loaded.to_string());
    }
    match refusing.first() {
        Some(Reading { ruleset, .. }) => failure.because_all(first_errors(ruleset)),
        None => failure,
    }
}

/// The first errors, each with its line under it.
pub(crate) fn first_errors(ruleset: &Ruleset) -> Vec<String> {
    let mut lines = Vec::new();
    for error in ruleset.errors().take(SHOWN) {
        lines.push(format!("{}: {}", place(error, ruleset), shortened(&error.message)));
        let file = ruleset.files.get(error.file as usize);
        if let Some(line) = file.and_then(|file| file.text.line_numbered(error.line)) {
            lines.extend(excerpt::lines(line, error.place.clone()));
        }
    }
    lines
}

/// `line 7`, with the file where it is not the main one.
pub(crate) fn place(diagnostic: &Diagnostic, ruleset: &Ruleset) -> String {
    match (diagnostic.line, diagnostic.file, ruleset.path(diagnostic.file)) {
        (0, ..) => "the file".to_owned(),
        (line, 1.., Some(path)) => format!("{path} line {line}"),
        (line, ..) => format!("line {line}"),
    }
}

/// As much of a message as is shown, in characters: it may quote a name as long as its file.
const LONGEST: usize = 300;

pub(crate) fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

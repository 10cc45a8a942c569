//! What is said of a file that PostgreSQL would not load.

use pgseal_conf::PgVersion;
use pgseal_conf::hba::Ruleset;

use super::excerpt;
use super::judged::spelled;
use super::source::Source;
use crate::failure::Failure;

/// The first errors of the refusing versions, with their lines.
pub(crate) fn refused(source: &Source, refusing: &[(PgVersion, Ruleset)]) -> Failure {
    let versions: Vec<PgVersion> = refusing.iter().map(|(version, _)| *version).collect();
    let mut failure =
        Failure::new(format!("PostgreSQL {} would not load {}", spelled(&versions), source.path))
            .hint(format!("pgseal hba check {}", source.path));
    let Some((_, ruleset)) = refusing.first() else { return failure };
    for error in ruleset.errors().take(3) {
        failure = failure.because(format!("line {}: {}", error.line, error.message));
        let file = ruleset.files.get(error.file as usize);
        if let Some(line) = file.and_then(|file| file.text.line_numbered(error.line)) {
            failure = failure.because_all(excerpt::lines(line, error.place.clone()));
        }
    }
    failure
}

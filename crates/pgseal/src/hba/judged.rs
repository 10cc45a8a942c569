//! For which versions a file is judged, those that read it alike together, and how a set of versions reads.

use pgseal_conf::PgVersion;
use pgseal_conf::hba::Ruleset;

use super::source::Source;
use crate::failure::{Failure, Result};

/// `--pg-version`, else the version of the live server, else every version that was measured.
pub(crate) fn versions(asked: Option<&str>, live: Option<PgVersion>) -> Result<Vec<PgVersion>> {
    match (asked, live) {
        (Some(text), _) => {
            let version = text.parse().map_err(|error| {
                Failure::usage(format!("--pg-version {text}: {error}")).hint("--pg-version 16")
            })?;
            Ok(vec![version])
        }
        (None, Some(version)) => Ok(vec![version]),
        (None, None) => Ok(PgVersion::MEASURED.to_vec()),
    }
}

/// Versions that read a file alike, and what they read.
pub(crate) struct Reading {
    /// In their order, at least one.
    pub(crate) versions: Vec<PgVersion>,
    pub(crate) ruleset: Ruleset,
}

/// The file as every wanted version reads it.
pub(crate) fn readings(source: &Source, wanted: &[PgVersion]) -> Vec<Reading> {
    readings_of(source, &source.text, wanted)
}

/// The same for another text in its place.
pub(crate) fn readings_of(source: &Source, text: &[u8], wanted: &[PgVersion]) -> Vec<Reading> {
    let mut readings: Vec<Reading> = Vec::new();
    for version in wanted {
        let ruleset = source.ruleset_of(text.to_vec(), *version);
        match readings.iter_mut().find(|known| alike(&known.ruleset, &ruleset)) {
            Some(known) => known.versions.push(*version),
            None => readings.push(Reading { versions: vec![*version], ruleset }),
        }
    }
    readings
}

fn alike(one: &Ruleset, other: &Ruleset) -> bool {
    let paths = |set: &Ruleset| set.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    one.rules == other.rules && one.diagnostics == other.diagnostics && paths(one) == paths(other)
}

/// What was found of readings that load, equal findings together; and the readings that do not load.
pub(crate) struct Findings<T> {
    pub(crate) found: Vec<(Reading, T)>,
    pub(crate) refusing: Vec<Reading>,
}

/// Judges every reading that loads.
pub(crate) fn findings<T: PartialEq>(
    readings: Vec<Reading>,
    mut judge: impl FnMut(&Ruleset) -> T,
) -> Findings<T> {
    let mut findings = Findings { found: Vec::new(), refusing: Vec::new() };
    for reading in readings {
        if !reading.ruleset.loads() {
            findings.refusing.push(reading);
            continue;
        }
        let finding = judge(&reading.ruleset);
        let same = findings
            .found
            .iter_mut()
            .find(|(known, found)| *found == finding && known.ruleset.rules == reading.ruleset.rules);
        match same {
            Some((known, _)) => {
                known.versions.extend(reading.versions);
                known.versions.sort_unstable();
            }
            None => findings.found.push((reading, finding)),
        }
    }
    findings
}

/// All versions of some readings, in their order.
pub(crate) fn versions_of<'r>(readings: impl IntoIterator<Item = &'r Reading>) -> Vec<PgVersion> {
    let mut all: Vec<PgVersion> = readings.into_iter().flat_map(|reading| reading.versions.clone()).collect();
    all.sort_unstable();
    all
}

/// Their numbers, for JSON.
pub(crate) fn majors(versions: &[PgVersion]) -> Vec<u16> {
    versions.iter().map(|version| version.major()).collect()
}

/// `12`, `12, 13`, `14 to 18`; neighbours are drawn together.
pub(crate) fn spelled(versions: &[PgVersion]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for major in versions.iter().map(|version| version.major()) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == major => *last = major,
            _ => runs.push((major, major)),
        }
    }
    let run = |(first, last): &(u16, u16)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_versions_are_drawn_together() {
        let of = |majors: &[&str]| -> Vec<PgVersion> { majors.iter().map(|m| m.parse().unwrap()).collect() };
        assert_eq!(spelled(&of(&["12", "13"])), "12, 13");
        assert_eq!(spelled(&of(&["12", "14", "15", "16", "18"])), "12, 14 to 16, 18");
    }
}

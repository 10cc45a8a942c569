//! `pgseal hba check`.

use std::collections::BTreeMap;

use clap::Args;
use pgseal_conf::PgVersion;
use pgseal_conf::hba::{Diagnostic, Ruleset, Severity};
use serde::Serialize;
use time::OffsetDateTime;

use super::super::Outcome;
use super::super::options::Format;
use super::FileOptions;
use super::source::read;
use crate::failure::{Ending, Result};
use crate::hba::excerpt;
use crate::hba::judged::{Reading, majors, readings, spelled, versions, versions_of};
use crate::hba::loading::{self, shortened};
use crate::hba::source::Source;
use crate::hba::weakness::{Weakness, expired_exceptions, weaknesses};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 when every version judged would load the file, 1 otherwise, 3 when it cannot be read."
)]
pub(crate) struct Options {
    #[command(flatten)]
    file: FileOptions,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal hba check` (docs/schema/hba-check.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    file: String,
    /// Whether every version judged would load the file.
    loads: bool,
    loaded: Option<String>,
    versions: Vec<VersionRow>,
    diagnostics: Vec<DiagnosticRow>,
    weaknesses: &'a [Weakness],
}

#[derive(Debug, Serialize)]
struct VersionRow {
    version: u16,
    loads: bool,
}

#[derive(Debug, Serialize)]
struct DiagnosticRow {
    severity: &'static str,
    name: &'static str,
    file: String,
    line: u32,
    /// Bytes from the beginning of the line, counted from 1.
    column: usize,
    message: String,
    mend: &'static str,
    versions: Vec<u16>,
}

/// A diagnostic and the versions that have it.
struct Seen<'a> {
    diagnostic: &'a Diagnostic,
    ruleset: &'a Ruleset,
    versions: Vec<PgVersion>,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let source = read(&options.file.file).await?;
    let wanted = versions(options.file.pg_version.as_deref(), source.version)?;
    let readings = readings(&source, &wanted);
    let loads = readings.iter().all(|reading| reading.ruleset.loads());
    let mut weak = expired_exceptions(&source, &wanted, OffsetDateTime::now_utc().date());
    weak.extend(weaknesses(&readings, &source.world()));
    let seen = gather(&readings);
    let ending = if loads { Ending::Well } else { Ending::NotProved };
    let text = match options.format {
        Format::Human => human(&source, &wanted, &readings, &seen, &weak, Screen::of_stdout()),
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            file: source.path.to_string(),
            loads,
            loaded: source.loaded.as_ref().map(ToString::to_string),
            versions: wanted.iter().map(|version| version_row(*version, &readings)).collect(),
            diagnostics: seen.iter().map(row).collect(),
            weaknesses: &weak,
        })?,
    };
    Ok(Outcome { text, ending })
}

fn version_row(version: PgVersion, readings: &[Reading]) -> VersionRow {
    let loads = |reading: &Reading| reading.versions.contains(&version) && reading.ruleset.loads();
    VersionRow { version: version.major(), loads: readings.iter().any(loads) }
}

/// Every diagnostic once, with the versions that have it, in the order of the lines.
fn gather(readings: &[Reading]) -> Vec<Seen<'_>> {
    let mut seen: BTreeMap<_, Seen<'_>> = BTreeMap::new();
    for Reading { versions, ruleset } in readings {
        for diagnostic in &ruleset.diagnostics {
            let Diagnostic { severity, problem, file, line, place, message } = diagnostic;
            let path = ruleset.path(*file).cloned();
            let key =
                (*file, *line, place.start, std::cmp::Reverse(*severity), *problem, path, message.clone());
            seen.entry(key)
                .or_insert_with(|| Seen { diagnostic, ruleset, versions: Vec::new() })
                .versions
                .extend(versions);
        }
    }
    let mut seen: Vec<Seen<'_>> = seen.into_values().collect();
    for one in &mut seen {
        // A file that is included again has the same mistake again.
        one.versions.sort_unstable();
        one.versions.dedup();
    }
    seen
}

fn row(seen: &Seen<'_>) -> DiagnosticRow {
    let Diagnostic { severity, problem, file, line, place, message } = seen.diagnostic;
    let start = seen
        .ruleset
        .files
        .get(*file as usize)
        .and_then(|file| file.text.line_numbered(*line))
        .map_or(place.start, |line| line.source().start);
    DiagnosticRow {
        severity: severity.name(),
        name: problem.name(),
        file: seen.ruleset.path(*file).map(ToString::to_string).unwrap_or_default(),
        line: *line,
        column: place.start.saturating_sub(start) + 1,
        message: shortened(message),
        mend: problem.mend(),
        versions: majors(&seen.versions),
    }
}

fn human(
    source: &Source,
    wanted: &[PgVersion],
    readings: &[Reading],
    seen: &[Seen<'_>],
    weaknesses: &[Weakness],
    screen: Screen,
) -> String {
    let of = |loads: bool| versions_of(readings.iter().filter(|reading| reading.ruleset.loads() == loads));
    let mut lines = vec![for_terminal(&source.path.to_text())];
    if let Some(loaded) = &source.loaded {
        lines.push(format!("  {}", for_terminal(&loaded.to_string())));
    }
    let (loading, refusing) = (of(true), of(false));
    if !refusing.is_empty() {
        let what = format!("PostgreSQL {} would refuse the whole file", spelled(&refusing));
        lines.push(screen.line(Mark::HoldsNot, "does not load", &what));
    }
    if !loading.is_empty() {
        lines.push(screen.line(Mark::Holds, "loads", &format!("PostgreSQL {}", spelled(&loading))));
    }
    for one in seen.iter().take(MOST) {
        lines.push(String::new());
        lines.extend(diagnostic_lines(one, wanted.len(), screen));
    }
    lines.extend(rest(seen.len()));
    if !weaknesses.is_empty() {
        let main = source.path.to_string();
        lines.push(String::new());
        lines.extend(weaknesses.iter().take(MOST).map(|weakness| weakness.line(&main, wanted.len(), screen)));
        lines.extend(rest(weaknesses.len()));
    }
    lines.join("\n")
}

/// As many of a kind as a person reads.
const MOST: usize = 200;

/// How many more there are.
fn rest(count: usize) -> Option<String> {
    (count > MOST).then(|| format!("  and {} more: --format json has them all", count - MOST))
}

fn diagnostic_lines(seen: &Seen<'_>, judged: usize, screen: Screen) -> Vec<String> {
    let Diagnostic { severity, problem, file, line, place, message } = seen.diagnostic;
    let mark = match severity {
        Severity::Error => Mark::HoldsNot,
        Severity::Warning | Severity::Note => Mark::Mind,
    };
    let versions = if seen.versions.len() == judged {
        String::new()
    } else {
        format!(" (PostgreSQL {})", spelled(&seen.versions))
    };
    let place_words = for_terminal(&loading::place(seen.diagnostic, seen.ruleset));
    let mut lines = vec![format!(
        "  {} {place_words}: {}{versions}",
        screen.mark(mark),
        for_terminal(&shortened(message))
    )];
    let text = seen.ruleset.files.get(*file as usize).and_then(|file| file.text.line_numbered(*line));
    if let Some(text) = text {
        lines.extend(excerpt::lines(text, place.clone()));
    }
    if !problem.mend().is_empty() {
        lines.push(format!("      {}", problem.mend()));
    }
    lines
}

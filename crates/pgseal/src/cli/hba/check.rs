//! `pgseal hba check`.

use std::collections::BTreeMap;

use clap::Args;
use pgseal_conf::PgVersion;
use pgseal_conf::hba::{Diagnostic, Ruleset, Severity, World};
use serde::Serialize;
use time::OffsetDateTime;

use super::super::Outcome;
use super::super::options::Format;
use super::FileOptions;
use super::source::read;
use crate::failure::{Ending, Result};
use crate::hba::excerpt;
use crate::hba::judged::{spelled, versions};
use crate::hba::source::Source;
use crate::hba::weakness::{Weakness, expired_exceptions, weaknesses};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 when every version judged would load the file, 1 otherwise.")]
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
    let rulesets: Vec<Ruleset> = wanted.iter().map(|version| source.ruleset(*version)).collect();
    let loads = rulesets.iter().all(Ruleset::loads);
    let mut weak = expired_exceptions(&source, &wanted, OffsetDateTime::now_utc().date());
    weak.extend(weaknesses(&rulesets, &World::default()));
    let seen = gather(&rulesets);
    let ending = if loads { Ending::Well } else { Ending::NotProved };
    let text = match options.format {
        Format::Human => human(&source, &rulesets, &seen, &weak, Screen::of_stdout()),
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            file: source.path.to_string(),
            loads,
            loaded: source.loaded.as_ref().map(ToString::to_string),
            versions: rulesets
                .iter()
                .map(|set| VersionRow { version: set.server.version.major(), loads: set.loads() })
                .collect(),
            diagnostics: seen.iter().map(row).collect(),
            weaknesses: &weak,
        })?,
    };
    Ok(Outcome { text, ending })
}

/// Every diagnostic once, with the versions that have it, in the order of the lines.
fn gather(rulesets: &[Ruleset]) -> Vec<Seen<'_>> {
    let mut seen: BTreeMap<_, Seen<'_>> = BTreeMap::new();
    for ruleset in rulesets {
        for diagnostic in &ruleset.diagnostics {
            let Diagnostic { severity, problem, file, line, place, message } = diagnostic;
            let path = ruleset.path(*file).cloned();
            let key =
                (*file, *line, place.start, std::cmp::Reverse(*severity), *problem, path, message.clone());
            seen.entry(key)
                .or_insert_with(|| Seen { diagnostic, ruleset, versions: Vec::new() })
                .versions
                .push(ruleset.server.version);
        }
    }
    seen.into_values().collect()
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
        message: message.clone(),
        mend: problem.mend(),
        versions: seen.versions.iter().map(|version| version.major()).collect(),
    }
}

fn human(
    source: &Source,
    rulesets: &[Ruleset],
    seen: &[Seen<'_>],
    weaknesses: &[Weakness],
    screen: Screen,
) -> String {
    let of = |loads: bool| -> Vec<PgVersion> {
        rulesets.iter().filter(|set| set.loads() == loads).map(|set| set.server.version).collect()
    };
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
    for one in seen {
        lines.push(String::new());
        lines.extend(diagnostic_lines(one, rulesets.len(), screen));
    }
    if !weaknesses.is_empty() {
        lines.push(String::new());
        lines.extend(weaknesses.iter().map(|weakness| weakness.line(rulesets.len(), screen)));
    }
    lines.join("\n")
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
    let place_words = match seen.ruleset.path(*file) {
        _ if *line == 0 => "the file".to_owned(),
        Some(path) if *file != 0 => for_terminal(&format!("{path} line {line}")),
        _ => format!("line {line}"),
    };
    let mut lines =
        vec![format!("  {} {place_words}: {}{versions}", screen.mark(mark), for_terminal(message))];
    let text = seen.ruleset.files.get(*file as usize).and_then(|file| file.text.line_numbered(*line));
    if let Some(text) = text {
        lines.extend(excerpt::lines(text, place.clone()));
    }
    if !problem.mend().is_empty() {
        lines.push(format!("      {}", problem.mend()));
    }
    lines
}

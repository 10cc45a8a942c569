//! `pgseal hba prove`.

use clap::Args;
use pgseal_conf::hba::Ruleset;
use pgseal_conf::hba::proof::{NoPath, Unclear, Verdict, Witness, plaintext_path};
use serde::Serialize;

use super::super::Outcome;
use super::super::options::Format;
use super::FileOptions;
use super::source::read;
use crate::failure::{Ending, Result};
use crate::hba::excerpt;
use crate::hba::judged::{Findings, Reading, findings, majors, readings, spelled, versions, versions_of};
use crate::hba::loading::{first_errors, refused, shortened};
use crate::hba::source::Source;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal hba prove /etc/postgresql/15/main/pg_hba.conf
  ssh db1 cat /etc/postgresql/15/main/pg_hba.conf | pgseal hba prove - --pg-version 15

The user pgseal_nobody and the database pgseal_nowhere stand for any that the file does not name.
Exit status: 0 no path, 1 a path or cannot tell, 3 a file that PostgreSQL would not load.")]
pub(crate) struct Options {
    #[command(flatten)]
    file: FileOptions,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal hba prove` (docs/schema/hba-prove.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    file: String,
    /// The worst verdict: `does-not-load` before `path` before `cannot-tell` before `no-path`.
    verdict: &'static str,
    witness: Option<WitnessRow>,
    depends_on: Vec<String>,
    reason: Option<String>,
    loaded: Option<String>,
    versions: Vec<VersionRow>,
}

#[derive(Debug, Serialize)]
struct VersionRow {
    versions: Vec<u16>,
    verdict: &'static str,
    witness: Option<WitnessRow>,
    depends_on: Vec<String>,
    reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct WitnessRow {
    address: Option<String>,
    user: String,
    database: Option<String>,
    replication: bool,
    file: String,
    line: u32,
    method: &'static str,
}

type Proved = Findings<Verdict>;

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let source = read(&options.file.file).await?;
    let wanted = versions(options.file.pg_version.as_deref(), source.version)?;
    let world = source.world();
    let proved = findings(readings(&source, &wanted), |ruleset| plaintext_path(&ruleset.rules, &world));
    let Some(worst) = proved.found.iter().max_by_key(|(_, verdict)| weight(verdict)) else {
        return Err(refused(&source, &proved.refusing));
    };
    let ending = match &worst.1 {
        _ if !proved.refusing.is_empty() => Ending::NotCarriedOut,
        Verdict::NoPath(_) => Ending::Well,
        _ => Ending::NotProved,
    };
    let text = match options.format {
        Format::Human => human(&source, &proved, Screen::of_stdout()),
        Format::Json => json::text(&row(&source, worst, &proved))?,
    };
    Ok(Outcome { text, ending })
}

const fn weight(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::NoPath(_) => 0,
        Verdict::CannotTell(_) => 1,
        Verdict::Path(_) => 2,
    }
}

/// What a version says that would not load the file.
pub(super) const DOES_NOT_LOAD: &str = "does-not-load";

fn row(source: &Source, worst: &(Reading, Verdict), proved: &Proved) -> Row {
    let judged = |(reading, verdict): &(Reading, Verdict)| VersionRow {
        versions: majors(&reading.versions),
        verdict: verdict.name(),
        witness: verdict.witness().map(|witness| witness_row(witness, &reading.ruleset)),
        depends_on: hinges(verdict),
        reason: reason(verdict, &reading.ruleset),
    };
    let unread = |reading: &Reading| VersionRow {
        versions: majors(&reading.versions),
        verdict: DOES_NOT_LOAD,
        witness: None,
        depends_on: Vec::new(),
        reason: reading.ruleset.errors().next().map(|error| shortened(&error.message)),
    };
    let versions: Vec<VersionRow> =
        proved.refusing.iter().map(unread).chain(proved.found.iter().map(judged)).collect();
    let VersionRow { verdict, witness, depends_on, reason, .. } =
        proved.refusing.first().map_or_else(|| judged(worst), unread);
    Row {
        schema_version: SCHEMA_VERSION,
        file: source.path.to_string(),
        verdict,
        witness,
        depends_on,
        reason,
        loaded: source.loaded.as_ref().map(ToString::to_string),
        versions,
    }
}

pub(super) fn witness_row(witness: &Witness, ruleset: &Ruleset) -> WitnessRow {
    let rule = ruleset.rules.get(witness.rule);
    WitnessRow {
        address: witness.address.as_ref().map(ToString::to_string),
        user: witness.user.to_string(),
        database: witness.database.as_ref().map(ToString::to_string),
        replication: witness.database.is_none(),
        file: rule.and_then(|rule| ruleset.path(rule.file)).map(ToString::to_string).unwrap_or_default(),
        line: rule.map_or(0, |rule| rule.line),
        method: witness.method.name(),
    }
}

fn hinges(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::CannotTell(unclear) => unclear.hinges.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn reason(verdict: &Verdict, ruleset: &Ruleset) -> Option<String> {
    let Verdict::NoPath(why) = verdict else { return None };
    Some(match why {
        NoPath::NoSuchRule => "no line lets a connection without TLS in".to_owned(),
        NoPath::Shadowed { by, .. } if by.is_empty() => {
            "every line that would let one in stands behind others that refuse it".to_owned()
        }
        NoPath::Shadowed { by, jointly } => {
            let lines: Vec<String> = by
                .iter()
                .filter_map(|index| ruleset.rules.get(*index))
                .map(|rule| rule.line.to_string())
                .take(8)
                .collect();
            let (noun, verb) = if by.len() == 1 { ("line", "takes") } else { ("lines", "take") };
            let together = if *jointly { "together " } else { "" };
            format!(
                "{noun} {} {together}{verb} whatever a later line would let in without TLS",
                lines.join(", ")
            )
        }
    })
}

fn human(source: &Source, proved: &Proved, screen: Screen) -> String {
    let mut lines = vec![for_terminal(&source.path.to_text())];
    if let Some(loaded) = &source.loaded {
        lines.push(format!("  {}", for_terminal(&loaded.to_string())));
    }
    lines.extend(unread_lines(&proved.refusing, screen));
    for (reading, verdict) in &proved.found {
        lines.extend(verdict_lines(reading, verdict, screen));
    }
    let open = proved.found.iter().any(|(_, verdict)| !matches!(verdict, Verdict::NoPath(_)));
    if open && source.loaded.is_none() {
        lines.push(format!("Close it: pgseal hba enforce {}", for_terminal(&source.path.to_text())));
    }
    lines.join("\n")
}

/// Versions that would not load the file, and the first errors of it.
pub(super) fn unread_lines(refusing: &[Reading], screen: Screen) -> Vec<String> {
    let Some(first) = refusing.first() else { return Vec::new() };
    let versions = format!("PostgreSQL {}", spelled(&versions_of(refusing)));
    let errors = first_errors(&first.ruleset).into_iter().map(|line| format!("    {}", for_terminal(&line)));
    std::iter::once(screen.line(Mark::HoldsNot, "does not load", &versions)).chain(errors).collect()
}

fn verdict_lines(reading: &Reading, verdict: &Verdict, screen: Screen) -> Vec<String> {
    let (mark, title) = match verdict {
        Verdict::NoPath(_) => (Mark::Holds, "no plaintext path"),
        Verdict::Path(_) => (Mark::HoldsNot, "a plaintext path"),
        Verdict::CannotTell(_) => (Mark::CannotTell, "cannot tell"),
    };
    let mut lines = vec![screen.line(mark, title, &format!("PostgreSQL {}", spelled(&reading.versions)))];
    lines.extend(reason(verdict, &reading.ruleset).map(|reason| format!("    {reason}")));
    if let Some(witness) = verdict.witness() {
        lines.extend(witness_lines(witness, &reading.ruleset));
    }
    if let Verdict::CannotTell(unclear) = verdict {
        lines.extend(hinge_lines(unclear));
    }
    lines
}

/// Who gets in, and the line that lets them.
pub(super) fn witness_lines(witness: &Witness, ruleset: &Ruleset) -> Vec<String> {
    let row = witness_row(witness, ruleset);
    let purpose =
        row.database.map_or_else(|| "physical replication".to_owned(), |name| format!("database {name}"));
    let from = row.address.map_or_else(|| "a local socket".to_owned(), |address| format!("from {address}"));
    let mut lines = vec![format!("    user {}, {purpose}, {from}: {}", for_terminal(&row.user), row.method)];
    let Some(rule) = ruleset.rules.get(witness.rule) else { return lines };
    if let Some(line) =
        ruleset.files.get(rule.file as usize).and_then(|file| file.text.line_numbered(rule.line))
    {
        if rule.file != 0 {
            lines.push(format!("    in {}", for_terminal(&row.file)));
        }
        lines.extend(excerpt::lines(line, 0..0));
    }
    lines
}

fn hinge_lines(unclear: &Unclear) -> Vec<String> {
    let mut lines: Vec<String> = unclear
        .hinges
        .iter()
        .map(|hinge| format!("    it hinges on {}", for_terminal(&hinge.to_string())))
        .collect();
    if unclear.witness.is_none() {
        lines.push("    the search was given up".to_owned());
    }
    lines
}

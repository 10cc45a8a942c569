//! `pgseal hba enforce`.

use std::io::IsTerminal as _;

use clap::Args;
use pgseal_conf::PgVersion;
use pgseal_conf::hba::proof::{Verdict, plaintext_path};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::super::options::Format;
use super::super::{Outcome, write_bytes};
use super::FileOptions;
use super::source::read;
use crate::failure::{Failure, Result};
use crate::hba::enforcement::{Exception, NOTE, enforced, is_enforced, without};
use crate::hba::judged::{majors, readings_of, spelled, versions, versions_of};
use crate::hba::loading::refused;
use crate::hba::rewrite::{as_file, rewrite};
use crate::hba::source::Source;
use crate::hba::{diff, mask};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::stderr::say;
use serde::Serialize;

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "Examples:
  pgseal hba enforce pg_hba.conf --diff
  pgseal hba enforce pg_hba.conf --in-place
  pgseal hba enforce pg_hba.conf --except 'legacy@10.0.0.31' --until 2027-03-31 -i
  pgseal hba enforce pg_hba.conf --undo -i

The two lines come first, and PostgreSQL takes the first line that matches: whatever stands below
stays as it is. A server reads the file at its next reload. Exceptions end when they are taken out:
`pgseal hba check` names those whose date has passed.
Exit status: 0 done, 1 when the lines would leave a way in, 2 wrong usage, 3 a file that cannot be
read, that no version judged would load, or that cannot be written.")]
pub(crate) struct Options {
    #[command(flatten)]
    file: FileOptions,
    /// Show what would change instead of the whole file
    #[arg(long)]
    diff: bool,
    /// Write the file itself, by one rename, owner and mode kept
    #[arg(short, long)]
    in_place: bool,
    /// Keep GSS-encrypted clients in: hostnossl meets them too
    #[arg(long)]
    gss: bool,
    /// Let this user in without TLS from there, as until now (repeatable)
    #[arg(long = "except", value_name = "USER@CIDR", requires = "until")]
    exceptions: Vec<String>,
    /// The day on which the exceptions end
    #[arg(long, value_name = "YYYY-MM-DD", requires = "exceptions")]
    until: Option<String>,
    /// Take our block out again, and no other byte
    #[arg(long, conflicts_with_all = ["gss", "exceptions"])]
    undo: bool,
    /// How the result is shown; JSON says what changes in place of the file
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal hba enforce` (docs/schema/hba-enforce.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    file: String,
    /// Whether the new text holds our block.
    enforced: bool,
    /// Whether the new text differs from the old one.
    changed: bool,
    /// Whether the file was written.
    written: bool,
    /// Versions for which the new text was proved; none with `--undo`.
    proved_for: Vec<u16>,
    /// Versions that would not load the file, with or without the block.
    do_not_load: Vec<u16>,
    /// As `--diff` shows it.
    diff: String,
}

/// What the file is to hold.
struct Wish {
    text: Vec<u8>,
    proved_for: Vec<PgVersion>,
    do_not_load: Vec<PgVersion>,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    if options.in_place {
        as_file(&options.file.file)?;
    }
    let source = read(&options.file.file).await?;
    let wanted = versions(options.file.pg_version.as_deref(), source.version)?;
    let wish = if options.undo { undone(&source)? } else { sealed(&source, &wanted, &options)? };
    let changed = wish.text != source.text;
    if options.in_place && changed {
        rewrite(&as_file(&options.file.file)?, &source.text, &wish.text).await?;
    }
    // How lines are cut differs from version to version, and with it where a password ends.
    let newest = wish.proved_for.last().or(wanted.last()).copied().unwrap_or(PgVersion::LATEST);
    let diff = || diff::unified(&source.path.to_string(), &source.text, &wish.text, newest);
    if options.format == Format::Json {
        return Ok(Outcome::well(json::text(&Row {
            schema_version: SCHEMA_VERSION,
            file: source.path.to_string(),
            enforced: is_enforced(&wish.text),
            changed,
            written: options.in_place && changed,
            proved_for: majors(&wish.proved_for),
            do_not_load: majors(&wish.do_not_load),
            diff: diff(),
        })?));
    }
    tell(&source, &wish, &options);
    if options.diff {
        return Ok(Outcome::well(diff()));
    }
    if options.in_place {
        let what = match (options.undo, changed) {
            (_, false) => "nothing to do, it is so already",
            (true, true) => "put back; a reload makes it count",
            (false, true) => "plaintext is refused, and proved to be; a reload makes it count",
        };
        return Ok(Outcome::well(for_terminal(&format!("{}: {what}", source.path))));
    }
    print(&wish.text, newest)?;
    Ok(Outcome::well(String::new()))
}

/// What is to be minded, beside the result.
fn tell(source: &Source, wish: &Wish, options: &Options) {
    if options.undo && !is_enforced(&source.text) {
        say(&format!("pgseal: there is no block of ours in {}", source.path));
    }
    if !wish.do_not_load.is_empty() {
        say(&format!(
            "pgseal: PostgreSQL {} would not load this file, with or without the lines",
            spelled(&wish.do_not_load)
        ));
    }
}

fn undone(source: &Source) -> Result<Wish> {
    Ok(Wish { text: without(&source.text)?, proved_for: Vec::new(), do_not_load: Vec::new() })
}

/// The file with our block, proved for every version that would load it.
fn sealed(source: &Source, wanted: &[PgVersion], options: &Options) -> Result<Wish> {
    let exceptions = exceptions(options)?;
    let bare = without(&source.text)?;
    let (loading, refusing): (Vec<_>, Vec<_>) =
        readings_of(source, &bare, wanted).into_iter().partition(|reading| reading.ruleset.loads());
    let proved_for = versions_of(&loading);
    // Copied lines are the newest version's.
    let Some(read) = loading.iter().max_by_key(|reading| reading.versions.last()) else {
        return Err(refused(source, &refusing));
    };
    let text = enforced(&read.ruleset, &source.text, &exceptions, options.gss, NOTE)?;
    // The proof is about everything but what was asked for.
    let strict = enforced(&read.ruleset, &source.text, &[], options.gss, NOTE)?;
    prove(source, &strict, &text, &proved_for)?;
    Ok(Wish { text, proved_for, do_not_load: versions_of(&refusing) })
}

/// Stops unless each of these versions would load the new text, and the strict one, which is the same
/// without exceptions, lets nobody in without TLS.
fn prove(source: &Source, strict: &[u8], new: &[u8], versions: &[PgVersion]) -> Result<()> {
    let world = source.world();
    let loads = readings_of(source, new, versions).iter().all(|reading| reading.ruleset.loads());
    for reading in readings_of(source, strict, versions) {
        match plaintext_path(&reading.ruleset.rules, &world) {
            Verdict::NoPath(_) if loads && reading.ruleset.loads() => {}
            _ => {
                return Err(Failure::stopped(format!(
                    "the lines would not close every way in on PostgreSQL {}; nothing was written",
                    spelled(&reading.versions)
                ))
                .hint(format!("pgseal hba check {}", source.path)));
            }
        }
    }
    Ok(())
}

fn exceptions(options: &Options) -> Result<Vec<Exception>> {
    let Some(until) = &options.until else { return Ok(Vec::new()) };
    let until = Date::parse(until, format_description!("[year]-[month]-[day]"))
        .map_err(|error| Failure::usage(format!("--until {until}: {error}")).hint("--until 2027-03-31"))?;
    if until < OffsetDateTime::now_utc().date() {
        return Err(Failure::usage(format!("--until {until} is past")).hint("a day to come"));
    }
    options.exceptions.iter().map(|word| Exception::parse(word, until)).collect()
}

/// The file itself. On a terminal passwords in it are hidden; a pipe gets every byte.
fn print(new: &[u8], version: PgVersion) -> Result<()> {
    let shown = if std::io::stdout().is_terminal() { mask::text(new, version) } else { new.to_vec() };
    write_bytes(&shown).map_err(|error| Failure::new(format!("could not write the file out: {error}")))
}

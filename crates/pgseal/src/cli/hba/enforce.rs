//! `pgseal hba enforce`.

use std::io::IsTerminal as _;

use clap::Args;
use pgseal_conf::PgVersion;
use pgseal_conf::hba::World;
use pgseal_conf::hba::proof::{Verdict, plaintext_path};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::super::{Outcome, say, write_bytes};
use super::FileOptions;
use super::source::read;
use crate::failure::{Failure, Result};
use crate::hba::enforcement::{Exception, enforced, is_enforced, without};
use crate::hba::judged::{spelled, versions};
use crate::hba::loading::refused;
use crate::hba::rewrite::{as_file, rewrite};
use crate::hba::source::Source;
use crate::hba::{diff, mask};

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "Examples:
  pgseal hba enforce pg_hba.conf --diff
  pgseal hba enforce pg_hba.conf --in-place
  pgseal hba enforce pg_hba.conf --except 'legacy@10.0.0.31' --until 2027-03-31 -i
  pgseal hba enforce pg_hba.conf --undo -i

The two lines come first, and PostgreSQL takes the first line that matches: whatever stands below
stays as it is. A server reads the file at its next reload. Exceptions end when they are taken out:
`pgseal hba check` names those whose date has passed.")]
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
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    if options.in_place {
        as_file(&options.file.file)?;
    }
    let source = read(&options.file.file).await?;
    let wanted = versions(options.file.pg_version.as_deref(), source.version)?;
    let (new, newest) = if options.undo {
        let newest = wanted.last().copied().unwrap_or(PgVersion::LATEST);
        (undone(&source)?, newest)
    } else {
        sealed(&source, &wanted, &options)?
    };
    if options.in_place {
        rewrite(&as_file(&options.file.file)?, &source.text, &new).await?;
    }
    if options.diff {
        return Ok(Outcome::well(diff::unified(&source.path.to_string(), &source.text, &new, newest)));
    }
    if options.in_place {
        let what = if options.undo { "put back" } else { "plaintext is refused, and proved to be" };
        return Ok(Outcome::well(format!("{}: {what}; a reload makes it count", source.path)));
    }
    print(&new, newest)?;
    Ok(Outcome::well(String::new()))
}

fn undone(source: &Source) -> Result<Vec<u8>> {
    if !is_enforced(&source.text) {
        say(&format!("pgseal: there is no block of ours in {}", source.path));
    }
    without(&source.text)
}

/// The file with our block, proved for every version that would load it; the newest of them.
fn sealed(source: &Source, wanted: &[PgVersion], options: &Options) -> Result<(Vec<u8>, PgVersion)> {
    let exceptions = exceptions(options)?;
    let bare = without(&source.text)?;
    let rulesets: Vec<_> =
        wanted.iter().map(|version| (*version, source.ruleset_of(bare.clone(), *version))).collect();
    let (loading, refusing): (Vec<_>, Vec<_>) = rulesets.into_iter().partition(|(_, set)| set.loads());
    let Some((newest, ruleset)) = loading.last() else {
        return Err(refused(source, &refusing));
    };
    let new = enforced(ruleset, &source.text, &exceptions, options.gss)?;
    // The proof is about everything but what was asked for.
    let strict = enforced(ruleset, &source.text, &[], options.gss)?;
    for (version, _) in &loading {
        let proved = source.ruleset_of(strict.clone(), *version);
        let loads = source.ruleset_of(new.clone(), *version).loads();
        match plaintext_path(&proved.rules, &World::default()) {
            Verdict::NoPath(_) if loads => {}
            _ => {
                return Err(Failure::stopped(format!(
                    "the lines would not close every way in on PostgreSQL {version}; nothing was written"
                ))
                .hint(format!("pgseal hba check {}", source.path)));
            }
        }
    }
    if !refusing.is_empty() {
        let others: Vec<PgVersion> = refusing.iter().map(|(version, _)| *version).collect();
        say(&format!(
            "pgseal: PostgreSQL {} would not load this file, with or without the lines",
            spelled(&others)
        ));
    }
    Ok((new, *newest))
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

//! `pgseal undo`, `pgseal confirm` and `pgseal history`: changes that stand in the journal.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::options::Format;
use time::OffsetDateTime;

use crate::failure::{Ending, Failure, Result};
use crate::interrupt::{Shield, interruptible};
use crate::journal::{Change, Journal, Phase, Trouble, View};
use crate::place::Place;
use crate::report::escape::{for_terminal, lines_for_terminal};
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::report::stderr::say;
use crate::secure::certificate::weak;
use crate::secure::edits::Kept;
use crate::secure::previous_keys::{self, PreviousKey};
use crate::secure::restore::{self, Seen, restore_keeping, same, shown_now};
use crate::secure::run::{journal_of, with_journal};
use crate::target::{Target, shown};

#[derive(Debug, Args)]
#[command(
    after_help = "Every file as it was, to the byte, with owner and mode; then a reload, and a look at the wire.
Files that somebody else changed since are not written over; with --keep-others-edits they keep what was
changed, and lose the lines between pgseal's own markers. Exit status: 0 undone, 1 stopped, or undone and
the wire shows something else than the files, 3 it could not be carried out."
)]
pub(crate) struct Undo {
    /// The server whose last change is to be undone
    target: String,
    /// Also where plaintext is let in again, or a certificate comes back that clients should not take
    #[arg(long)]
    allow_insecure: bool,
    /// Where others edited a file since: take pgseal's marked blocks out of it, and leave what they wrote
    #[arg(long)]
    keep_others_edits: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// The server whose change is to stay
    target: String,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// The server whose changes are to be listed
    target: String,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `undo` and `confirm` (docs/schema/change.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    change: &'a str,
    /// `undone` or `committed`.
    state: &'static str,
    /// What it was seen by: `on-the-wire`, `otherwise`, `no-server`, or null for `confirm`.
    seen: Option<&'static str>,
    /// Files that others had edited, and what was taken out of them.
    kept: Vec<KeptRow<'a>>,
}

#[derive(Debug, Serialize)]
struct KeptRow<'a> {
    path: String,
    diff: &'a str,
}

/// The JSON of `history` (docs/schema/history.json).
#[derive(Debug, Serialize)]
struct HistoryRow<'a> {
    schema_version: u32,
    target: &'a str,
    changes: Vec<ChangeRow<'a>>,
}

#[derive(Debug, Serialize)]
struct ChangeRow<'a> {
    change: &'a str,
    began: &'a str,
    title: &'a str,
    state: &'static str,
    /// What came in the way of the watcher of `--confirm-within`; null: nothing.
    trouble: Option<TroubleRow>,
    files: Vec<FileRow<'a>>,
    /// Private keys that it replaced.
    previous_keys: Vec<PreviousKeyRow>,
}

#[derive(Debug, Serialize)]
struct TroubleRow {
    /// RFC 3339.
    at: String,
    said: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PreviousKeyRow {
    path: String,
    /// The day on which it goes; null: it is kept no longer.
    kept_until: Option<String>,
}

#[derive(Debug, Serialize)]
struct FileRow<'a> {
    path: String,
    new: bool,
    diff: &'a str,
}

pub(crate) async fn undo(options: Undo) -> Result<Outcome> {
    if let Target::Connection(text) = Target::parse(&options.target)? {
        let id = super::secure_remote::undo(&text).await?;
        return said(&options, &id, None, &[]);
    }
    let shield = Shield::default();
    let undone = take_back(&options, &shield);
    let (change, seen, kept) = interruptible(&shield, undone).await?;
    said(&options, &change.id, Some(&seen), &kept)
}

fn said(options: &Undo, id: &str, seen: Option<&Seen>, kept: &[Kept]) -> Result<Outcome> {
    let name = match seen {
        Some(Seen::OnTheWire | Seen::AsTheFilesSay(_)) => Some("on-the-wire"),
        Some(Seen::Otherwise { .. }) => Some("otherwise"),
        Some(Seen::NoServer) => Some("no-server"),
        None => None,
    };
    let words = seen.map_or_else(|| "the settings are what they were before".to_owned(), Seen::words);
    let otherwise = matches!(seen, Some(Seen::Otherwise { .. }));
    let text = match options.format {
        Format::Human => {
            let mark = if otherwise { Mark::HoldsNot } else { Mark::Holds };
            let undone =
                Screen::of_stdout().line(mark, "undone", &for_terminal(&format!("change {id}: {words}")));
            kept.iter().flat_map(kept_lines).chain([undone]).collect::<Vec<_>>().join("\n")
        }
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            target: &shown(&options.target),
            change: id,
            state: "undone",
            seen: name,
            kept: kept
                .iter()
                .map(|file| KeptRow { path: file.path.display().to_string(), diff: &file.diff })
                .collect(),
        })?,
    };
    Ok(Outcome { text, ending: if otherwise { Ending::NotProved } else { Ending::Well } })
}

/// A file that others had edited, with what went out of it.
fn kept_lines(file: &Kept) -> Vec<String> {
    let path = for_terminal(&file.path.display().to_string());
    if file.diff.is_empty() {
        return vec![format!("{path} was edited by others, holds no block of ours, and stays as it is")];
    }
    let diff = lines_for_terminal(file.diff.trim_end_matches('\n'));
    let head = format!("{path} was edited by others; what went out of it:");
    std::iter::once(head).chain(diff.lines().map(|line| format!("  {line}"))).collect()
}

async fn take_back(options: &Undo, shield: &Shield) -> Result<(Change, Seen, Vec<Kept>)> {
    let (mut place, _lock, journal) = with_journal(&options.target).await?;
    let nothing = || {
        Failure::stopped(format!("there is no change of {} to undo", options.target))
            .hint(format!("pgseal history {}", options.target))
    };
    let journal = journal.ok_or_else(nothing)?;
    let unfinished = journal.unfinished()?;
    let (change, phase) = match unfinished {
        Some((change, found)) => (change, found.taken_back()),
        None => (journal.last_committed()?.ok_or_else(nothing)?, Phase::Undone),
    };
    let brings_back = if lets_more_in(&mut place, &change).await? {
        Some("lets plaintext in again".to_owned())
    } else {
        unfit_before(&change).map(|why| format!("brings a certificate back: {why}"))
    };
    let asked_already = matches!(journal.phase(&change)?, Phase::Undoing | Phase::Restored { .. });
    if let Some(what) = brings_back
        && phase == Phase::Undone
        && !asked_already
        && !options.allow_insecure
    {
        return Err(Failure::stopped(format!("undoing change {} {what}", change.id))
            .because(format!("before it the server showed: {}", restore::words(&change.view)))
            .because("nothing was changed")
            .hint(format!("pgseal undo {} --allow-insecure", options.target)));
    }
    if phase == Phase::Undone {
        serves_nobody_else(&mut place, &change).await?;
    }
    // From here on a signal waits: half an undo is nothing to stop at.
    let _held = shield.hold();
    let mut kept = Vec::new();
    let keep = options.keep_others_edits.then_some(&mut kept);
    let seen = restore_keeping(&mut place, &journal, &change, change.files.len(), &phase, keep).await?;
    Ok((change, seen, kept))
}

/// A key and a certificate that another cluster was upgraded with are not taken from under it.
async fn serves_nobody_else(place: &mut Place, change: &Change) -> Result<()> {
    let made = change.files.iter().filter(|file| file.before.is_none()).filter_map(|file| file.path.parent());
    let folders: std::collections::BTreeSet<&Path> = made.collect();
    for folder in folders {
        if let Some(other) = place.other_cluster_that_names(folder).await? {
            return Err(Failure::stopped(format!(
                "undoing change {} removes {}, and cluster {other} serves with what is in there",
                change.id,
                folder.display()
            ))
            .because("nothing was changed")
            .hint(format!("pgseal secure {other} --reissue --ca DIR gives it its own, then again")));
        }
    }
    Ok(())
}

/// Why clients should not take the certificate of before, where the change replaced it.
fn unfit_before(change: &Change) -> Option<String> {
    change.certificate.as_ref()?;
    let before = pgseal_pki::read_bundle(change.served.as_ref()?.as_bytes()).ok()?;
    let leaf = before.certificates.first()?;
    let now = OffsetDateTime::now_utc();
    if now > leaf.not_after() {
        return Some(format!("it expired on {}", leaf.not_after().date()));
    }
    if now < leaf.not_before() {
        return Some(format!("it is not valid before {}", leaf.not_before().date()));
    }
    weak(leaf)
}

/// Whether plaintext came further before the change than it does now. Where nobody can look, what was before decides.
async fn lets_more_in(place: &mut Place, change: &Change) -> Result<bool> {
    let before = &change.view;
    if before.certificate.is_none() || before.plaintext != Some(true) {
        return Ok(before.certificate.is_none());
    }
    Ok(shown_now(place, change).await?.is_none_or(|now| now.plaintext != Some(true)))
}

pub(crate) async fn confirm(options: Confirm) -> Result<Outcome> {
    let (mut place, _lock, journal) = with_journal(&options.target).await?;
    let found = journal.as_ref().map(Journal::unfinished).transpose()?.flatten();
    if let Some((change, phase)) = found.as_ref().filter(|(_, phase)| phase.is_on_the_way()) {
        return Err(Failure::stopped(format!(
            "change {} is {}, and cannot be kept",
            change.id,
            phase.words()
        ))
        .hint(format!("pgseal undo {}", options.target)));
    }
    let (Some(journal), Some((change, Phase::AwaitingConfirmation { until, shown }))) = (journal, found)
    else {
        return Err(Failure::stopped(format!("no change of {} awaits confirmation", options.target))
            .hint(format!("pgseal history {}", options.target)));
    };
    if OffsetDateTime::now_utc().unix_timestamp() >= until {
        return Err(Failure::stopped(format!(
            "the time of change {} is over, and it is being undone",
            change.id
        )));
    }
    stands(&mut place, &change, shown.as_ref(), &options.target).await?;
    journal.set(&change, &Phase::Committed)?;
    let text = match options.format {
        Format::Human => {
            Screen::of_stdout().line(Mark::Holds, "confirmed", &format!("change {} stays", change.id))
        }
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            target: &options.target,
            change: &change.id,
            state: "committed",
            seen: None,
            kept: Vec::new(),
        })?,
    };
    Ok(Outcome::well(text))
}

/// What is confirmed has to be there: no file as it was before the change, and on the wire what was proved.
async fn stands(place: &mut Place, change: &Change, proved: Option<&View>, target: &str) -> Result<()> {
    let not = |why: String| {
        Failure::stopped(format!(
            "change {} is not what it was when it was proved, and is not confirmed",
            change.id
        ))
        .because(why)
        .hint(format!("pgseal undo {target}"))
    };
    for file in &change.files {
        let now = place.digest_of(&file.path).await?;
        if now.is_none() || now.as_ref() == file.before.as_ref().map(|before| &before.digest) {
            return Err(not(format!("{} is what it was before the change", file.path.display())));
        }
        if now.as_ref() != Some(&file.after) {
            say(&format!("pgseal: {} was edited since by others, and stays as it is", file.path.display()));
        }
    }
    let Some(proved) = proved else { return Ok(()) };
    let Some(now) = shown_now(place, change).await? else {
        return Err(Failure::stopped(format!(
            "no server runs to look at, and change {} is not confirmed",
            change.id
        ))
        .hint(format!("start it, then pgseal confirm {target}")));
    };
    if same(&now, proved) {
        return Ok(());
    }
    Err(not(format!("the wire shows {}, not {}", restore::words(&now), restore::words(proved))))
}

pub(crate) async fn history(options: History) -> Result<Outcome> {
    let (mut place, journal) = journal_of(&options.target).await?;
    let (changes, kept) = match &journal {
        Some(journal) => (journal.changes()?, previous_keys::kept(&mut place, journal).await?),
        None => (Vec::new(), Vec::new()),
    };
    let trouble =
        |change: &Change| Ok(journal.as_ref().map(|journal| journal.trouble(change)).transpose()?.flatten());
    let changes: Vec<ChangeRow<'_>> =
        changes.iter().map(|found| Ok(row(found, &kept, trouble(&found.0)?))).collect::<Result<_>>()?;
    let text = match options.format {
        Format::Human => human(&options.target, &changes),
        Format::Json => {
            json::text(&HistoryRow { schema_version: SCHEMA_VERSION, target: &options.target, changes })?
        }
    };
    Ok(Outcome::well(text))
}

fn row<'a>(
    (change, phase): &'a (Change, Phase),
    kept: &[PreviousKey],
    trouble: Option<Trouble>,
) -> ChangeRow<'a> {
    let is_kept = |path: &PathBuf| kept.iter().any(|key| key.path == *path);
    ChangeRow {
        change: &change.id,
        began: &change.began,
        title: &change.title,
        state: phase.words(),
        trouble: trouble.map(|Trouble { at, said }| TroubleRow { at, said }),
        files: files(change)
            .map(|(path, new, diff)| FileRow { path: path.display().to_string(), new, diff })
            .collect(),
        previous_keys: change
            .previous_keys()
            .map(|path| PreviousKeyRow {
                path: path.display().to_string(),
                kept_until: previous_keys::goes_on(change).filter(|_| is_kept(path)),
            })
            .collect(),
    }
}

/// The server's files, then that of the compose project: path, whether it is new, diff.
fn files(change: &Change) -> impl Iterator<Item = (&Path, bool, &str)> {
    let of_server =
        change.files.iter().map(|file| (file.path.as_path(), file.before.is_none(), file.diff.as_str()));
    let edited = change.compose.iter().filter_map(|compose| compose.edited.as_ref());
    of_server.chain(edited.map(|file| (file.path.as_path(), file.before.is_none(), file.diff.as_str())))
}

fn human(target: &str, changes: &[ChangeRow<'_>]) -> String {
    if changes.is_empty() {
        return format!("pgseal has changed nothing of {}", for_terminal(target));
    }
    let mut lines = Vec::new();
    for change in changes {
        let title = for_terminal(change.title);
        lines.push(format!("{}  {}  {}  {title}", change.change, change.began, change.state));
        if let Some(trouble) = &change.trouble {
            let at = for_terminal(&trouble.at);
            lines.push(format!("  ! {at}  the watcher: {}", for_terminal(&trouble.said.join("; "))));
        }
        for file in &change.files {
            let sign = if file.new { '+' } else { '~' };
            lines.push(format!("  {sign} {}", for_terminal(&file.path)));
            let diff = lines_for_terminal(file.diff.trim_end_matches('\n'));
            lines.extend(diff.lines().filter(|_| !file.diff.is_empty()).map(|line| format!("    {line}")));
        }
        lines.extend(change.previous_keys.iter().map(|key| match &key.kept_until {
            Some(day) => {
                format!("    the key that it replaced is kept until {day}: {}", for_terminal(&key.path))
            }
            None => "    the key that it replaced is kept no longer".to_owned(),
        }));
    }
    lines.join("\n")
}

//! `pgseal down`.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::options::{Format, folder};
use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::folder::control;
use crate::folder::layout::Folder;
use crate::folder::lock::Lock;
use crate::folder::state::{self, State};
use crate::privilege::user::{SystemUser, server_user};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::stderr::say;
use crate::up::undo::clear;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal down
  pgseal down /srv/db --remove --yes

Exit status: 0 when no server runs any more, 1 when the question was answered with no.")]
pub(crate) struct Options {
    /// The folder made by `pgseal up` [default: ./pgseal]
    dir: Option<PathBuf>,
    /// Delete the folder too: the data, the CA, everything
    #[arg(long)]
    remove: bool,
    /// Do not ask before deleting
    #[arg(short, long)]
    yes: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal down` (docs/schema/down.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    dir: String,
    /// The process that was stopped; null when nothing ran.
    stopped_pid: Option<i32>,
    removed: bool,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let folder = state::resolve(&folder(options.dir))?;
    let (user, unfinished) = server_of(&folder, options.remove)?;
    if options.remove && !options.yes {
        ask(&folder)?;
    }
    let mut delegate = Delegate::start(&user).await?;
    let lock = Lock::take(folder.root())?;
    // What a cut-off up left at work is no server, and removing waits for it.
    let stopped_pid = if folder.data().is_dir() && !unfinished {
        control::stop(&folder, &mut delegate).await?
    } else {
        None
    };
    if options.remove {
        remove(&folder, &user).await?;
    }
    drop(lock);
    let row = Row {
        schema_version: SCHEMA_VERSION,
        dir: folder.root().display().to_string(),
        stopped_pid,
        removed: options.remove,
    };
    Ok(Outcome::well(match options.format {
        Format::Json => json::text(&row)?,
        Format::Human => human(&row),
    }))
}

/// Who runs the folder's server, and whether it was never finished: such a folder can be removed too.
fn server_of(folder: &Folder, remove: bool) -> Result<(SystemUser, bool)> {
    match state::observe(folder)? {
        State::Unfinished if remove => Ok((server_user(None)?, true)),
        _ => Ok((server_user(Some(&state::made(folder)?.server.run_as))?, false)),
    }
}

fn ask(folder: &Folder) -> Result<()> {
    let root = folder.root().display();
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "--remove deletes {root} with all its data, and nobody can be asked here"
        ))
        .hint("pgseal down --remove --yes"));
    }
    say(&format!("pgseal: delete {root} with its data, its CA and its passwords? Type yes:"));
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(Failure::stopped("nothing was stopped and nothing was deleted"))
    }
}

/// Deletes what is ours in it. Files that a person put there are not, and then the folder stays.
async fn remove(folder: &Folder, user: &SystemUser) -> Result<()> {
    clear(folder, user).await?;
    fs::remove_dir(folder.root()).map_err(|error| {
        Failure::io("remove the folder", folder.root(), &error)
            .because("everything that pgseal had made in it was deleted")
            .hint("look at what else lies in it")
    })
}

fn human(row: &Row) -> String {
    let stopped =
        row.stopped_pid.map_or_else(|| "no server ran".to_owned(), |pid| format!("stopped, pid {pid}"));
    let removed = if row.removed { ", and the folder is deleted" } else { "" };
    format!("{}: {stopped}{removed}", for_terminal(&row.dir))
}

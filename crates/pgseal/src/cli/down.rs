//! `pgseal down`.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::options::{Format, folder};
use crate::compose::daemon;
use crate::compose::project::Project;
use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::folder::control;
use crate::folder::layout::Folder;
use crate::folder::lock::Lock;
use crate::folder::settings::Compose;
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
    /// Delete the folder too: the data (volumes of a compose project as well), the CA, everything
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
    /// The container that was stopped and removed; null when none ran. Its volumes stay unless `removed`.
    stopped_container: Option<String>,
    removed: bool,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let folder = state::resolve(&folder(options.dir))?;
    let server = server_of(&folder, options.remove)?;
    if options.remove && !options.yes {
        ask(&folder)?;
    }
    let (mut stopped_pid, mut stopped_container) = (None, None);
    match server {
        Ours::Here(user, unfinished) => {
            let mut delegate = Delegate::start(&user).await?;
            let _lock = Lock::take(folder.root())?;
            // What a cut-off up left at work is no server, and removing waits for it.
            if folder.data().is_dir() && !unfinished {
                stopped_pid = control::stop(&folder, &mut delegate).await?;
            }
            if options.remove {
                remove(&folder, Some(&user)).await?;
            }
        }
        Ours::Contained(compose) => {
            let _lock = Lock::take(folder.root())?;
            if let Some(compose) = compose {
                stopped_container = take_down(&compose).await?;
            }
            if options.remove {
                remove(&folder, None).await?;
            }
        }
    }
    let row = Row {
        schema_version: SCHEMA_VERSION,
        dir: folder.root().display().to_string(),
        stopped_pid,
        stopped_container,
        removed: options.remove,
    };
    Ok(Outcome::well(match options.format {
        Format::Json => json::text(&row)?,
        Format::Human => human(&row),
    }))
}

/// What runs the folder's server, and whether it was never finished: such a folder can be removed too.
enum Ours {
    Here(SystemUser, bool),
    /// A compose project; `None`: it was cut off before there was one, or while it was made.
    Contained(Option<Compose>),
}

fn server_of(folder: &Folder, remove: bool) -> Result<Ours> {
    if remove && matches!(state::observe(folder)?, State::Unfinished) {
        return Ok(match folder.data().symlink_metadata() {
            Ok(_) => Ours::Here(server_user(None)?, true),
            Err(_) => Ours::Contained(None),
        });
    }
    let settings = state::made(folder)?;
    Ok(match settings.compose {
        Some(compose) => Ours::Contained(Some(compose)),
        None => Ours::Here(server_user(Some(&settings.server.run_as))?, false),
    })
}

/// Stops and removes the container; its volumes stay. The name of what ran.
async fn take_down(compose: &Compose) -> Result<Option<String>> {
    let docker = daemon::answering().await?;
    let project = Project::named(&docker, &compose.project);
    let Some(service) = project.service(&compose.service).await? else { return Ok(None) };
    project.take_down(&service.id).await?;
    Ok(service.runs().then_some(service.name))
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
async fn remove(folder: &Folder, user: Option<&SystemUser>) -> Result<()> {
    clear(folder, user).await?;
    fs::remove_dir(folder.root()).map_err(|error| {
        Failure::io("remove the folder", folder.root(), &error)
            .because("everything that pgseal had made in it was deleted")
            .hint("look at what else lies in it")
    })
}

fn human(row: &Row) -> String {
    let stopped = match (row.stopped_pid, &row.stopped_container) {
        (Some(pid), _) => format!("stopped, pid {pid}"),
        (None, Some(name)) => format!("stopped, container {}", for_terminal(name)),
        (None, None) => "no server ran".to_owned(),
    };
    let removed = if row.removed { ", and the folder is deleted" } else { "" };
    format!("{}: {stopped}{removed}", for_terminal(&row.dir))
}

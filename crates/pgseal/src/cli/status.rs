//! `pgseal status`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Outcome;
use super::options::{Format, folder};
use crate::compose::daemon;
use crate::compose::project::Project;
use crate::delegate::Delegate;
use crate::failure::{Ending, Result};
use crate::folder::control;
use crate::folder::layout::Folder;
use crate::folder::settings::{Compose, Settings};
use crate::folder::{client_files, issued, state};
use crate::privilege::user::server_user;
use crate::report::certificate::{instant, mark_of};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal status
  pgseal status /srv/db --format json | jq -r .state

Exit status: 0 when the server runs, 1 when it does not.
What its wire says is not looked at here: pgseal verify does that.")]
pub(crate) struct Options {
    /// The folder made by `pgseal up` [default: ./pgseal]
    dir: Option<PathBuf>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal status` (docs/schema/status.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    /// `running`, `starting` or `stopped`.
    state: &'static str,
    dir: String,
    host: String,
    port: u16,
    listen: Vec<String>,
    pid: Option<i32>,
    /// Seconds since 1970, from postmaster.pid or of the container's start.
    started: Option<i64>,
    /// The container's name, where the server has one; null where none was made or it was removed.
    container: Option<String>,
    /// What docker's healthcheck says of it.
    health: Option<String>,
    pg_version: &'a str,
    run_as: &'a str,
    certificate_not_after: String,
    certificate_days_left: i64,
    #[serde(skip)]
    dated: Mark,
    uri: String,
    passfile: String,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let folder = state::resolve(&folder(options.dir))?;
    let settings = state::made(&folder)?;
    let server = seen(&folder, &settings).await?;
    let leaf = issued::certificate(&folder)?;
    let now = OffsetDateTime::now_utc();
    let row = Row {
        schema_version: SCHEMA_VERSION,
        state: server.state,
        dir: folder.root().display().to_string(),
        host: settings.host(),
        port: settings.server.port,
        listen: settings.server.listen.iter().map(ToString::to_string).collect(),
        pid: server.pid,
        started: server.started,
        container: server.container,
        health: server.health,
        pg_version: &settings.server.version,
        run_as: &settings.server.run_as,
        certificate_not_after: instant(leaf.not_after()),
        certificate_days_left: leaf.days_left(now),
        dated: mark_of(&leaf, now),
        uri: client_files::uri(&folder, &settings)?,
        passfile: folder.passfile().display().to_string(),
    };
    let text = match options.format {
        Format::Json => json::text(&row)?,
        Format::Human => human(&row, &settings, Screen::of_stdout()),
    };
    let ending = if row.state == STOPPED { Ending::NotProved } else { Ending::Well };
    Ok(Outcome { text, ending })
}

/// What there is of the server.
#[derive(Default)]
struct Seen {
    state: &'static str,
    pid: Option<i32>,
    started: Option<i64>,
    container: Option<String>,
    health: Option<String>,
}

const STOPPED: &str = "stopped";

async fn seen(folder: &Folder, settings: &Settings) -> Result<Seen> {
    if let Some(compose) = &settings.compose {
        return contained(compose).await;
    }
    let mut delegate = Delegate::start(&server_user(Some(&settings.server.run_as))?).await?;
    Ok(match control::find(folder, settings, &mut delegate).await? {
        None => Seen { state: STOPPED, ..Seen::default() },
        Some(server) => Seen {
            state: if server.ready { "running" } else { "starting" },
            pid: Some(server.pid),
            started: Some(server.started),
            ..Seen::default()
        },
    })
}

/// A container that runs is a server that does, unless docker's healthcheck has not had an answer yet.
async fn contained(compose: &Compose) -> Result<Seen> {
    let docker = daemon::answering().await?;
    let Some(service) = Project::named(&docker, &compose.project).service(&compose.service).await? else {
        return Ok(Seen { state: STOPPED, ..Seen::default() });
    };
    let started = OffsetDateTime::parse(&service.started, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp);
    Ok(Seen {
        state: match (service.runs(), service.health.as_deref()) {
            (false, _) => STOPPED,
            (true, Some("starting")) => "starting",
            (true, _) => "running",
        },
        pid: None,
        started: started.filter(|_| service.runs()),
        container: Some(service.name),
        health: service.health,
    })
}

fn human(row: &Row<'_>, settings: &Settings, screen: Screen) -> String {
    let place = format!("{} on port {}", row.listen.join(", "), row.port);
    let health = row.health.as_ref().map_or_else(String::new, |health| format!(" ({health})"));
    let (mark, what) = match (row.state, row.pid, &row.container) {
        (STOPPED, ..) => (Mark::HoldsNot, format!("start it with: pgseal up {}", row.dir)),
        (_, _, Some(name)) if row.health.as_deref() == Some("unhealthy") => {
            (Mark::Mind, format!("container {name}{health}, {place}"))
        }
        (_, _, Some(name)) => (Mark::Holds, format!("container {name}{health}, {place}")),
        (_, Some(pid), _) => (Mark::Holds, format!("pid {pid}, {place}")),
        (_, None, None) => (Mark::Holds, place),
    };
    let days = row.certificate_days_left;
    [
        format!("PostgreSQL {} in {}, as user {}", row.pg_version, for_terminal(&row.dir), row.run_as),
        screen.line(mark, row.state, &for_terminal(&what)),
        screen.line(
            row.dated,
            "certificate",
            &format!("until {} ({days} days left)", row.certificate_not_after),
        ),
        screen.line(Mark::Holds, "names", &for_terminal(&settings.certificate.names.join(", "))),
        format!("  {}", for_terminal(&row.uri)),
        format!("What its wire says: pgseal verify {}", for_terminal(&row.dir)),
    ]
    .join("\n")
}

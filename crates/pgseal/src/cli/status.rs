//! `pgseal status`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;

use super::Outcome;
use super::options::{Format, folder};
use crate::delegate::Delegate;
use crate::failure::{Ending, Result};
use crate::folder::control;
use crate::folder::settings::Settings;
use crate::folder::{client_files, issued, state};
use crate::privilege::user::server_user;
use crate::report::certificate::{instant, mark_of_days};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::server::process::RunningServer;

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
    /// Seconds since 1970, from postmaster.pid.
    started: Option<i64>,
    pg_version: &'a str,
    run_as: &'a str,
    certificate_not_after: String,
    certificate_days_left: i64,
    uri: String,
    passfile: String,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let folder = state::resolve(&folder(options.dir))?;
    let settings = state::made(&folder)?;
    let mut delegate = Delegate::start(&server_user(Some(&settings.server.run_as))?).await?;
    let server = control::find(&folder, &settings, &mut delegate).await?;
    let leaf = issued::certificate(&folder)?;
    let row = Row {
        schema_version: SCHEMA_VERSION,
        state: match &server {
            Some(server) if server.ready => "running",
            Some(_) => "starting",
            None => "stopped",
        },
        dir: folder.root().display().to_string(),
        host: settings.host(),
        port: settings.server.port,
        listen: settings.server.listen.iter().map(ToString::to_string).collect(),
        pid: server.as_ref().map(|server| server.pid),
        started: server.as_ref().map(|server| server.started),
        pg_version: &settings.server.version,
        run_as: &settings.server.run_as,
        certificate_not_after: instant(leaf.not_after()),
        certificate_days_left: leaf.days_left(OffsetDateTime::now_utc()),
        uri: client_files::uri(&folder, &settings)?,
        passfile: folder.passfile().display().to_string(),
    };
    let text = match options.format {
        Format::Json => json::text(&row)?,
        Format::Human => human(&row, &settings, server.as_ref(), Screen::of_stdout()),
    };
    let ending = if server.is_some() { Ending::Well } else { Ending::NotProved };
    Ok(Outcome { text, ending })
}

fn human(row: &Row<'_>, settings: &Settings, server: Option<&RunningServer>, screen: Screen) -> String {
    let (mark, what) = match server {
        Some(server) => {
            (Mark::Holds, format!("pid {}, {} on port {}", server.pid, row.listen.join(", "), row.port))
        }
        None => (Mark::HoldsNot, format!("start it with: pgseal up {}", row.dir)),
    };
    let days = row.certificate_days_left;
    let dated = mark_of_days(days);
    [
        format!("PostgreSQL {} in {}, as user {}", row.pg_version, for_terminal(&row.dir), row.run_as),
        screen.line(mark, row.state, &for_terminal(&what)),
        screen.line(dated, "certificate", &format!("until {} ({days} days left)", row.certificate_not_after)),
        screen.line(Mark::Holds, "names", &for_terminal(&settings.certificate.names.join(", "))),
        format!("  {}", for_terminal(&row.uri)),
        format!("What its wire says: pgseal verify {}", for_terminal(&row.dir)),
    ]
    .join("\n")
}

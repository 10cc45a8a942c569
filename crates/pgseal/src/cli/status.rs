//! `pgseal status`.

use std::path::PathBuf;

use clap::Args;
use pgseal_pki::read_bundle;
use serde::Serialize;
use time::OffsetDateTime;

use super::Outcome;
use super::options::{Format, folder};
use crate::delegate::Delegate;
use crate::failure::{Ending, Failure, Result};
use crate::folder::control;
use crate::folder::layout::Folder;
use crate::folder::settings::Settings;
use crate::folder::{client_files, state};
use crate::privilege::files;
use crate::privilege::user::server_user;
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

/// A certificate file is a few kB.
const LIMIT: u64 = 1 << 20;

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let folder = state::resolve(&folder(options.dir))?;
    let settings = state::made(&folder)?;
    let mut delegate = Delegate::start(&server_user(Some(&settings.server.run_as))?).await?;
    let server = control::find(&folder, &settings, &mut delegate).await?;
    let (until, days_left) = certificate(&folder)?;
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
        certificate_not_after: until,
        certificate_days_left: days_left,
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

/// The end of the certificate that was issued to the server, as RFC 3339, and the days until then.
fn certificate(folder: &Folder) -> Result<(String, i64)> {
    let path = folder.issued();
    let bytes =
        files::read(&path, LIMIT).map_err(|error| Failure::io("read the certificate", &path, &error))?;
    let bundle = read_bundle(&bytes).map_err(|error| {
        Failure::new(format!("could not read the certificate {}: {error}", path.display()))
    })?;
    let leaf = bundle
        .certificates
        .first()
        .ok_or_else(|| Failure::new(format!("{} holds no certificate", path.display())))?;
    Ok((crate::report::certificate::instant(leaf.not_after()), leaf.days_left(OffsetDateTime::now_utc())))
}

fn human(row: &Row<'_>, settings: &Settings, server: Option<&RunningServer>, screen: Screen) -> String {
    let (mark, what) = match server {
        Some(server) => {
            (Mark::Holds, format!("pid {}, {} on port {}", server.pid, row.listen.join(", "), row.port))
        }
        None => (Mark::HoldsNot, format!("start it with: pgseal up {}", row.dir)),
    };
    let days = row.certificate_days_left;
    let dated = if days < 0 {
        Mark::HoldsNot
    } else if days < 30 {
        Mark::Mind
    } else {
        Mark::Holds
    };
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

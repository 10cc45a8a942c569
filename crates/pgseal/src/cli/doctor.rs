//! `pgseal doctor`.

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;

use super::Outcome;
use super::options::Format;
use crate::doctor::settings::{Row as SettingRow, rows};
use crate::doctor::{Examined, Unseen, examine};
use crate::failure::{Ending, Failure, Result};
use crate::findings::{Finding, Severity, names, page};
use crate::policy::Policy;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::target::{Asked, Target, login};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal doctor 15/main
  pgseal doctor container:db --fail-on medium
  pgseal doctor ./pgseal --settings
  pgseal doctor --explain certificate-not-served

Nothing is changed. A server that is down is looked at by its files. Exit status: 1 when something at or
above --fail-on was found.")]
pub(crate) struct Options {
    /// A data directory, a cluster such as 15/main, a folder made by `pgseal up`, or container:NAME
    #[arg(required_unless_present = "explain")]
    target: Option<String>,
    /// The superuser to look from inside as
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to log in to
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// What TLS is held against: modern, intermediate, old, or a file
    #[arg(long, value_name = "POLICY", default_value = crate::policy::DEFAULT)]
    policy: String,
    /// The least severity that ends with status 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = Severity::High)]
    fail_on: Severity,
    /// Every TLS setting with its value, where that comes from, and the version's default
    #[arg(long)]
    settings: bool,
    /// What a finding means and what mends it; `all` for every one
    #[arg(long, value_name = "NAME", conflicts_with_all = ["target", "settings"])]
    explain: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal doctor` (docs/schema/doctor.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    version: &'a str,
    running: bool,
    findings: &'a [Finding],
    unseen: &'a [Unseen],
}

/// The JSON of `pgseal doctor --settings` (docs/schema/settings.json).
#[derive(Debug, Serialize)]
struct SettingsRow<'a> {
    schema_version: u32,
    target: &'a str,
    settings: &'a [SettingRow],
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    if let Some(name) = &options.explain {
        return explain(name);
    }
    let target = options.target.as_deref().unwrap_or_default();
    let policy = Policy::named(&options.policy)?;
    let asked = Asked { username: options.username.clone(), dbname: options.dbname.clone() };
    let mut place = Target::place(target).await?;
    if options.settings {
        let server = place.running().await?;
        let who = login(&place, &server, &asked)?;
        let session = place.session(&server, &who).await?;
        let rows = rows(&session).await;
        session.close().await;
        let rows =
            rows.map_err(|why| Failure::new(format!("could not read the settings of {target}: {why}")))?;
        return settings(target, &rows, options.format);
    }
    let examined = examine(&mut place, target, &asked, policy, OffsetDateTime::now_utc()).await?;
    let failing = examined.findings.iter().any(|finding| finding.severity >= options.fail_on);
    let text = match options.format {
        Format::Human => human(target, &examined, Screen::of_stdout()),
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            target,
            version: &examined.version,
            running: examined.running,
            findings: &examined.findings,
            unseen: &examined.unseen,
        })?,
    };
    Ok(Outcome { text, ending: if failing { Ending::NotProved } else { Ending::Well } })
}

fn human(target: &str, examined: &Examined, screen: Screen) -> String {
    let state = if examined.running { "running" } else { "down" };
    let mut lines = vec![for_terminal(&format!("{target}  PostgreSQL {}, {state}", examined.version))];
    for finding in &examined.findings {
        lines.extend(finding.lines(screen));
    }
    if !examined.findings.iter().any(|finding| finding.severity >= Severity::Medium) {
        lines.push(screen.line(Mark::Holds, "healthy", "nothing of severity medium or above"));
    }
    for Unseen { what, why, access } in &examined.unseen {
        lines.push(screen.line(
            Mark::CannotTell,
            "not looked at",
            &for_terminal(&format!("{what}: {why} ({access})")),
        ));
    }
    if let Some(first) = examined.findings.first() {
        lines.push(format!("pgseal doctor --explain {}", first.name));
    }
    lines.join("\n")
}

fn settings(target: &str, rows: &[SettingRow], format: Format) -> Result<Outcome> {
    Ok(Outcome::well(match format {
        Format::Json => json::text(&SettingsRow { schema_version: SCHEMA_VERSION, target, settings: rows })?,
        Format::Human => {
            let line = |row: &SettingRow| {
                let place = row.place.as_deref().unwrap_or(&row.source);
                let usual = if row.value == row.default {
                    String::new()
                } else {
                    format!(", by default {:?}", row.default)
                };
                let pending = if row.pending_restart { ", and another value after a restart" } else { "" };
                for_terminal(&format!("  {:<40} {:?} ({place}{usual}{pending})", row.name, row.value))
            };
            let lines: Vec<String> = rows.iter().map(line).collect();
            format!(
                "{}  what the server has loaded; what it serves: pgseal verify {0}\n{}",
                for_terminal(target),
                lines.join("\n")
            )
        }
    }))
}

/// The catalogue's page about a finding, or about all of them.
pub(super) fn explain(name: &str) -> Result<Outcome> {
    if name == "all" {
        let pages: Vec<String> = names().filter_map(page).collect();
        return Ok(Outcome::well(format!(
            "# What pgseal finds\n\nEvery finding by its stable name, as `pgseal doctor --explain all` prints it.\n\n{}",
            pages.join("\n")
        )));
    }
    page(name).map(Outcome::well).ok_or_else(|| {
        let near: Vec<&str> =
            names().filter(|known| known.split('-').any(|word| name.contains(word))).take(5).collect();
        let hint = if near.is_empty() { "--explain all".to_owned() } else { near.join(", ") };
        Failure::usage(format!("there is no finding {name}")).hint(hint)
    })
}

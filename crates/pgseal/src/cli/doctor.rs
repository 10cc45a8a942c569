//! `pgseal doctor`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;

use super::Outcome;
use super::options::{Format, ReportFormat};
use crate::doctor::bundle::Bundle;
use crate::doctor::settings::{Row as SettingRow, rows};
use crate::doctor::{Examined, Unseen, ended, examine, far, served};
use crate::failure::{Ending, Failure, Result};
use crate::findings::{Finding, Severity, names, page};
use crate::policy::Policy;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::target::{Asked, Target, connection_subject, login, shown};
use crate::verify::administrator::administrator;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal doctor 15/main
  pgseal doctor container:db --fail-on medium
  pgseal doctor ./pgseal --settings
  pgseal doctor 15/main --fix --dry-run     what would mend what was found
  pgseal doctor 15/main --facts facts.json  for somebody who cannot look: pgseal doctor --from facts.json
  pgseal doctor 15/main --format junit > doctor.xml
  pgseal doctor --explain certificate-not-served

Without --fix nothing is changed; with it, what `secure`, `rotate` and `undo` know how to take back. A server that is down is looked at by its files. Exit status: 1 when something at or
above --fail-on was found.")]
// Each is a word of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Options {
    /// A data directory, a cluster such as 15/main, a folder made by `pgseal up`, container:NAME, or a connection string
    #[arg(required_unless_present_any = ["explain", "from"])]
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
    /// Every TLS setting with its value, where that comes from, the version's default, and what the wire shows of it by a whole
    /// scan, of which the server's log has some dozens of lines
    #[arg(long)]
    settings: bool,
    /// Keep what was seen in this file, without any secret: for `doctor --from FILE` of somebody else
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fix", "settings", "explain", "from"])]
    facts: Option<PathBuf>,
    /// Judge what `--facts` has kept, without the server
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "fix", "settings", "explain", "username", "dbname"])]
    from: Option<PathBuf>,
    /// Mend what can be mended by `secure` and `rotate`: planned, proved or rolled back; then look again
    #[arg(long, conflicts_with_all = ["settings", "explain"])]
    fix: bool,
    /// With --fix: what would be done
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// With --fix: do not ask
    #[arg(long, requires = "fix")]
    yes: bool,
    /// With --fix: issue certificates with the CA in this folder [default: whence the present one came]
    #[arg(long, value_name = "DIR", requires = "fix")]
    ca: Option<PathBuf>,
    /// With --fix: make a CA in this folder, and issue with it
    #[arg(long, value_name = "DIR", requires = "fix", conflicts_with = "ca")]
    new_ca: Option<PathBuf>,
    /// What a finding means and what mends it; `all` for every one
    #[arg(long, value_name = "NAME", conflicts_with_all = ["target", "settings"])]
    explain: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
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
    /// Why the wire was not looked at; none where it was.
    wire_unseen: Option<&'a str>,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    if let Some(name) = &options.explain {
        return explain(name);
    }
    if (options.settings || options.fix)
        && !matches!(options.format, ReportFormat::Human | ReportFormat::Json)
    {
        return Err(Failure::usage("--settings and --fix are printed as human or json").hint("--format json"));
    }
    let begun = Instant::now();
    let policy = Policy::named(&options.policy)?;
    if let Some(file) = &options.from {
        let bundle = Bundle::read(file)?;
        return told(&bundle.whose(), &bundle.examined(&policy, OffsetDateTime::now_utc())?, &options, begun);
    }
    let target = options.target.as_deref().unwrap_or_default();
    let asked = Asked { username: options.username.clone(), dbname: options.dbname.clone() };
    if let Target::Connection(text) = Target::parse(target)? {
        return far(&options, &text, &policy, begun).await;
    }
    if let Target::Container(name) = Target::parse(target)?
        && let Some(examined) = ended::examine(&name, target).await?
    {
        return told(target, &examined, &options, begun);
    }
    let mut place = Target::place(target).await?;
    if options.settings {
        let server = place.running().await?;
        let who = login(&place, &server, &asked)?;
        let session = place.session(&server, &who).await?;
        let found = rows(&session).await;
        session.close().await;
        let mut found =
            found.map_err(|why| Failure::new(format!("could not read the settings of {target}: {why}")))?;
        let unseen = served::beside(&mut found, &place, &server, target).await;
        return settings(target, &found, unseen.as_deref(), options.format);
    }
    if options.fix {
        drop(place);
        return super::doctor_fix::run(super::doctor_fix::Order {
            target: target.to_owned(),
            asked,
            policy: options.policy,
            ca: options.ca,
            new_ca: options.new_ca,
            dry_run: options.dry_run,
            yes: options.yes,
            fail_on: options.fail_on,
            format: if options.format == ReportFormat::Json { Format::Json } else { Format::Human },
        })
        .await;
    }
    let examined = examine(&mut place, target, &asked, policy, OffsetDateTime::now_utc()).await?;
    told(target, &examined, &options, begun)
}

/// What a connection string gives.
async fn far(options: &Options, text: &str, policy: &Policy, begun: Instant) -> Result<Outcome> {
    let word = shown(text);
    if options.fix {
        return Err(Failure::usage("--fix: that needs the server's files, and a connection string reaches none")
            .hint("its data directory, cluster or container on its own machine, or pgseal secure for what SQL can set"));
    }
    super::verify::warn_about_password(text);
    if options.settings {
        let subject = connection_subject(text, None).await?;
        let unread = |why: String| Failure::new(format!("could not read the settings of {word}: {why}"));
        let session = administrator(&subject).await.map_err(unread)?;
        let found = rows(&session).await;
        session.close().await;
        let mut found = found.map_err(unread)?;
        let unseen = served::beside_far(&mut found, &subject, &word).await;
        return settings(&word, &found, unseen.as_deref(), options.format);
    }
    told(&word, &far::examine(text, policy, OffsetDateTime::now_utc()).await?, options, begun)
}

fn told(target: &str, examined: &Examined, options: &Options, begun: Instant) -> Result<Outcome> {
    if let Some(file) = &options.facts {
        Bundle::of(target, examined, OffsetDateTime::now_utc()).write(file)?;
    }
    let failing = examined.findings.iter().any(|finding| finding.severity >= options.fail_on);
    let row = Row {
        schema_version: SCHEMA_VERSION,
        target,
        version: &examined.version,
        running: examined.running,
        findings: &examined.findings,
        unseen: &examined.unseen,
    };
    let text = match (options.format.form(), options.format) {
        (Some(form), _) => {
            let now = OffsetDateTime::now_utc();
            form.text(&examined.document(target, options.fail_on, now, begun.elapsed()))?
        }
        (None, ReportFormat::Json) => json::text(&row)?,
        (None, ReportFormat::Jsonl) => json::line(&row)?,
        (None, _) => human(target, examined, Screen::of_stdout()),
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

fn settings(
    target: &str,
    rows: &[SettingRow],
    wire_unseen: Option<&str>,
    format: ReportFormat,
) -> Result<Outcome> {
    if format == ReportFormat::Json {
        let row = SettingsRow { schema_version: SCHEMA_VERSION, target, settings: rows, wire_unseen };
        return Ok(Outcome::well(json::text(&row)?));
    }
    let line = |row: &SettingRow| {
        let place = row.place.as_deref().unwrap_or(&row.source);
        let usual =
            if row.value == row.default { String::new() } else { format!(", by default {:?}", row.default) };
        let pending = if row.pending_restart { ", and another value after a restart" } else { "" };
        let line = format!("  {:<40} {:?} ({place}{usual}{pending})", row.name, row.value);
        let served = row.served.as_ref().map(|served| format!("  {:<40} on the wire: {served}", ""));
        [Some(line), served].into_iter().flatten().map(|line| for_terminal(&line)).collect::<Vec<_>>()
    };
    let lines: Vec<String> = rows.iter().flat_map(line).collect();
    let wire = wire_unseen.map_or_else(
        || "and what the wire shows of it".to_owned(),
        |why| format!("the wire was not looked at: {}", for_terminal(why)),
    );
    Ok(Outcome::well(format!(
        "{}  what the server has loaded, {wire}\n{}",
        for_terminal(target),
        lines.join("\n")
    )))
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

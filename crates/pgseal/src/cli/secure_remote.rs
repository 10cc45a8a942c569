//! `pgseal secure` and `pgseal undo` for a connection string: what SQL alone can do.

use serde::Serialize;

use super::Outcome;
use super::options::Format;
use crate::failure::{Ending, Failure, Result};
use crate::policy::Policy;
use crate::report::ask::yes_or_stop;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::report::shell::quoted;
use crate::secure::remote::{Remote, RemotePlan};
use crate::target::connection_subject;

/// The JSON for a connection string (docs/schema/secure-remote.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    pg_version: &'a str,
    /// `planned`, `as-wished` or `changed`.
    state: &'static str,
    change: Option<&'a str>,
    recovered: Option<&'a str>,
    settings: Vec<SettingRow<'a>>,
    /// What can only be done on the server's own machine.
    on_its_machine: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct SettingRow<'a> {
    name: &'a str,
    value: &'a str,
    before: Option<&'a str>,
}

/// How it is asked for. Each flag is a word of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Asked<'a> {
    pub(super) text: &'a str,
    pub(super) policy: &'a Policy,
    pub(super) enforce: bool,
    pub(super) even_if_locked_out: bool,
    pub(super) only_plan: bool,
    pub(super) check: bool,
    pub(super) format: Format,
}

pub(super) async fn secure(asked: &Asked<'_>, consent: &dyn Fn(&str) -> Result<bool>) -> Result<Outcome> {
    let remote = Remote::open(asked.text, connection_subject(asked.text, None).await?).await?;
    let recovered = remote.recover().await?;
    let plan = remote.plan(asked.policy, asked.enforce).await?;
    let (mut state, mut change) =
        if plan.settings.is_empty() { ("as-wished", None) } else { ("planned", None) };
    if !asked.only_plan && !plan.settings.is_empty() {
        nobody_left_behind(&remote, asked).await?;
        if consent(&plan_text(&remote, &plan, asked.enforce, Screen::of_stdout()))? {
            yes_or_stop("Carry this out?").await?;
        }
        change = Some(remote.apply(&plan).await?);
        state = "changed";
    }
    let to_do = !plan.on_its_machine.is_empty() || (asked.only_plan && !plan.settings.is_empty());
    let left = if asked.only_plan { asked.check && to_do } else { !plan.on_its_machine.is_empty() };
    let text = match asked.format {
        Format::Human => human(&remote, &plan, asked.enforce, change.as_deref()),
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            target: &remote.word,
            pg_version: &remote.version_text,
            state,
            change: change.as_deref(),
            recovered: recovered.as_deref(),
            settings: plan
                .settings
                .iter()
                .map(|setting| SettingRow {
                    name: &setting.name,
                    value: &setting.after,
                    before: setting.before.as_deref(),
                })
                .collect(),
            on_its_machine: plan.on_its_machine.iter().map(|on_it| on_it.command.as_str()).collect(),
        })?,
    };
    remote.close().await;
    Ok(Outcome { text, ending: if left { Ending::NotProved } else { Ending::Well } })
}

/// Stops before a client is cut off that speaks less than what is to come.
async fn nobody_left_behind(remote: &Remote, asked: &Asked<'_>) -> Result<()> {
    let clients = remote.left_behind(asked.policy).await?;
    if clients.is_empty() || asked.even_if_locked_out {
        return Ok(());
    }
    Err(Failure::stopped(format!("clients that are connected now could not come back: {}", clients.len()))
        .because_all(clients)
        .because("nothing was changed")
        .hint("let them speak newer TLS; all the same: --even-if-locked-out"))
}

/// The id of what was taken back.
pub(super) async fn undo(text: &str) -> Result<String> {
    let remote = Remote::open(text, connection_subject(text, None).await?).await?;
    let id = remote.undo().await?;
    remote.close().await;
    Ok(id)
}

fn plan_text(remote: &Remote, plan: &RemotePlan, enforce: bool, screen: Screen) -> String {
    let mut lines = vec![for_terminal(&format!("{}  PostgreSQL {}", remote.word, remote.version_text))];
    if plan.settings.is_empty() {
        lines.push(screen.line(Mark::Holds, "settings", "as wished, as far as SQL can set them"));
    }
    lines.extend(plan.settings.iter().map(|setting| {
        screen.line(
            Mark::Mind,
            "ALTER SYSTEM SET",
            &for_terminal(&format!("{} = '{}'", setting.name, setting.after)),
        )
    }));
    if !plan.on_its_machine.is_empty() {
        lines
            .push("On the server's own machine, as its user or root, since SQL reaches no files:".to_owned());
        let width = plan.on_its_machine.iter().map(|on_it| on_it.command.chars().count()).max().unwrap_or(0);
        lines.extend(
            plan.on_its_machine
                .iter()
                .map(|on_it| for_terminal(&format!("  {:width$}    # {}", on_it.command, on_it.does))),
        );
        let enforce = if enforce { " --enforce" } else { "" };
        lines.push(for_terminal(&format!(
            "then here, again: pgseal secure {}{enforce}",
            quoted(&remote.word)
        )));
    }
    lines.join("\n")
}

fn human(remote: &Remote, plan: &RemotePlan, enforce: bool, change: Option<&str>) -> String {
    let screen = Screen::of_stdout();
    let mut text = plan_text(remote, plan, enforce, screen);
    if let Some(id) = change {
        let done = format!("change {id}: in force in a new session, TLS as before; undo: pgseal undo TARGET");
        text = format!("{text}\n{}", screen.line(Mark::Holds, "done", &done));
    }
    text
}

//! What `pgseal secure` shows: the server, the plan, who would be locked out, the proof, the next command.

use serde::Serialize;

use crate::failure::Result;
use crate::findings::Finding;
use crate::report::escape::{for_terminal, lines_for_terminal};
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::proof::{self, ClaimRow, LeftOutRow};
use crate::report::screen::{Mark, Screen};
use crate::secure::certificate::joined;
use crate::secure::clients;
use crate::secure::composed::ComposeStep;
use crate::secure::facts::Facts;
use crate::secure::lockout::LockedOut;
use crate::secure::plan::Plan;
use crate::secure::run::{Done, State};
use crate::sessions::ledger::Times;
use crate::sessions::replay::driver;

/// The JSON of `pgseal secure` (docs/schema/secure.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    pg_version: &'a str,
    /// `planned`, `as-wished`, `changed`, `awaiting-confirmation` or `awaiting-start`.
    state: &'static str,
    /// Seconds since 1970, while a confirmation is awaited.
    confirm_until: Option<i64>,
    change: Option<&'a str>,
    recovered: Option<&'a str>,
    /// A change that nobody has finished, where nothing was to be touched.
    unfinished: Option<&'a str>,
    settled: Option<&'a str>,
    findings: &'a [Finding],
    steps: Vec<StepRow<'a>>,
    locked_out: Vec<LockedOutRow<'a>>,
    surviving_plaintext_sessions: usize,
    ended_plaintext_sessions: usize,
    admitted_plaintext_sessions: usize,
    proved: bool,
    claims: Vec<ClaimRow<'a>>,
    left_out: Vec<LeftOutRow<'a>>,
}

#[derive(Debug, Serialize)]
struct StepRow<'a> {
    name: &'a str,
    title: &'a str,
    effect: &'a str,
    files: Vec<FileRow<'a>>,
}

#[derive(Debug, Serialize)]
struct FileRow<'a> {
    path: String,
    /// Octal, as chmod has it.
    mode: String,
    new: bool,
    diff: &'a str,
}

#[derive(Debug, Serialize)]
struct LockedOutRow<'a> {
    user: &'a str,
    database: &'a str,
    address: &'a str,
    application: &'a str,
    sessions: usize,
    since: &'a str,
    /// From the ledger of `pgseal sessions --record`.
    recorded: Option<&'a Times>,
    driver: Option<&'static str>,
    reason: &'a str,
}

pub(super) fn json_text(done: &Done) -> Result<String> {
    let empty = crate::verify::claim::Proof::default();
    let proof = done.proof.as_ref().unwrap_or(&empty);
    json::text(&Row {
        schema_version: SCHEMA_VERSION,
        target: &done.word,
        pg_version: &done.facts.version_text,
        state: state(done.state),
        confirm_until: if let State::AwaitingConfirmation(until) = done.state { Some(until) } else { None },
        change: done.change.as_deref(),
        recovered: done.recovered.as_deref(),
        unfinished: done.unfinished.as_ref().map(|found| found.change.as_str()),
        settled: done.settled.as_deref(),
        findings: &done.findings,
        steps: steps(&done.plan),
        locked_out: done.locked_out.iter().map(locked_out_row).collect(),
        surviving_plaintext_sessions: done.surviving,
        ended_plaintext_sessions: done.ended,
        admitted_plaintext_sessions: done.admitted,
        proved: done.proved,
        claims: proof::claim_rows(proof),
        left_out: proof::left_out_rows(proof),
    })
}

const fn state(state: State) -> &'static str {
    match state {
        State::Planned => "planned",
        State::AsWished => "as-wished",
        State::Changed => "changed",
        State::AwaitingConfirmation(_) => "awaiting-confirmation",
        State::AwaitingStart => "awaiting-start",
    }
}

fn steps(plan: &Plan) -> Vec<StepRow<'_>> {
    let of_project = plan.compose.iter().map(|step| StepRow {
        name: "container",
        title: &step.title,
        effect: compose_effect(step),
        files: step
            .text
            .iter()
            .map(|_| FileRow {
                path: step.path.display().to_string(),
                mode: format!("{:04o}", step.mode),
                new: step.before.is_none(),
                diff: &step.diff,
            })
            .collect(),
    });
    plan.steps()
        .map(|step| StepRow {
            name: step.name,
            title: &step.title,
            effect: step.effect,
            files: step
                .writes
                .iter()
                .map(|write| FileRow {
                    path: write.path.display().to_string(),
                    mode: format!("{:04o}", write.mode),
                    new: write.before.is_none(),
                    diff: &write.diff,
                })
                .collect(),
        })
        .chain(of_project)
        .collect()
}

fn locked_out_row(client: &LockedOut) -> LockedOutRow<'_> {
    LockedOutRow {
        user: &client.user,
        database: &client.database,
        address: &client.address,
        application: &client.application,
        sessions: client.sessions,
        since: &client.since,
        recorded: client.recorded.as_ref(),
        driver: driver(&client.application),
        reason: &client.why,
    }
}

/// The plan as it is shown before it is carried out.
pub(super) fn plan_text(
    word: &str,
    facts: &Facts,
    plan: &Plan,
    locked_out: &[LockedOut],
    screen: Screen,
) -> String {
    let mut lines = vec![header(word, facts, screen)];
    if plan.is_empty() {
        lines.push(screen.line(Mark::Holds, "as wished", "nothing to do"));
        return lines.join("\n");
    }
    lines.push(String::new());
    lines.push("Plan".to_owned());
    for (number, step) in (1..).zip(plan.steps()) {
        lines.push(format!("  {number}  {:<12}  {}", step.name, for_terminal(&step.title)));
        lines.push(format!("     {}", step.effect));
        for write in &step.writes {
            let sign = if write.before.is_none() { '+' } else { '~' };
            lines.push(format!(
                "     {sign} {} ({:04o})",
                for_terminal(&write.path.display().to_string()),
                write.mode
            ));
            let diff = lines_for_terminal(write.diff.trim_end_matches('\n'));
            lines
                .extend(diff.lines().filter(|_| !write.diff.is_empty()).map(|line| format!("       {line}")));
        }
    }
    if let Some(step) = &plan.compose {
        lines.push(format!(
            "  {}  {:<12}  {}",
            plan.steps().count() + 1,
            "container",
            for_terminal(&step.title)
        ));
        lines.push(format!("     {}", compose_effect(step)));
        if step.text.is_some() {
            let sign = if step.before.is_none() { '+' } else { '~' };
            let path = for_terminal(&step.path.display().to_string());
            lines.push(format!("     {sign} {path} ({:04o})", step.mode));
            let diff = lines_for_terminal(step.diff.trim_end_matches('\n'));
            lines.extend(diff.lines().map(|line| format!("       {line}")));
        }
    }
    if plan.new_issuer {
        lines.push(screen.line(
            Mark::Mind,
            "issuer changes",
            "clients that verify the present one cannot be seen from here",
        ));
    }
    let mind = |warning: &String| screen.line(Mark::Mind, "mind", &for_terminal(warning));
    lines.extend(warnings(facts, plan).iter().map(mind));
    if !locked_out.is_empty() {
        lines.push(String::new());
        let connected = locked_out.iter().filter(|client| client.is_connected()).count();
        let recorded = match locked_out.len() - connected {
            0 => String::new(),
            before => format!(", recorded before: {before}"),
        };
        lines.push(format!("Would be locked out (connected now: {connected}{recorded})"));
        lines.extend(
            locked_out
                .iter()
                .map(|client| format!("  {} {}", screen.mark(Mark::HoldsNot), for_terminal(&client.line()))),
        );
    }
    lines.join("\n")
}

/// What connected clients notice.
const fn compose_effect(step: &ComposeStep) -> &'static str {
    match (step.was_running, step.anew) {
        (true, true) => {
            "the container is made anew, for a reload does not change what compose says: sessions end, seconds pass"
        }
        (true, false) => "the container stays as it is",
        (false, true) => "the container, which does not run, is made anew and started; its volumes stay",
        (false, false) => "the container, which does not run, is started",
    }
}

/// What is to be known before it is carried out, and cannot be seen from here.
pub(super) fn warnings(facts: &Facts, plan: &Plan) -> Vec<String> {
    let clients = plan.clients.as_ref().filter(|_| !plan.is_empty());
    let mut all = clients.map(|clients| clients::warnings(facts, clients)).unwrap_or_default();
    if !plan.lacks.is_empty() {
        all.push(format!(
            "the certificate is for {}, and not for {}: clients that verify fully and use one of those refuse it",
            joined(&plan.names),
            joined(&plan.lacks)
        ));
    }
    all
}

fn header(word: &str, facts: &Facts, screen: Screen) -> String {
    let standby = if facts.in_recovery { ", a standby" } else { "" };
    for_terminal(&format!(
        "{word}  PostgreSQL {}, {}{standby}{}{}",
        facts.version_text,
        facts.main.named.display(),
        screen.dot(),
        who_is_there(facts)
    ))
}

fn who_is_there(facts: &Facts) -> String {
    if facts.stopped {
        return "it does not run".to_owned();
    }
    let clients = facts.sessions.iter().filter(|seen| !seen.own);
    let tls = clients.clone().filter(|seen| seen.tls.is_some()).count();
    let plaintext = clients.clone().filter(|seen| seen.is_plaintext()).count();
    format!("{} ({tls} TLS, {plaintext} plaintext)", sessions(clients.count()))
}

fn sessions(count: usize) -> String {
    format!("{count} session{}", if count == 1 { "" } else { "s" })
}

pub(super) fn human(done: &Done, screen: Screen) -> String {
    let mut lines = Vec::new();
    if let Some(id) = &done.recovered {
        lines.push(screen.line(
            Mark::Mind,
            "taken back first",
            &format!("change {id}, which nobody had finished"),
        ));
    }
    if let Some(found) = &done.unfinished {
        lines.push(screen.line(Mark::Mind, "unfinished", &found.words()));
    }
    if let Some(id) = &done.settled {
        lines.push(screen.line(
            Mark::Holds,
            "proved first",
            &format!("change {id}, made while the server was down"),
        ));
    }
    if done.state == State::Planned && !done.findings.is_empty() {
        lines.push("Found".to_owned());
        lines.extend(done.findings.iter().flat_map(|finding| finding.lines(screen)));
        lines.push(String::new());
    }
    lines.push(plan_text(&done.word, &done.facts, &done.plan, &done.locked_out, screen));
    if done.state == State::Planned {
        return lines.join("\n");
    }
    lines.push(String::new());
    if let Some(proof) = &done.proof {
        lines.push(proof::human_of(proof, screen, &|name| done.asked_for.contains(&name)));
    }
    lines.push(closing(done, screen));
    if done.admitted > 0 {
        lines.push(screen.line(
            Mark::Mind,
            "let in without TLS",
            &format!("{}, which the rules let come again", sessions(done.admitted)),
        ));
    }
    if done.surviving > 0 {
        let ended =
            if done.ended > 0 { format!(", {} of them ended now", done.ended) } else { String::new() };
        lines.push(screen.line(
            Mark::Mind,
            "still in plaintext",
            &format!("{} from before{ended}; new ones are refused", sessions(done.surviving)),
        ));
    }
    lines.join("\n")
}

fn closing(done: &Done, screen: Screen) -> String {
    let word = for_terminal(&done.word);
    match (done.state, &done.change) {
        (State::AwaitingConfirmation(_), Some(id)) => screen.line(
            Mark::Mind,
            "awaiting confirmation",
            &format!("change {id} undoes itself unless: pgseal confirm {word}"),
        ),
        (State::AwaitingStart, Some(id)) => screen.line(
            Mark::Mind,
            "awaiting the start",
            &format!("change {id} is proved, or taken back, by the first pgseal verify {word} after it"),
        ),
        (_, Some(id)) => {
            let next = if done.plan.enforce { "" } else { "; then: pgseal secure … --enforce" };
            screen.line(
                Mark::Holds,
                "done",
                &screen.spelled(&format!("change {id}, undo: pgseal undo {word}{next}")),
            )
        }
        _ if done.facts.stopped && done.well() => screen.line(
            Mark::Mind,
            "as wished",
            &format!("in its files; after the start: pgseal verify {word}"),
        ),
        _ if done.proved => screen.line(Mark::Holds, "done", "everything was as wished, and is proved"),
        _ => screen.line(Mark::HoldsNot, "not proved", "nothing was changed; see the claims above"),
    }
}

//! `pgseal doctor --fix`: what was found put to `rotate` and `secure`, each planned, proved or rolled back by itself; then
//! another look. Mends nothing on its own.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, Parser};
use serde::Serialize;
use time::OffsetDateTime;

use super::options::Format;
use super::{Outcome, rotate, secure};
use crate::doctor::{Examined, examine};
use crate::failure::{Ending, Failure, Result};
use crate::findings::{Finding, Fix, Severity};
use crate::policy::Policy;
use crate::report::ask::yes_or_stop;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::report::stderr::say;
use crate::target::{Asked, Target};

/// What is to be mended, and how far.
pub(super) struct Order {
    pub(super) target: String,
    pub(super) asked: Asked,
    pub(super) policy: String,
    pub(super) ca: Option<PathBuf>,
    pub(super) new_ca: Option<PathBuf>,
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) fail_on: Severity,
    pub(super) format: Format,
}

/// One command, and the findings that it is for.
struct Mend {
    words: Vec<String>,
    findings: Vec<&'static str>,
}

/// The JSON of `pgseal doctor --fix` (docs/schema/doctor-fix.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    /// `planned`, `nothing-to-do` or `mended`.
    state: &'static str,
    commands: Vec<CommandRow<'a>>,
    /// Found before, and not any more.
    gone: Vec<&'a str>,
    /// What is left for a person; of a plan, what no command is for.
    left: Vec<&'a Finding>,
}

#[derive(Debug, Serialize)]
struct CommandRow<'a> {
    command: String,
    findings: &'a [&'static str],
    /// What it printed with --format json.
    result: serde_json::Value,
}

/// Reads words as the options of a verb.
#[derive(Debug, Parser)]
struct Words<O: Args> {
    #[command(flatten)]
    options: O,
}

pub(super) async fn run(order: Order) -> Result<Outcome> {
    let before = look(&order).await?;
    let mends = mends(&order, &before.findings);
    if mends.is_empty() {
        return shown(&order, "nothing-to-do", &before, &[], &[], &before.findings);
    }
    let brought = order.ca.is_some() || order.new_ca.is_some();
    if !brought && before.findings.iter().any(|finding| finding.name == "certificate-missing") {
        return Err(Failure::usage("there is no certificate to serve, and --fix brings none by itself")
            .because("nothing was changed")
            .hint("--new-ca DIR for a CA of your own, or --ca DIR"));
    }
    if !order.dry_run && !order.yes {
        consent(&mends).await?;
    }
    let mut told: Vec<String> = Vec::new();
    for mend in &mends {
        match carried_out(mend).await {
            Ok(outcome) => told.push(outcome.text),
            Err(failure) => return Err(so_far(failure, &mends, told.len())),
        }
    }
    if order.dry_run {
        let by_hand: Vec<Finding> =
            before.findings.iter().filter(|finding| finding.fix.is_none()).cloned().collect();
        return shown(&order, "planned", &before, &mends, &told, &by_hand);
    }
    let after = look(&order).await?;
    shown(&order, "mended", &before, &mends, &told, &after.findings)
}

async fn look(order: &Order) -> Result<Examined> {
    let mut place = Target::place(&order.target).await?;
    let policy = Policy::named(&order.policy)?;
    examine(&mut place, &order.target, &order.asked, policy, OffsetDateTime::now_utc()).await
}

async fn consent(mends: &[Mend]) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is nobody to ask whether to mend it; nothing was changed")
            .hint("--dry-run to see what would be done, --yes to do it"));
    }
    for mend in mends {
        say(&for_terminal(&format!("pgseal {}   # {}", mend.command(), mend.findings.join(", "))));
    }
    yes_or_stop("Carry this out?").await
}

impl Mend {
    /// As a person would type it.
    fn command(&self) -> String {
        let quoted = |word: &String| {
            if word.contains([' ', '\'', '"', '$', '\\', '*', '?', ';', '&']) {
                format!("'{}'", word.replace('\'', r"'\''"))
            } else {
                word.clone()
            }
        };
        let words = self.words.iter().filter(|word| !word.starts_with("--format"));
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// The commands that mend the findings, in their order: without a certificate that serves no setting can be proved.
fn mends(order: &Order, findings: &[Finding]) -> Vec<Mend> {
    let of = |wanted: &[Fix]| -> Vec<&'static str> {
        let fitting = findings.iter().filter(|finding| finding.fix.is_some_and(|fix| wanted.contains(&fix)));
        fitting.map(|finding| finding.name).collect()
    };
    let brought = order.ca.is_some() || order.new_ca.is_some();
    let certificate = of(&[Fix::Certificate, Fix::KeyType]);
    let mut all = Vec::new();
    if !certificate.is_empty() && !brought {
        let mut words = vec!["rotate".to_owned(), order.target.clone()];
        if !of(&[Fix::KeyType]).is_empty() {
            words.push("--key-type=ecdsa-p256".to_owned());
        }
        all.push(Mend { words, findings: certificate.clone() });
    }
    let mut words = vec!["secure".to_owned(), order.target.clone(), format!("--policy={}", order.policy)];
    let mut names = of(&[Fix::Settings, Fix::Scram, Fix::Enforce]);
    if brought {
        let named = |option: &str, folder: &Option<PathBuf>| {
            folder.as_ref().map(|folder| format!("--{option}={}", folder.display()))
        };
        words.extend(named("ca", &order.ca).into_iter().chain(named("new-ca", &order.new_ca)));
        if !certificate.is_empty() && !certificate.contains(&"certificate-missing") {
            words.push("--reissue".to_owned());
        }
        names.extend(certificate);
    }
    for (fix, word) in [(Fix::Scram, "--auth=scram-sha-256"), (Fix::Enforce, "--enforce")] {
        if !of(&[fix]).is_empty() {
            words.push(word.to_owned());
        }
    }
    if !names.is_empty() {
        all.push(Mend { words, findings: names });
    }
    for mend in &mut all {
        mend.words.extend(further(order, &mend.words));
    }
    all
}

/// What every command is told beside its own.
fn further(order: &Order, words: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    if order.dry_run {
        all.push("--dry-run".to_owned());
    } else if words.first().is_some_and(|verb| verb == "secure") {
        all.push("--yes".to_owned());
    }
    all.extend(order.asked.username.iter().map(|name| format!("--username={name}")));
    all.extend(order.asked.dbname.iter().map(|name| format!("--dbname={name}")));
    if order.format == Format::Json {
        all.push("--format=json".to_owned());
    }
    all
}

async fn carried_out(mend: &Mend) -> Result<Outcome> {
    let unread = |error: clap::Error| Failure::usage(format!("pgseal {}: {}", mend.command(), error.kind()));
    if mend.words.first().is_some_and(|verb| verb == "rotate") {
        let read = Words::<rotate::Options>::try_parse_from(&mend.words).map_err(unread)?;
        return rotate::run(read.options).await;
    }
    let read = Words::<secure::Options>::try_parse_from(&mend.words).map_err(unread)?;
    secure::run(read.options).await
}

/// A command that failed, with what was done before it and is not taken back by it.
fn so_far(failure: Failure, mends: &[Mend], done: usize) -> Failure {
    let (before, failed) = mends.split_at(done.min(mends.len()));
    let asked = failed.first().map(|mend| format!("that was: pgseal {}", mend.command()));
    let stands = before.iter().map(|mend| format!("done before, and it stands: pgseal {}", mend.command()));
    failure.because_all(asked).because_all(stands)
}

fn shown(
    order: &Order,
    state: &'static str,
    before: &Examined,
    mends: &[Mend],
    told: &[String],
    left: &[Finding],
) -> Result<Outcome> {
    let names: BTreeSet<&str> = left.iter().map(|finding| finding.name).collect();
    let gone: BTreeSet<&str> = match state {
        "mended" => {
            before.findings.iter().map(|finding| finding.name).filter(|name| !names.contains(name)).collect()
        }
        _ => BTreeSet::new(),
    };
    let bad = |findings: &[Finding]| findings.iter().any(|finding| finding.severity >= order.fail_on);
    let failing = if state == "planned" { bad(&before.findings) } else { bad(left) };
    let text = match order.format {
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            target: &order.target,
            state,
            commands: mends
                .iter()
                .zip(told)
                .map(|(mend, told)| CommandRow {
                    command: format!("pgseal {}", mend.command()),
                    findings: &mend.findings,
                    result: serde_json::from_str(told).unwrap_or(serde_json::Value::Null),
                })
                .collect(),
            gone: gone.into_iter().collect(),
            left: left.iter().collect(),
        })?,
        Format::Human => human(order, state, mends, told, &gone, left),
    };
    Ok(Outcome { text, ending: if failing { Ending::NotProved } else { Ending::Well } })
}

fn human(
    order: &Order,
    state: &str,
    mends: &[Mend],
    told: &[String],
    gone: &BTreeSet<&str>,
    left: &[Finding],
) -> String {
    let screen = Screen::of_stdout();
    let mut lines = Vec::new();
    for (mend, told) in mends.iter().zip(told) {
        lines.push(for_terminal(&format!("pgseal {}   # {}", mend.command(), mend.findings.join(", "))));
        lines.push(told.clone());
        lines.push(String::new());
    }
    if mends.is_empty() {
        lines.push(for_terminal(&format!("{}  nothing that --fix mends", order.target)));
    }
    lines.extend(gone.iter().map(|name| screen.line(Mark::Holds, name, "gone")));
    if !left.is_empty() && state == "planned" {
        lines.push("Left for a person to decide:".to_owned());
    }
    for finding in left {
        lines.extend(finding.lines(screen));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(findings: &[&'static str], ca: Option<&str>) -> Vec<String> {
        let order = Order {
            target: "15/main".to_owned(),
            asked: Asked::default(),
            policy: "intermediate".to_owned(),
            ca: ca.map(PathBuf::from),
            new_ca: None,
            dry_run: false,
            yes: true,
            fail_on: Severity::High,
            format: Format::Human,
        };
        let found: Vec<Finding> =
            findings.iter().map(|name| Finding::new(name, "seen", &order.target)).collect();
        mends(&order, &found).iter().map(Mend::command).collect()
    }

    #[test]
    fn one_command_each_mends_the_certificate_and_all_else() {
        assert_eq!(commands(&["dead-line", "listens-everywhere"], None), [""; 0]);
        assert_eq!(
            commands(&["key-weak", "suites-too-wide", "plaintext-accepted"], None),
            ["rotate 15/main --key-type=ecdsa-p256", "secure 15/main --policy=intermediate --enforce --yes"]
        );
        // What counts is whose key signed it: its own stays of the kind that it is.
        assert_eq!(commands(&["channel-binding-impossible"], None), ["rotate 15/main"]);
        assert_eq!(
            commands(&["certificate-missing", "tls-off", "weak-method-reachable"], Some("/ca")),
            ["secure 15/main --policy=intermediate --ca=/ca --auth=scram-sha-256 --yes"]
        );
        assert_eq!(
            commands(&["certificate-expiring"], Some("/my ca")),
            ["secure 15/main --policy=intermediate '--ca=/my ca' --reissue --yes"]
        );
    }
}

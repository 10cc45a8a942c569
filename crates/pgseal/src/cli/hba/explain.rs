//! `pgseal hba explain`.

use std::net::IpAddr;

use clap::Args;
use pgseal_conf::hba::{
    Channel, ClientName, Connection, Decision, Method, Outcome as Came, Purpose, Roles, Ruleset, World,
    decide,
};
use serde::Serialize;

use super::super::Outcome;
use super::super::options::Format;
use super::FileOptions;
use super::prove::{DOES_NOT_LOAD, unread_lines};
use super::source::read;
use crate::failure::{Ending, Failure, Result};
use crate::hba::excerpt;
use crate::hba::judged::{Findings, Reading, findings, majors, readings, spelled, versions};
use crate::hba::loading::refused;
use crate::hba::source::Source;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "Examples:
  pgseal hba explain pg_hba.conf -U app -d shop --addr 10.0.0.31 --no-tls
  pgseal hba explain pg_hba.conf -U standby --replication --addr 10.0.0.9
  pgseal hba explain pg_hba.conf -U postgres -d postgres            (over the Unix socket)

Exit status: 0 whatever the answer, 2 wrong usage, 3 a file that PostgreSQL would not load.")]
pub(crate) struct Options {
    #[command(flatten)]
    file: FileOptions,
    /// The user who connects
    #[arg(short = 'U', long, value_name = "USER")]
    username: String,
    /// The database [default: the user's name]
    #[arg(short, long)]
    dbname: Option<String>,
    /// The client's address; without one the connection comes over the Unix socket
    #[arg(long, value_name = "IP")]
    addr: Option<IpAddr>,
    /// The client's host name, as confirmed by reverse and forward lookup
    #[arg(long, value_name = "NAME", requires = "addr")]
    host_name: Option<String>,
    /// With TLS (the default over TCP)
    #[arg(long, conflicts_with_all = ["no_tls", "gss"])]
    tls: bool,
    /// Without encryption
    #[arg(long, conflicts_with = "gss")]
    no_tls: bool,
    /// With GSS encryption
    #[arg(long)]
    gss: bool,
    /// Physical replication
    #[arg(long, conflicts_with = "dbname")]
    replication: bool,
    /// A role that the user is a member of (repeatable); all of them, then
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal hba explain` (docs/schema/hba-explain.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    /// `no-entry`, `reject`, the method, or `depends`; of the newest version judged.
    decision: &'static str,
    file: Option<String>,
    line: Option<u32>,
    passed: Vec<PassedRow>,
    outcomes: Vec<OutcomeRow>,
    loaded: Option<String>,
    versions: Vec<VersionRow>,
}

#[derive(Debug, Serialize)]
struct VersionRow {
    versions: Vec<u16>,
    decision: &'static str,
    file: Option<String>,
    line: Option<u32>,
}

#[derive(Debug, Serialize)]
struct PassedRow {
    file: String,
    line: u32,
    reason: String,
}

#[derive(Debug, Serialize)]
struct OutcomeRow {
    decision: &'static str,
    file: Option<String>,
    line: Option<u32>,
    hinges_on: Vec<String>,
}

type Explained = Findings<Decision>;

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let who = connection(&options)?;
    let source = read(&options.file.file).await?;
    let wanted = versions(options.file.pg_version.as_deref(), source.version)?;
    let world = world(&options, &source);
    let explained = findings(readings(&source, &wanted), |ruleset| decide(&ruleset.rules, &who, &world));
    let Some(newest) = explained.found.iter().max_by_key(|(reading, _)| reading.versions.last()) else {
        return Err(refused(&source, &explained.refusing));
    };
    let ending = if explained.refusing.is_empty() { Ending::Well } else { Ending::NotCarriedOut };
    let text = match options.format {
        Format::Json => json::text(&row(&source, newest, &explained))?,
        Format::Human => human(&source, &who, &explained, Screen::of_stdout()),
    };
    Ok(Outcome { text, ending })
}

fn connection(options: &Options) -> Result<Connection> {
    let channel = match options.addr {
        None if options.tls || options.no_tls || options.gss => {
            return Err(Failure::usage("--tls, --no-tls and --gss are about TCP, and there is no --addr")
                .hint("--addr with the client's address"));
        }
        None => Channel::Local,
        Some(_) if options.no_tls => Channel::Plain,
        Some(_) if options.gss => Channel::Gss,
        Some(_) => Channel::Tls,
    };
    let purpose = if options.replication {
        Purpose::Replication
    } else {
        Purpose::Database(options.dbname.as_deref().unwrap_or(&options.username).into())
    };
    let name = match &options.host_name {
        Some(name) => ClientName::Confirmed(name.as_str().into()),
        None => ClientName::Unknown,
    };
    Ok(Connection { channel, address: options.addr, name, user: options.username.as_str().into(), purpose })
}

/// The roles that were said; otherwise those of the live server.
fn world(options: &Options, source: &Source) -> World {
    if options.roles.is_empty() {
        return source.world();
    }
    let mut roles = Roles::new();
    for role in &options.roles {
        roles.grant(role.as_str(), options.username.as_str());
    }
    World { roles: Some(roles), interfaces: None }
}

/// What a rule says in a word; no rule is `no-entry`.
fn word(rule: Option<usize>, ruleset: &Ruleset) -> &'static str {
    rule.map_or("no-entry", |index| ruleset.rules.get(index).map_or("no-entry", |rule| rule.method.name()))
}

fn place(rule: Option<usize>, ruleset: &Ruleset) -> (Option<String>, Option<u32>) {
    let rule = rule.and_then(|index| ruleset.rules.get(index));
    let file = rule.and_then(|rule| ruleset.path(rule.file)).map(ToString::to_string);
    (file, rule.map(|rule| rule.line))
}

fn row(source: &Source, newest: &(Reading, Decision), explained: &Explained) -> Row {
    let decided = |(reading, found): &(Reading, Decision)| {
        let certain = found.certain();
        let (file, line) = place(certain.flatten(), &reading.ruleset);
        let decision = certain.map_or("depends", |rule| word(rule, &reading.ruleset));
        VersionRow { versions: majors(&reading.versions), decision, file, line }
    };
    let unread = |reading: &Reading| VersionRow {
        versions: majors(&reading.versions),
        decision: DOES_NOT_LOAD,
        file: None,
        line: None,
    };
    let VersionRow { decision, file, line, .. } = decided(newest);
    let (Reading { ruleset, .. }, found) = newest;
    let passed = found.passed.iter().filter_map(|(index, why)| {
        let (file, line) = place(Some(*index), ruleset);
        Some(PassedRow { file: file?, line: line?, reason: why.to_string() })
    });
    let outcome_row = |outcome: &Came| {
        let (file, line) = place(outcome.rule, ruleset);
        OutcomeRow {
            decision: word(outcome.rule, ruleset),
            file,
            line,
            hinges_on: outcome.hinges.iter().map(ToString::to_string).collect(),
        }
    };
    Row {
        schema_version: SCHEMA_VERSION,
        decision,
        file,
        line,
        passed: passed.collect(),
        outcomes: found.outcomes.iter().map(outcome_row).collect(),
        loaded: source.loaded.as_ref().map(ToString::to_string),
        versions: explained.refusing.iter().map(unread).chain(explained.found.iter().map(decided)).collect(),
    }
}

fn human(source: &Source, who: &Connection, explained: &Explained, screen: Screen) -> String {
    let purpose = match &who.purpose {
        Purpose::Database(name) => format!("database {name}"),
        Purpose::Replication => "physical replication".to_owned(),
    };
    let from = who.address.map_or_else(String::new, |address| format!(" from {address}"));
    let mut lines = vec![for_terminal(&format!("user {}, {purpose}{from}, {}", who.user, who.channel))];
    if let Some(loaded) = &source.loaded {
        lines.push(format!("  {}", for_terminal(&loaded.to_string())));
    }
    lines.extend(unread_lines(&explained.refusing, screen));
    let several = explained.found.len() + explained.refusing.len() > 1;
    for (reading, decision) in &explained.found {
        if several {
            lines.push(format!("PostgreSQL {}", spelled(&reading.versions)));
        }
        lines.extend(walk(&reading.ruleset, decision, screen));
    }
    lines.join("\n")
}

/// The rules in their order: those passed over with the reason, then what decides.
fn walk(ruleset: &Ruleset, decision: &Decision, screen: Screen) -> Vec<String> {
    let passed = decision.passed.iter().flat_map(|(index, why)| {
        [shown(*index, ruleset), format!("        passed over: {}", for_terminal(&why.to_string()))]
    });
    let sure = decision.outcomes.len() == 1;
    let came = decision.outcomes.iter().flat_map(|outcome| outcome_lines(outcome, ruleset, sure, screen));
    passed.chain(came).collect()
}

/// A rule's line, of the file where it is not the main one.
fn shown(index: usize, ruleset: &Ruleset) -> String {
    let Some(rule) = ruleset.rules.get(index) else { return String::new() };
    let file = ruleset.files.get(rule.file as usize);
    let text =
        file.and_then(|file| file.text.line_numbered(rule.line)).map(|line| excerpt::lines(line, 0..0));
    let text = text.and_then(|lines| lines.into_iter().next()).unwrap_or_default();
    match ruleset.path(rule.file).filter(|_| rule.file != 0) {
        Some(path) => format!("    in {}\n{text}", for_terminal(&path.to_text())),
        None => text,
    }
}

fn outcome_lines(outcome: &Came, ruleset: &Ruleset, sure: bool, screen: Screen) -> Vec<String> {
    let method = word(outcome.rule, ruleset);
    let refuses = outcome.rule.is_none() || method == Method::Reject.name();
    let mark = match (sure && outcome.hinges.is_empty(), refuses) {
        (false, _) => Mark::CannotTell,
        (true, true) => Mark::HoldsNot,
        (true, false) => Mark::Holds,
    };
    let what = match outcome.rule {
        Some(_) if refuses => "refused by this line".to_owned(),
        Some(_) => format!("decided by this line: {method}"),
        None => "no line fits: refused".to_owned(),
    };
    let hinges: Vec<String> = outcome.hinges.iter().map(ToString::to_string).collect();
    let hinges =
        if hinges.is_empty() { String::new() } else { format!("if: {}", for_terminal(&hinges.join("; "))) };
    outcome
        .rule
        .map(|index| shown(index, ruleset))
        .into_iter()
        .chain([screen.line(mark, &what, &hinges)])
        .collect()
}

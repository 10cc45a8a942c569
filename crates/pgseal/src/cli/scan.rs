//! `pgseal scan`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use pgseal_wire::scan::{Limits, Wish};
use pgseal_wire::{RootFile, Roots};

use super::Outcome;
use super::options::{ReportFormat, STDIN};
use crate::failure::{Ending, Failure, Result};
use crate::findings::Severity;
use crate::interrupt::{Shield, interruptible};
use crate::policy::{self, Policy};
use crate::privilege::files;
use crate::report::json;
use crate::report::screen::Screen;
use crate::report::stderr::say;
use crate::scan::baseline::Baseline;
use crate::scan::chain::Trust;
use crate::scan::fleet::{How, sweep};
use crate::scan::report::Report;
use crate::scan::scanned::Scanned;
use crate::scan::show::{document, fleet, human, row};
use crate::scan::target::{self, DEFAULT_PORT, Named, Reading};

/// A list of targets longer than this is no list of targets.
const LIST_LIMIT: u64 = 16 << 20;
/// More servers than this are scanned by nobody in one call.
const MOST_TARGETS: usize = 100_000;

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a word on the command line")]
#[command(after_help = "Examples:
  pgseal scan db1.example.org
  pgseal scan db1:5432 db2:6432 --sslrootcert ca.crt --fail-on medium
  pgseal scan --targets fleet.txt --quick --format jsonl --jobs 64
  pgseal scan db1 --format sarif > scan.sarif
  pgseal scan --explain certificate-expiring

Nothing is logged in to and no password is ever sent. Exit status: 0 nothing at or above --fail-on,
1 something, 2 wrong usage, 3 a server could not be reached (and nothing worse was found).")]
pub(crate) struct Options {
    /// HOST, HOST:PORT (IPv6 addresses in brackets), or a connection string (host:NAME where a file has that name)
    #[arg(required_unless_present_any = ["targets", "explain"])]
    target: Vec<String>,
    /// A file of targets, one a line, # begins a comment; - reads standard input
    #[arg(long, value_name = "FILE|-")]
    targets: Option<PathBuf>,
    /// Let targets be networks, such as 10.0.0.0/24
    #[arg(long)]
    cidr: bool,
    /// The port where a target names none
    #[arg(short = 'p', long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The posture only, in at most 6 connections a server
    #[arg(long)]
    quick: bool,
    /// Also what leaves traces: words in clear before the handshake (CVE-2021-23214), a second handshake inside TLS 1.2, stray bytes
    #[arg(long, conflicts_with = "quick")]
    intrusive: bool,
    /// The role whose login is looked at, never carried out [default: one that exists nowhere]
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database whose login is looked at [default: one that exists nowhere]
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// Whom to trust beside the system: a file, the system's store alone, or nobody
    #[arg(long, value_name = "FILE|system|none")]
    sslrootcert: Option<String>,
    /// The name to send as SNI in the place of the host
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// Scan every address of a name, not the first that answers
    #[arg(long)]
    all_addresses: bool,
    /// Servers at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Sockets at once to one server
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: u16,
    /// Pause between two connections to one server (50ms, 1s)
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = time)]
    delay: Duration,
    /// For one question
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
    /// For one server
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    target_timeout: Duration,
    /// modern, intermediate, old, or a file of one's own
    #[arg(long, value_name = "POLICY", default_value = policy::DEFAULT)]
    policy: String,
    /// End with status 1 for findings at least this bad
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    fail_on: FailOn,
    /// Say only what is new or worse since an earlier scan's JSON
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Say what a finding means and what mends it
    #[arg(long, value_name = "FINDING", conflicts_with_all = ["target", "targets"])]
    explain: Option<String>,
    /// Every suite, certificate and answer
    #[arg(short, long)]
    verbose: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Low,
    Medium,
    High,
    Critical,
    Never,
}

impl FailOn {
    const fn severity(self) -> Option<Severity> {
        match self {
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Critical => Some(Severity::Critical),
            Self::Never => None,
        }
    }
}

/// `50ms`, `5s`, `2m`; at most an hour.
fn time(text: &str) -> Result<Duration, String> {
    let bad = || "a time is a whole number with ms, s or m behind it, such as 50ms".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60).ok_or_else(bad)?),
        _ => return Err(bad()),
    };
    if time <= Duration::from_secs(3600) { Ok(time) } else { Err("a time is at most an hour".to_owned()) }
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    if let Some(name) = &options.explain {
        return super::doctor::explain(name);
    }
    let policy = Policy::named(&options.policy)?;
    let baseline = options.baseline.as_deref().map(Baseline::read).transpose()?;
    let targets = targets(&options)?;
    let how = how(&options, &targets)?;
    let begun = Instant::now();
    let reports = interruptible(&Shield::default(), async {
        Ok(scanned(targets, &how, &options, &policy, baseline.as_ref()).await)
    })
    .await?;
    let ending = ending(&reports, options.fail_on);
    Ok(Outcome { text: text(&reports, &options, begun.elapsed())?, ending })
}

fn targets(options: &Options) -> Result<Vec<Named>> {
    let reading = Reading { port: options.port, cidr: options.cidr };
    let mut all = Vec::new();
    for word in &options.target {
        super::verify::warn_about_password(word);
        all.extend(target::parse(word, reading)?);
    }
    if let Some(path) = &options.targets {
        all.extend(target::parse_lines(&list(path)?, &path.display().to_string(), reading)?);
    }
    let before = all.len();
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|named| seen.insert((named.label.clone(), named.address)));
    if all.len() < before {
        say(&format!(
            "pgseal: {} targets were named more than once, and are scanned once",
            before - all.len()
        ));
    }
    if all.len() > MOST_TARGETS {
        return Err(Failure::usage(format!("{} targets are more than {MOST_TARGETS}", all.len()))
            .hint("scan them in parts"));
    }
    Ok(all)
}

fn list(path: &Path) -> Result<String> {
    let bytes = if path == Path::new(STDIN) {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(LIST_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::new(format!("could not read targets from stdin: {error}")))?;
        bytes
    } else {
        files::read_named(path, LIST_LIMIT)
            .map_err(|error| Failure::io("read the targets", path, &error))?
            .to_vec()
    };
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{} is not UTF-8", path.display())))
}

fn how(options: &Options, targets: &[Named]) -> Result<How> {
    let named = targets.iter().find_map(|named| named.sslrootcert.as_deref());
    let asked = match options.sslrootcert.as_deref().or(named) {
        None | Some("system" | "none") => None,
        Some(path) => Some(match RootFile::read(Path::new(path)) {
            RootFile::Loaded(roots) => roots,
            RootFile::Absent { path } => {
                return Err(Failure::new(format!("root certificate file \"{path}\" does not exist")));
            }
            RootFile::Unusable(error) => return Err(Failure::new(error.to_string())),
        }),
    };
    let system = if options.sslrootcert.as_deref() == Some("none") { None } else { Roots::system().ok() };
    Ok(How {
        wish: Wish { quick: options.quick, intrusive: options.intrusive },
        limits: Limits {
            probe: options.timeout,
            whole: options.target_timeout,
            connections: usize::from(options.connections),
            delay: options.delay,
        },
        jobs: usize::from(options.jobs),
        all_addresses: options.all_addresses,
        sni: options.sni.clone(),
        user: options.username.clone(),
        dbname: options.dbname.clone(),
        trust: Arc::new(Trust { asked, system }),
    })
}

/// Scans them, and prints those that are printed as they come. In the order in which they were named.
async fn scanned(
    targets: Vec<Named>,
    how: &How,
    options: &Options,
    policy: &Policy,
    baseline: Option<&Baseline>,
) -> Vec<Report> {
    let mut reports: Vec<(usize, Report)> = Vec::new();
    sweep(targets, how, |place, scanned: Scanned| {
        let now = scanned.at;
        let mut report = Report::of(scanned, policy, now);
        if let Some(baseline) = baseline {
            baseline.apply(&mut report);
        }
        if options.format == ReportFormat::Jsonl
            && let Ok(line) = json::line(&row::Row::of(&report))
        {
            let _ = super::write_bytes(format!("{line}\n").as_bytes());
        }
        reports.push((place, report));
    })
    .await;
    reports.sort_by_key(|(place, _)| *place);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// Something bad enough, or somebody who could not be reached.
fn ending(reports: &[Report], fail_on: FailOn) -> Ending {
    let bad = |report: &Report| {
        let severities = report.findings.iter().map(|finding| finding.severity);
        fail_on.severity().is_some_and(|limit| severities.max().is_some_and(|worst| worst >= limit))
    };
    if reports.iter().any(bad) {
        Ending::NotProved
    } else if reports.iter().any(|report| !report.scanned.reachable()) {
        Ending::NotCarriedOut
    } else {
        Ending::Well
    }
}

fn text(reports: &[Report], options: &Options, took: Duration) -> Result<String> {
    if let Some(form) = options.format.form() {
        return form.text(&document::of(reports, options.fail_on.severity()));
    }
    Ok(match options.format {
        ReportFormat::Json => json::text(&row::Whole::of(reports))?,
        ReportFormat::Jsonl => String::new(),
        _ => {
            let screen = Screen::of_stdout();
            let each: Vec<String> = reports
                .iter()
                .map(|report| human::text(report, screen, options.verbose))
                .chain(fleet::summary(reports, took))
                .collect();
            each.join("\n\n")
        }
    })
}

//! `pgseal sessions --record` and `--ledger`: who comes over time.

use std::time::{Duration, Instant};

use serde::Serialize;
use time::OffsetDateTime;

use super::Outcome;
use super::eye::Eye;
use super::show::mark;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::interrupt::until_interrupted;
use crate::journal::state::ledger_file;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::Screen;
use crate::report::stderr::say;
use crate::sessions::client::{Client, How};
use crate::sessions::follow::Follow;
use crate::sessions::ledger::{Ledger, Times};
use crate::sessions::record::Record;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is lost by a crash at most.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// The JSON of `pgseal sessions --ledger` (docs/schema/ledger.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    ledger: String,
    began: &'a str,
    /// For how long it has been kept in all.
    seconds: u64,
    log: Option<String>,
    passed_over: u64,
    plaintext: usize,
    clients: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    client: &'a Client,
    #[serde(flatten)]
    times: &'a Times,
}

/// The ledger of that server; an error where there is none.
pub(super) async fn open(eye: &mut Eye, target: &str) -> Result<Ledger> {
    let file = ledger_file(&eye.server().await?)?;
    Ledger::read(&file)?.ok_or_else(|| {
        Failure::new(format!("there is no ledger of {target} yet"))
            .hint(format!("pgseal sessions {target} --record --for 7d"))
    })
}

/// Keeps it until the time is over, or somebody says stop. Both end well: what was seen is on disk.
pub(super) async fn record(eye: &mut Eye, length: Option<Duration>) -> Result<Ledger> {
    let now = OffsetDateTime::now_utc();
    let mut record = Record::new(Ledger::open(&ledger_file(&eye.server().await?)?, now)?, now);
    let mut follow = begin(eye, &mut record).await;
    let end = length.map(|length| Instant::now() + length);
    let mut saved = Instant::now();
    say(&format!(
        "pgseal: keeping {} {}",
        record.ledger.file().display(),
        length.map_or_else(
            || "until it is interrupted".to_owned(),
            |length| format!("for {} s", length.as_secs())
        )
    ));
    let stop = until_interrupted()?;
    tokio::pin!(stop);
    let mut gone = false;
    loop {
        match step(eye, &mut record, follow.as_mut()).await {
            Ok(()) => gone = false,
            // A server that restarts is waited for.
            Err(failure) => {
                if !std::mem::replace(&mut gone, true) {
                    say(&format!("pgseal: {}; looking again", failure.sentence()));
                }
            }
        }
        if saved.elapsed() >= SAVE_EVERY {
            record.ledger.save()?;
            saved = Instant::now();
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        let left =
            end.map_or(LOOK_EVERY, |end| end.saturating_duration_since(Instant::now()).min(LOOK_EVERY));
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = tokio::time::sleep(left) => {}
        }
    }
    // What was let in between the last look and the end.
    if !gone {
        let _ = step(eye, &mut record, follow.as_mut()).await;
    }
    record.ledger.save()?;
    Ok(record.ledger)
}

/// The log where there is one; why not is said, for then short connections are missed.
async fn begin(eye: &mut Eye, record: &mut Record) -> Option<Follow> {
    let left = record.ledger.log.clone();
    let begun = match eye.parts() {
        Ok((session, Some(place))) => Follow::begin(place, session, left.as_ref()).await,
        Ok((_, None)) => Err("a connection string reaches no log".to_owned()),
        Err(failure) => Err(failure.sentence().to_owned()),
    };
    match begun {
        Ok(follow) => Some(follow),
        Err(why) => {
            record.ledger.log = None;
            say(&format!(
                "pgseal: the log does not help, so connections shorter than a second may be missed: {why}"
            ));
            say("pgseal: with ALTER SYSTEM SET log_connections = on and a reload it would");
            None
        }
    }
}

/// First the log: what it tells of is not counted again when it is seen.
async fn step(eye: &mut Eye, record: &mut Record, follow: Option<&mut Follow>) -> Result<()> {
    let seen = eye.look().await?;
    let now = OffsetDateTime::now_utc();
    if let Some(follow) = follow
        && let (session, Some(place)) = eye.parts()?
    {
        let logged = follow.read_on(place, session).await.map_err(Failure::new)?;
        record.read(logged, &follow.position, now);
        if let Some(log) = &record.ledger.log {
            follow.position.since.clone_from(&log.since);
        }
    }
    record.look(&seen, now);
    Ok(())
}

pub(super) fn show(ledger: &Ledger, target: &str, format: Format) -> Result<Outcome> {
    let plaintext = ledger.clients.keys().filter(|client| client.how == How::Plaintext).count();
    Ok(Outcome::well(match format {
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            target,
            ledger: ledger.file().display().to_string(),
            began: &ledger.began,
            seconds: ledger.seconds,
            log: ledger.log.as_ref().map(|log| log.path.display().to_string()),
            passed_over: ledger.passed_over,
            plaintext,
            clients: ledger.clients.iter().map(|(client, times)| Entry { client, times }).collect(),
        })?,
        Format::Human => human(ledger, target, plaintext, Screen::of_stdout()),
    }))
}

fn human(ledger: &Ledger, target: &str, plaintext: usize, screen: Screen) -> String {
    let source = match &ledger.log {
        Some(log) => format!("looks and the log {}", log.path.display()),
        None => "looks once a second, which miss what is shorter".to_owned(),
    };
    let mut lines = vec![for_terminal(&format!(
        "{target}  {} clients, {plaintext} of them in plaintext, since {} ({source})",
        ledger.clients.len(),
        ledger.began
    ))];
    for (client, times) in &ledger.clients {
        let seen = format!("{} ({}×, {} … {})", client.words(), times.count, times.first, times.last);
        let seen = screen.spelled(&seen);
        lines.push(screen.line(mark(&client.how), &for_terminal(&client.how.words()), &for_terminal(&seen)));
    }
    if ledger.passed_over > 0 {
        lines.push(format!(
            "  {} sessions of further clients were counted and not told apart",
            ledger.passed_over
        ));
    }
    lines.join("\n")
}

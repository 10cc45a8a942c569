//! `pgseal sessions`: who is connected now, who comes over time, and who would be refused by other rules.

mod eye;
mod ledger;
mod lockout;
mod show;
mod watch;

use std::time::Duration;

use clap::Args;
use pgseal_pki::Validity;

use super::options::Format;
use super::{Outcome, write_bytes};
use crate::failure::{Failure, Result};
use crate::interrupt::{Shield, interruptible};
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::Screen;
use crate::target::{Asked, shown};
use eye::Eye;
use show::{Row, human};

/// Between two looks of `--watch`, in seconds.
const WATCH_EVERY: &str = "2";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal sessions 15/main
  pgseal sessions 15/main --watch
  pgseal sessions 15/main --record --for 7d      who comes in a week, also for a second
  pgseal sessions 15/main --would-lock-out --enforce
  pgseal sessions 'postgresql://admin@db1/postgres?sslrootcert=ca.crt' --format json

Plaintext comes first. Sessions over the Unix socket never carry TLS, and need none. The ledger of
--record is a small file of yours that the next --record goes on with; with log_connections on it
misses no connection, however short. Exit status of --would-lock-out: 1 when somebody would be
refused, or it could not be told.")]
pub(crate) struct Options {
    /// A data directory, a cluster such as 15/main, a folder made by `pgseal up`, container:NAME, a compose file (FILE#SERVICE), or a connection string
    target: String,
    /// The role to log in as
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to log in to
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// Look again every so many seconds, in place on a terminal, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = WATCH_EVERY, conflicts_with_all = ["record", "ledger", "would_lock_out"])]
    watch: Option<f32>,
    /// Keep a ledger of who comes, until interrupted or --for is over
    #[arg(long, conflicts_with_all = ["ledger", "would_lock_out"])]
    record: bool,
    /// How long to record: 7d, 12h, 90m
    #[arg(long = "for", value_name = "TIME", requires = "record")]
    length: Option<Validity>,
    /// Show the ledger
    #[arg(long, conflicts_with = "would_lock_out")]
    ledger: bool,
    /// Who of the ledger and of those connected now would be refused by this pg_hba.conf
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    would_lock_out: Option<String>,
    /// The rules of --would-lock-out: the server's own, with plaintext refused
    #[arg(long, requires = "would_lock_out")]
    enforce: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let every = options.watch.map(interval).transpose()?;
    let file = options.would_lock_out.as_deref().filter(|file| !file.is_empty());
    if let (Some(file), true) = (file, options.enforce) {
        return Err(Failure::usage(format!(
            "--would-lock-out takes either a file or --enforce, not both {file} and --enforce"
        )));
    }
    let asked = Asked { username: options.username.clone(), dbname: options.dbname.clone() };
    let mut eye = Eye::open(&options.target, asked).await?;
    let outcome = look(&mut eye, &options, every).await;
    eye.close().await;
    outcome
}

async fn look(eye: &mut Eye, options: &Options, every: Option<Duration>) -> Result<Outcome> {
    let (target, format) = (&*shown(&options.target), options.format);
    if let Some(every) = every {
        if format == Format::Json {
            return Err(Failure::usage("--watch is for people to read")
                .hint("sessions --format json, as often as wanted"));
        }
        let shield = Shield::default();
        let watched = interruptible(&shield, watch::watch(eye, target, every));
        return watched.await.map(|()| Outcome::well(String::new()));
    }
    if options.record {
        let length = options.length.map(|length| length.duration().unsigned_abs());
        let ledger = ledger::record(eye, length).await?;
        return ledger::show(&ledger, target, format);
    }
    if options.ledger {
        return ledger::show(&ledger::open(eye, target).await?, target, format);
    }
    if let Some(file) = &options.would_lock_out {
        let file = Some(file.as_str()).filter(|file| !file.is_empty());
        return lockout::forecast(eye, target, file, format).await;
    }
    let seen = eye.look().await?;
    let row = Row::of(SCHEMA_VERSION, target, &seen);
    Ok(Outcome::well(match format {
        Format::Human => human(&row, Screen::of_stdout()),
        Format::Json => json::text(&row)?,
    }))
}

fn interval(seconds: f32) -> Result<Duration> {
    if (0.1..=3600.0).contains(&seconds) {
        return Ok(Duration::from_secs_f32(seconds));
    }
    Err(Failure::usage(format!("--watch {seconds} is not between 0.1 s and an hour")))
}

/// On stdout at once.
fn write_now(text: &str) -> Result<()> {
    write_bytes(text.as_bytes()).map_err(|error| Failure::new(format!("could not write the result: {error}")))
}

//! The command line: one file a verb. Reads words, calls rooms, prints results.

mod cert;
mod client;
mod client_check;
mod client_report;
mod doctor;
mod doctor_fix;
mod down;
mod hba;
mod modes;
mod modes_report;
mod modes_rows;
mod options;
mod rotate;
mod rotate_report;
mod scan;
mod secure;
mod secure_remote;
mod secure_report;
mod sessions;
mod status;
mod undo;
mod up;
mod verify;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{Ending, Failure, Result};
use crate::report::stderr::say;

#[derive(Debug, Parser)]
#[command(
    name = "pgseal",
    version,
    about = "Turns TLS on for any PostgreSQL, proves it on the wire, and keeps it on",
    after_help = "Examples:
  pgseal up                            a new PostgreSQL in ./pgseal that speaks only TLS, proved
  pgseal up /srv/db --san db1 -p 5433  under a name of its own, on another port
  pgseal verify /srv/db                prove it again, against what runs now
  pgseal cert show localhost:5432      the certificate that a server shows

Exit status: 0 all well, 1 something is not proved, 2 wrong usage,
3 could not be carried out, 4 rolled back, 130, 143 or 129 interrupted and cleaned up."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make (or start) a PostgreSQL server that speaks only TLS, and prove it
    Up(Box<up::Options>),
    /// Say what a pgseal folder holds and whether its server runs
    Status(status::Options),
    /// Stop the server of a pgseal folder; with --remove delete the folder
    Down(down::Options),
    /// Prove every claim again, against what runs now
    Verify(verify::Options),
    /// Everything that a server's wire tells to somebody without a password
    Scan(Box<scan::Options>),
    /// Turn TLS on, and enforce it, on a server that lives: planned, proved, or rolled back
    Secure(Box<secure::Options>),
    /// Put back what the last change replaced, byte for byte
    Undo(undo::Undo),
    /// Keep a change made with --confirm-within
    Confirm(undo::Confirm),
    /// The changes made to a server, with their diffs
    History(undo::History),
    /// Every finding about a server, with its cause and what mends it
    Doctor(doctor::Options),
    /// Who is connected, and how it is encrypted
    Sessions(sessions::Options),
    /// Give a server a new certificate with nobody noticing: one rename, one reload, proved or rolled back
    Rotate(Box<rotate::Options>),
    /// The sslmode table, live: what each mode comes to here, who can listen, who can come between
    Modes(modes::Options),
    /// What each driver has to be told so that it verifies this server, chain and name
    Client(Box<client::Options>),
    /// Certificates
    #[command(subcommand)]
    Cert(cert::Verb),
    /// pg_hba.conf understood: check, explain, prove, diff, enforce
    #[command(subcommand)]
    Hba(Box<hba::Verb>),
}

/// What a verb prints on stdout, and how the run ends.
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) ending: Ending,
}

impl Outcome {
    pub(crate) const fn well(text: String) -> Self {
        Self { text, ending: Ending::Well }
    }
}

/// The watcher of `secure --confirm-within`, which nobody listens to.
pub(crate) fn watch(word: &str, change: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(crate::secure::watcher::watch(word, change))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(carry_out(cli.verb));
            // A name lookup that never comes back must not hold the end up.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::new(format!("could not start: {error}"))),
    };
    ExitCode::from(finish(outcome).code())
}

async fn carry_out(verb: Verb) -> Result<Outcome> {
    match verb {
        Verb::Up(options) => up::run(*options).await,
        Verb::Status(options) => status::run(options).await,
        Verb::Down(options) => down::run(options).await,
        Verb::Verify(options) => verify::run(options).await,
        Verb::Scan(options) => scan::run(*options).await,
        Verb::Secure(options) => secure::run(*options).await,
        Verb::Undo(options) => undo::undo(options).await,
        Verb::Confirm(options) => undo::confirm(options).await,
        Verb::History(options) => undo::history(options).await,
        Verb::Doctor(options) => doctor::run(options).await,
        Verb::Sessions(options) => sessions::run(options).await,
        Verb::Rotate(options) => rotate::run(*options).await,
        Verb::Modes(options) => modes::run(options).await,
        Verb::Client(options) => client::run(*options).await,
        Verb::Cert(verb) => cert::run(verb).await,
        Verb::Hba(verb) => hba::run(*verb).await,
    }
}

fn finish(outcome: Result<Outcome>) -> Ending {
    match outcome {
        Ok(Outcome { text, ending }) => match write_out(&text) {
            Ok(()) => ending,
            Err(error) => {
                say(&format!("pgseal: could not write the result: {error}"));
                Ending::NotCarriedOut
            }
        },
        Err(failure) => {
            say(&format!("pgseal: {failure}"));
            failure.ending()
        }
    }
}

fn write_out(text: &str) -> std::io::Result<()> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    write_bytes(format!("{text}{end}").as_bytes())
}

/// Bytes on stdout as they are: a file that a person asked for.
pub(crate) fn write_bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // A reader that has seen enough (head, grep -q) is no error.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

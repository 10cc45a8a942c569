//! `pgseal hba`: pg_hba.conf understood, offline or on a live server.

mod check;
mod diff;
mod enforce;
mod explain;
mod live;
mod prove;
mod source;

use clap::{Args, Subcommand};

use super::Outcome;
use crate::failure::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every error and warning of a file, and which lines are dead or weak
    Check(check::Options),
    /// Which line decides a connection, and why none before it does
    Explain(explain::Options),
    /// Is there any way in without TLS? The proof that there is none, or the way
    Prove(prove::Options),
    /// Who gains and who loses access between two files
    Diff(diff::Options),
    /// The file with plaintext refused: two lines on top, nothing else touched
    Enforce(enforce::Options),
}

/// What every verb about a file takes.
#[derive(Debug, Args)]
pub(crate) struct FileOptions {
    /// A pg_hba.conf, `-` for stdin, or a server whose own file is meant: a folder made by `pgseal up`, a data directory, 15/main, container:NAME, a connection string
    file: String,
    /// Judge for this version only [default: the live server's, else 12 to 18]
    #[arg(long, value_name = "N")]
    pg_version: Option<String>,
}

pub(crate) async fn run(verb: Verb) -> Result<Outcome> {
    match verb {
        Verb::Check(options) => check::run(options).await,
        Verb::Explain(options) => explain::run(options).await,
        Verb::Prove(options) => prove::run(options).await,
        Verb::Diff(options) => diff::run(options).await,
        Verb::Enforce(options) => enforce::run(options).await,
    }
}

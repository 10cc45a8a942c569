//! What the server's log says of a reload: `pg_reload_conf()` says `t` whatever comes of it, and the reason stands
//! there alone. Where the log cannot be found or read, nothing is said of it.

use std::path::{Path, PathBuf};

use pgseal_wire::Session;

use crate::delegate::message::{Reply, Request};
use crate::place::Place;
use crate::place::log::{self, LogFormat};
use crate::server::said::last_lines;

/// The end of the log that is looked at, in bytes: what a busy server writes during a proof.
const LIMIT: u64 = 256 << 10;
/// What the postmaster says where it goes on with the TLS that it had (postmaster.c), in the languages that
/// PostgreSQL speaks: a line each.
const NOT_RELOADED: &str = include_str!("not-reloaded.txt");
/// The signal has no other name in any of them.
const RELOADED: &str = "SIGHUP";
/// The postmaster says what it makes of a reload before anything else happens.
const LOG_LINES: usize = 8;
/// Where the place is lost, as few as show something.
const LAST_LINES: usize = 6;

/// A place in the log.
pub(crate) struct Mark {
    path: Option<PathBuf>,
    /// The last line so far.
    line: Option<String>,
}

impl Mark {
    /// The end of the log as it is now.
    pub(crate) async fn here(place: &mut Place, session: &Session) -> Self {
        let path = log::find(place, session, LogFormat::Text).await;
        let line = match &path {
            Some(path) => end(place, path).await.pop(),
            None => None,
        };
        Self { path, line }
    }

    /// What was written since, a line each. The log may have been exchanged meanwhile: its last ones then.
    pub(crate) async fn since(&self, place: &mut Place) -> Vec<String> {
        let Some(path) = &self.path else { return Vec::new() };
        let mut lines = end(place, path).await;
        match lines.iter().rposition(|line| Some(line) == self.line.as_ref()) {
            Some(at) => lines.drain(..=at),
            None => lines.drain(..lines.len().saturating_sub(LAST_LINES)),
        };
        lines
    }

    /// The same for people, as reasons why something was taken back.
    pub(crate) async fn reasons(&self, place: &mut Place) -> Vec<String> {
        let mut said = self.since(place).await;
        said.truncate(LOG_LINES);
        said.into_iter().map(|line| format!("server log: {line}")).collect()
    }

    /// Whether the server took up the TLS settings of the reload since, with the line that says no; `None`:
    /// the log does not tell.
    pub(super) async fn taken_up(&self, place: &mut Place) -> Option<Result<(), String>> {
        let lines = self.since(place).await;
        let refused = |line: &&String| NOT_RELOADED.lines().any(|words| line.contains(words));
        match lines.iter().find(refused) {
            Some(line) => Some(Err(line.clone())),
            // As long as the reload itself is written there, so would be what went wrong.
            None => lines.iter().any(|line| line.contains(RELOADED)).then_some(Ok(())),
        }
    }
}

async fn end(place: &mut Place, path: &Path) -> Vec<String> {
    let asked = Request::ReadEnd { path: path.to_owned(), limit: LIMIT };
    match place.hands.ask(&asked, &[]).await {
        Ok((Reply::Bytes, bytes)) => last_lines(&bytes, usize::MAX),
        _ => Vec::new(),
    }
}

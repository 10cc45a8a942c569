//! What the server's log says of a reload: `pg_reload_conf()` says `t` whatever comes of it, and the reason stands
//! there alone. Where the log cannot be found or read, that is said, and nothing fails for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgseal_wire::Session;

use super::log_lines::{readable, readable_from_within};
use crate::place::Place;
use crate::place::log::{self, LogFormat};
use crate::sql::rows_of;

/// What is read of it at once, in bytes: what a busy server writes during a proof.
const LIMIT: u64 = 256 << 10;
/// What the postmaster says where it goes on with the TLS that it had (postmaster.c), in the languages that
/// PostgreSQL speaks: a line each.
const NOT_RELOADED: &str = include_str!("not-reloaded.txt");
/// The signal has no other name in any of them.
pub(crate) const RELOADED: &str = "SIGHUP";
/// Between two looks at a log that others write for the postmaster, and how many there are at most.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(30);
const SETTLES_WITHIN: u32 = 30;
/// How many are shown. The postmaster says what it makes of a reload before anything else happens.
const LOG_LINES: usize = 8;

/// A place in the log; or why there is none.
pub(crate) struct Mark(Result<At, String>);

enum At {
    File {
        path: PathBuf,
        format: LogFormat,
        /// Its length so far.
        offset: u64,
        /// Whether the collector writes it, a moment after the postmaster has said it (syslogger.c).
        collected: bool,
    },
    /// What docker keeps of the container's standard error, and its last line so far.
    Container { last: Option<String> },
}

impl Mark {
    /// The end of the log as it is now.
    pub(crate) async fn here(place: &mut Place, session: &Session) -> Self {
        Self(end_of(place, session).await)
    }

    /// What was written since, a record each, severity first.
    async fn since(&self, place: &mut Place, session: &Session) -> Result<Vec<String>, String> {
        let mut lines = self.so_far(place, session).await?;
        if matches!(&self.0, Ok(At::File { collected: false, .. })) {
            return Ok(lines);
        }
        // A reload is always worth a line: until something came, and nothing comes any more.
        for _ in 0..SETTLES_WITHIN {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            let now = self.so_far(place, session).await?;
            if !now.is_empty() && now == lines {
                break;
            }
            lines = now;
        }
        Ok(lines)
    }

    async fn so_far(&self, place: &mut Place, session: &Session) -> Result<Vec<String>, String> {
        match self.0.as_ref().map_err(String::clone)? {
            At::File { path, format, offset, .. } => {
                let mut all = read_on(place, path, *format, *offset).await?;
                // The server may have gone on in another file (log_rotation_age).
                if let Some(now) = log::find(place, session, *format).await
                    && now != *path
                {
                    all.extend(read_on(place, &now, *format, 0).await?);
                }
                Ok(all)
            }
            At::Container { last } => {
                let mut lines = place.last_words_of_the_container().await?;
                if let Some(at) = lines.iter().rposition(|line| Some(line) == last.as_ref()) {
                    lines.drain(..=at);
                }
                Ok(lines.iter().map(|line| without_stamp(line)).collect())
            }
        }
    }

    /// The same for people, as reasons why something was taken back.
    pub(crate) async fn reasons(&self, place: &mut Place, session: &Session) -> Vec<String> {
        match self.since(place, session).await {
            Ok(said) => worth_showing(&said).iter().map(|line| format!("server log: {line}")).collect(),
            Err(why) => vec![format!("the server's log could not be read: {why}")],
        }
    }

    /// Whether the server took up the TLS settings of the reload since, with the line that says no; why the log
    /// does not tell.
    pub(super) async fn taken_up(
        &self,
        place: &mut Place,
        session: &Session,
    ) -> Result<Result<(), String>, String> {
        let lines = self.since(place, session).await?;
        match lines.iter().find(|line| is_refusal(line)) {
            Some(line) => Ok(Err(line.clone())),
            // As long as the reload itself is written there, so would be what went wrong.
            None if lines.iter().any(|line| line.contains(RELOADED)) => Ok(Ok(())),
            None => Err("the server's log does not tell of the reload".to_owned()),
        }
    }
}

/// Whether it says that the postmaster goes on with the TLS that it had.
pub(crate) fn is_refusal(line: &str) -> bool {
    NOT_RELOADED.lines().any(|words| line.contains(words))
}

/// Those that lead to the refusal of a reload, before which every parameter that changed is named; otherwise the first.
fn worth_showing(said: &[String]) -> &[String] {
    let end = said.iter().position(|line| is_refusal(line)).map_or(LOG_LINES, |at| at + 1);
    let end = end.min(said.len());
    said.get(end.saturating_sub(LOG_LINES)..end).unwrap_or_default()
}

/// The records at the end of the log, a line each, as many as `limit` bytes hold; why there are none. Of a container it
/// is what docker gives of its last lines.
pub(crate) async fn end_of_log(
    place: &mut Place,
    session: &Session,
    limit: u64,
) -> Result<Vec<String>, String> {
    match end_of(place, session).await? {
        At::File { path, format, offset, .. } => {
            let from = offset.saturating_sub(limit);
            let bytes = place.read_from(&path, from, limit).await;
            let bytes = bytes.map_err(|failure| failure.sentence().to_owned())?;
            Ok(if from == 0 { readable(format, &bytes) } else { readable_from_within(format, &bytes) })
        }
        At::Container { .. } => {
            let lines = place.last_words_of_the_container().await?;
            Ok(lines.iter().map(|line| without_stamp(line)).collect())
        }
    }
}

async fn end_of(place: &mut Place, session: &Session) -> Result<At, String> {
    const WHERE: &str =
        "SELECT current_setting('log_destination'), current_setting('logging_collector')::bool";
    let rows = rows_of(session, WHERE, &[]).await?;
    let row = rows.first().ok_or("the server did not say where it lies")?;
    let destination: String = row.try_get(0).map_err(|error| error.to_string())?;
    let collected: bool = row.try_get(1).map_err(|error| error.to_string())?;
    let goes_to = |word: &str| destination.split(',').any(|one| one.trim().eq_ignore_ascii_case(word));
    // Without the collector nobody writes the other two (elog.c, send_message_to_server_log).
    for (format, word) in
        [(LogFormat::Text, "stderr"), (LogFormat::Csv, "csvlog"), (LogFormat::Json, "jsonlog")]
    {
        if !goes_to(word) || (format != LogFormat::Text && !collected) {
            continue;
        }
        if let Some(path) = log::find(place, session, format).await {
            let offset = size(place, &path).await?;
            return Ok(At::File { path, format, offset, collected });
        }
    }
    if !goes_to("stderr") && !collected {
        return Err(format!("it goes to {destination}"));
    }
    if place.is_contained() && !collected {
        let last = place.last_words_of_the_container().await?.pop();
        return Ok(At::Container { last });
    }
    Err("the server's standard error is no file that can be found (a service's journal has it)".to_owned())
}

/// From an offset on. A file that is shorter by now was begun anew.
async fn read_on(
    place: &mut Place,
    path: &Path,
    format: LogFormat,
    offset: u64,
) -> Result<Vec<String>, String> {
    let size = size(place, path).await?;
    let from = if size < offset { 0 } else { offset };
    let bytes = place.read_from(path, from, LIMIT).await.map_err(|failure| failure.sentence().to_owned())?;
    Ok(readable(format, &bytes))
}

/// And whether it can be read at all: better known before anything has happened than after.
async fn size(place: &mut Place, path: &Path) -> Result<u64, String> {
    let found = place.hands.look(path).await.map_err(|failure| failure.sentence().to_owned())?;
    let (_, found) = found.ok_or_else(|| format!("there is no {}", path.display()))?;
    place.read_from(path, found.size, 1).await.map_err(|failure| failure.sentence().to_owned())?;
    Ok(found.size)
}

/// Docker's own time goes before each line, and makes it unlike any other.
pub(crate) fn without_stamp(line: &str) -> String {
    line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_a_refusal_is_shown_however_much_is_said_before_and_after() {
        let mut said: Vec<String> = (0..20).map(|number| format!("parameter {number}")).collect();
        assert_eq!(worth_showing(&said), &said[..LOG_LINES]);
        said.push("LOG:  could not load it".to_owned());
        said.push("LOG:  SSL configuration was not reloaded".to_owned());
        said.push("LOG:  something else".to_owned());
        assert_eq!(worth_showing(&said), &said[14..22]);
        assert_eq!(worth_showing(&said[20..22]), &said[20..22]);
        assert!(worth_showing(&[]).is_empty());
    }
}

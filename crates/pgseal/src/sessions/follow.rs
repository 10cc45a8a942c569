//! The log of a server, read on from where it was left: every connection that was let in, also the shortest.

use std::path::PathBuf;

use pgseal_wire::Session;
use time::UtcOffset;

use super::ledger::Position;
use super::logged::{Logged, Reader, Written};
use crate::place::Place;
use crate::place::log::{LogFormat, find};
use crate::sql::text_of;

/// What of a log that was never read before is looked at, in bytes from its end.
const PAST: u64 = 64 << 20;
/// Read at once, in bytes; a frame of the delegate's carries 16 MiB.
const PIECE: u64 = 4 << 20;
/// The most that one look reads, in bytes: the rest waits for the next one.
const MOST: u64 = 64 << 20;

/// A log with a place in it.
pub(crate) struct Follow {
    reader: Reader,
    format: LogFormat,
    pub(crate) position: Position,
}

impl Follow {
    /// The log that tells the most, from where it was left; or why there is none to follow.
    pub(crate) async fn begin(
        place: &mut Place,
        session: &Session,
        left: Option<&Position>,
    ) -> Result<Self, String> {
        let said = logs_connections(session).await?;
        if !said {
            return Err("the server does not write connections into its log (log_connections)".to_owned());
        }
        let (format, path) = current(place, session).await?;
        let written = match format {
            LogFormat::Json => Written::Json,
            LogFormat::Csv => Written::Csv,
            LogFormat::Text => Written::Text(setting(session, "log_line_prefix").await?),
        };
        let reader = Reader::new(written, zone(session).await);
        if let Some(why) = reader.is_blind() {
            return Err(why.to_owned());
        }
        let size = size(place, &path).await?;
        let position = match left {
            Some(left) if left.path == path && left.offset <= size => left.clone(),
            _ => Position { path, offset: size.saturating_sub(PAST), since: String::new() },
        };
        Ok(Self { reader, format, position })
    }

    /// What was written since. The server may have gone on in another file, or begun this one anew.
    pub(crate) async fn read_on(
        &mut self,
        place: &mut Place,
        session: &Session,
    ) -> Result<Vec<Logged>, String> {
        let mut found = self.rest(place).await?;
        if let Some(path) = find(place, session, self.format).await
            && path != self.position.path
        {
            // What was written to the old one after the look is read before it is left.
            found.extend(self.rest(place).await?);
            self.position.path = path;
            self.position.offset = 0;
            found.extend(self.rest(place).await?);
        }
        Ok(found)
    }

    async fn rest(&mut self, place: &mut Place) -> Result<Vec<Logged>, String> {
        let size = size(place, &self.position.path).await?;
        if size < self.position.offset {
            self.position.offset = 0;
        }
        let mut found = Vec::new();
        let end = size.min(self.position.offset.saturating_add(MOST));
        while self.position.offset < end {
            let bytes = place
                .read_from(&self.position.path, self.position.offset, PIECE)
                .await
                .map_err(|failure| failure.to_string())?;
            if bytes.is_empty() {
                break;
            }
            self.position.offset += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            found.extend(self.reader.feed(&bytes));
        }
        Ok(found)
    }
}

async fn current(place: &mut Place, session: &Session) -> Result<(LogFormat, PathBuf), String> {
    for format in [LogFormat::Json, LogFormat::Csv, LogFormat::Text] {
        if let Some(path) = find(place, session, format).await {
            return Ok((format, path));
        }
    }
    Err("the server writes no log file that can be found from here".to_owned())
}

async fn size(place: &mut Place, path: &std::path::Path) -> Result<u64, String> {
    match place.hands.look(path).await.map_err(|failure| failure.to_string())? {
        Some((_, found)) => Ok(found.size),
        None => Err(format!("there is no {}", path.display())),
    }
}

/// A list of stages since 18, of which `authorization` is the one; before that on or off.
async fn logs_connections(session: &Session) -> Result<bool, String> {
    let value = setting(session, "log_connections").await?;
    Ok(value
        .split(',')
        .any(|word| matches!(word.trim(), "on" | "true" | "yes" | "1" | "all" | "authorization")))
}

async fn setting(session: &Session, name: &str) -> Result<String, String> {
    text_of(session, "SELECT current_setting($1)", &[&name]).await
}

/// How far the zone that the log is written in is from UTC now.
async fn zone(session: &Session) -> UtcOffset {
    const SECONDS: &str = "SELECT extract(epoch FROM (now() AT TIME ZONE current_setting('log_timezone')) \
         - (now() AT TIME ZONE 'UTC'))::int::text";
    let seconds = text_of(session, SECONDS, &[]).await.ok().and_then(|text| text.parse().ok());
    seconds.and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok()).unwrap_or(UtcOffset::UTC)
}

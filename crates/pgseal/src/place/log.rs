//! Where a server's log lies, and its next bytes. Where it cannot be found or read, there is none.

use std::path::{Path, PathBuf};

use pgseal_wire::Session;
use zeroize::Zeroizing;

use super::{Hands, Layout, Place};
use crate::delegate::message::{Reply, Request};
use crate::failure::Result;
use crate::privilege::files::Kind;
use crate::server::said::last_lines;
use crate::sql::rows_of;

/// The end of a log that is looked at, in bytes, and in lines.
const END: u64 = 64 << 10;
const LAST_LINES: usize = 20;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// `jsonlog`, from 15 on.
    Json,
    Csv,
    /// `stderr`.
    Text,
}

/// The file that is written to now.
pub(crate) async fn find(place: &mut Place, session: &Session, format: LogFormat) -> Option<PathBuf> {
    let word = match format {
        LogFormat::Json => "jsonlog",
        LogFormat::Csv => "csvlog",
        LogFormat::Text => "stderr",
    };
    let rows = rows_of(session, "SELECT pg_current_logfile($1)", &[&word]).await.ok()?;
    let named = rows.first().and_then(|row| row.try_get::<_, Option<String>>(0).ok()).flatten();
    match (&place.layout, named) {
        (_, Some(path)) => Some(place.data.join(path)),
        (_, None) if format != LogFormat::Text => None,
        (Layout::Plain, None) => standard_error(place).await,
        (_, None) => usual(place),
    }
}

/// Where such a server's log lies whether it runs or not.
fn usual(place: &Place) -> Option<PathBuf> {
    match &place.layout {
        Layout::Cluster { version, name } => {
            Some(PathBuf::from(format!("/var/log/postgresql/postgresql-{version}-{name}.log")))
        }
        Layout::Folder => Some(place.data.parent().unwrap_or(Path::new("/")).join("log/postgresql.log")),
        Layout::Plain | Layout::Container(_) | Layout::Composed(_) => None,
    }
}

/// The last fatal line of a server that is down, where its log can be found and read.
pub(crate) async fn last_words(place: &mut Place) -> Option<String> {
    let path = usual(place)?;
    let asked = Request::ReadEnd { path, limit: END };
    let Ok((Reply::Bytes, bytes)) = place.hands.ask(&asked, &[]).await else { return None };
    let lines = last_lines(&bytes, LAST_LINES);
    // In every language they keep their capitals; PANIC and FATAL stay English in most.
    let fatal = lines.iter().rev().find(|line| line.contains("FATAL") || line.contains("PANIC"));
    fatal.or(lines.last()).cloned()
}

/// The file that the postmaster's standard error goes to, if it is one (pg_ctl -l).
async fn standard_error(place: &mut Place) -> Option<PathBuf> {
    let server = place.server().await.ok().flatten()?;
    let (real, found) =
        place.hands.look(Path::new(&format!("/proc/{}/fd/2", server.pid))).await.ok().flatten()?;
    (found.kind == Kind::File).then_some(real)
}

impl Place {
    pub(crate) const fn is_contained(&self) -> bool {
        matches!(self.hands, Hands::Within(_))
    }

    /// The last lines that docker keeps of what the container said, with docker's own time before each.
    pub(crate) async fn last_words_of_the_container(&self) -> Result<Vec<String>, String> {
        match &self.hands {
            Hands::Within(container) => container.last_words().await,
            Hands::Here(_) => Err("it is in no container".to_owned()),
        }
    }

    /// At most `limit` bytes of a file of the server's from `offset` on, counted from 0.
    pub(crate) async fn read_from(
        &mut self,
        path: &Path,
        offset: u64,
        limit: u64,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let asked = Request::ReadFrom { path: path.to_owned(), offset, limit };
        match self.hands.ask(&asked, &[]).await? {
            (Reply::Bytes, bytes) => Ok(bytes),
            (other, _) => Err(self.hands.unexpected("read", path, &other)),
        }
    }
}

//! Who has been seen, since when and how often: a small file that survives restarts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::client::Client;
use crate::failure::{Failure, Result};
use crate::privilege::files;

/// The layout of the file.
const FORMAT: u32 = 1;
/// More clients than this are not told apart; the rest is counted.
const MOST: usize = 20_000;
/// The file's most, in bytes: four names of 63 bytes and more a client.
const LIMIT: u64 = 64 << 20;
/// Application names are 63 bytes at most (NAMEDATALEN); what a log says may be longer.
const LONGEST: usize = 256;

/// How often a client came, and when first and last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Times {
    /// RFC 3339, UTC.
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) count: u64,
}

/// How far a log has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    /// From when on it tells of every connection, RFC 3339.
    pub(crate) since: String,
}

/// The clients of one server.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) clients: BTreeMap<Client, Times>,
    /// Sessions of clients that found no place any more.
    pub(crate) passed_over: u64,
    pub(crate) log: Option<Position>,
    /// Since when it has been kept, and for how long in all, in seconds.
    pub(crate) began: String,
    pub(crate) seconds: u64,
    file: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    began: String,
    seconds: u64,
    passed_over: u64,
    log: Option<Position>,
    clients: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    client: Client,
    times: Times,
}

impl Ledger {
    /// The ledger in that file; an empty one where there is none.
    pub(crate) fn open(file: &Path, now: OffsetDateTime) -> Result<Self> {
        match Self::read(file)? {
            Some(ledger) => Ok(ledger),
            None => Ok(Self {
                clients: BTreeMap::new(),
                passed_over: 0,
                log: None,
                began: text(now),
                seconds: 0,
                file: file.to_owned(),
            }),
        }
    }

    /// The same; `None` where there is none.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>> {
        let found = files::status(file).map_err(|error| Failure::io("look at", file, &error))?;
        if found.is_none() {
            return Ok(None);
        }
        let bytes = files::read(file, LIMIT).map_err(|error| Failure::io("read", file, &error))?;
        let read: File = format_of(&bytes).and_then(|()| from_json(&bytes)).map_err(|why| {
            Failure::new(format!("the ledger {} cannot be read: {why}", file.display()))
                .because("nothing was changed in it")
                .hint(
                    "a pgseal that is as new as the one that wrote it, or move the file away and begin anew",
                )
        })?;
        Ok(Some(Self {
            clients: read.clients.into_iter().map(|entry| (entry.client, entry.times)).collect(),
            passed_over: read.passed_over,
            log: read.log,
            began: read.began,
            seconds: read.seconds,
            file: file.to_owned(),
        }))
    }

    /// One more session of a client.
    pub(crate) fn note(&mut self, client: Client, at: OffsetDateTime) {
        let client = shortened(client);
        let at = text(at);
        if let Some(times) = self.clients.get_mut(&client) {
            times.count = times.count.saturating_add(1);
            if at > times.last {
                times.last = at;
            } else if at < times.first {
                times.first = at;
            }
        } else if self.clients.len() < MOST {
            self.clients.insert(client, Times { first: at.clone(), last: at, count: 1 });
        } else {
            self.passed_over = self.passed_over.saturating_add(1);
        }
    }

    /// A session that was noted before is still there.
    pub(crate) fn seen_again(&mut self, client: Client, at: OffsetDateTime) {
        let at = text(at);
        if let Some(times) = self.clients.get_mut(&shortened(client))
            && at > times.last
        {
            times.last = at;
        }
    }

    /// Written whole, by one rename.
    pub(crate) fn save(&self) -> Result<()> {
        let clients =
            self.clients.iter().map(|(client, times)| Entry { client: client.clone(), times: times.clone() });
        let file = File {
            format: FORMAT,
            began: self.began.clone(),
            seconds: self.seconds,
            passed_over: self.passed_over,
            log: self.log.clone(),
            clients: clients.collect(),
        };
        let bytes = serde_json::to_vec(&file)
            .map_err(|error| Failure::new(format!("could not write {}: {error}", self.file.display())))?;
        files::replace(&self.file, 0o600, &bytes).map_err(|error| Failure::io("write", &self.file, &error))
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

/// What is newer is not guessed at.
fn format_of(bytes: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    match from_json::<Format>(bytes)?.format {
        FORMAT => Ok(()),
        other => Err(format!("its format is {other}, and this pgseal knows {FORMAT}")),
    }
}

fn from_json<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

fn shortened(mut client: Client) -> Client {
    if client.application.len() > LONGEST {
        client.application = client.application.chars().take(LONGEST / 4).collect();
    }
    client
}

/// RFC 3339 in UTC, whole seconds: such texts sort as times do.
pub(crate) fn text(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::client::How;
    use super::*;

    fn client(application: &str) -> Client {
        Client {
            how: How::Plaintext,
            user: "app".to_owned(),
            database: None,
            address: Some("10.0.0.1".to_owned()),
            application: application.to_owned(),
        }
    }

    #[test]
    fn what_was_noted_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.json");
        let (one, two) = (datetime!(2026-11-24 12:00 UTC), datetime!(2026-11-25 12:00 UTC));
        let mut ledger = Ledger::open(&file, one).unwrap();
        ledger.note(client("a"), two);
        ledger.note(client("a"), one);
        ledger.note(client("b"), one);
        ledger.save().unwrap();
        let again = Ledger::open(&file, two).unwrap();
        let times = Times { first: text(one), last: text(two), count: 2 };
        assert_eq!(again.clients.get(&client("a")), Some(&times));
        assert_eq!((again.clients.len(), again.began), (2, text(one)));
    }

    #[test]
    fn a_ledger_of_a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.json");
        std::fs::write(&file, r#"{"format":2,"more":[]}"#).unwrap();
        let said = Ledger::open(&file, OffsetDateTime::UNIX_EPOCH).unwrap_err().to_string();
        assert!(said.contains("its format is 2"), "{said}");
    }

    #[test]
    fn it_stays_small() {
        let mut ledger = Ledger::open(Path::new("/nowhere/at/all"), OffsetDateTime::UNIX_EPOCH).unwrap();
        for nth in 0..MOST + 5 {
            ledger.note(client(&nth.to_string()), OffsetDateTime::UNIX_EPOCH);
        }
        assert_eq!((ledger.clients.len(), ledger.passed_over), (MOST, 5));
        ledger.clients.clear();
        ledger.note(client(&"x".repeat(5000)), OffsetDateTime::UNIX_EPOCH);
        assert!(ledger.clients.keys().all(|client| client.application.len() <= LONGEST));
    }
}

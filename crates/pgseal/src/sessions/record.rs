//! Keeps the ledger: looks again and again, and reads the log on.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::Seen;
use super::client::Client;
use super::ledger::{Ledger, Position, text};
use super::logged::Logged;

/// What is being kept, between two looks.
pub(crate) struct Record {
    pub(crate) ledger: Ledger,
    /// Sessions that were there at the last look: process, and when it began.
    known: BTreeMap<(i32, String), Client>,
    last: OffsetDateTime,
}

impl Record {
    pub(crate) fn new(ledger: Ledger, now: OffsetDateTime) -> Self {
        Self { ledger, known: BTreeMap::new(), last: now }
    }

    /// Who is there at this moment.
    pub(crate) fn look(&mut self, sessions: &[Seen], now: OffsetDateTime) {
        let mut there = BTreeMap::new();
        for seen in sessions.iter().filter(|seen| !seen.own) {
            let key = (seen.pid, seen.since.clone());
            let client = Client::of(seen);
            // A name or a database may be told a moment later than the rest.
            let counted = self.known.contains_key(&key) || self.is_in_log(seen);
            if counted {
                self.ledger.seen_again(client.clone(), now);
            } else {
                self.ledger.note(client.clone(), now);
            }
            there.insert(key, client);
        }
        self.known = there;
        let seconds = (now - self.last).whole_seconds();
        self.ledger.seconds = self.ledger.seconds.saturating_add(u64::try_from(seconds).unwrap_or(0));
        // Whole seconds only: what is left over counts the next time.
        if seconds > 0 {
            self.last = now;
        }
    }

    /// Whether the log tells of it: it is not to be counted twice.
    fn is_in_log(&self, seen: &Seen) -> bool {
        self.ledger.log.as_ref().is_some_and(|log| !log.since.is_empty() && seen.since >= log.since)
    }

    /// What the log told, and how far it has been read.
    pub(crate) fn read(&mut self, logged: Vec<Logged>, position: &Position, now: OffsetDateTime) {
        let first = logged.iter().filter_map(|one| one.at).min().unwrap_or(now);
        let since = match &position.since {
            since if since.is_empty() => text(first),
            since => since.clone(),
        };
        self.ledger.log = Some(Position { since, ..position.clone() });
        for one in logged {
            self.ledger.note(one.client, one.at.unwrap_or(now));
        }
    }
}

//! How fast a server is asked, and what becomes of questions that it had no room for.
//!
//! SQLSTATE 53300, or a refused connect after others were taken, means that the server is full: we wait, longer each time,
//! and go on with one connection at a time until it answers again. A server that answered and then is late has too much to
//! do: it is asked again, with half as many connections at once.

use std::time::Duration;

use tokio::time::Instant;

use super::super::knowledge::{Knowledge, StartupKey};
use super::super::probe::{Answer, Outcome, Probe, SslReply};
use super::Limits;
use crate::message::{ServerError, SqlState};

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// So often a question is put off; then its answer is taken as it is.
const PATIENCE: u32 = 20;
/// So often a late answer is asked for again, in the whole scan.
const LATE: u32 = 6;

pub(super) struct Pace {
    limits: Limits,
    next_start: Instant,
    pause: Duration,
    full: bool,
    put_off: Vec<Probe>,
    times: u32,
    late: u32,
    width: usize,
}

impl Pace {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_start: Instant::now(),
            pause: SHORTEST,
            full: false,
            put_off: Vec::new(),
            times: 0,
            late: 0,
            width: limits.connections.max(1),
        }
    }

    /// Sockets that may be open at once.
    pub(super) fn width(&self) -> usize {
        if self.full { 1 } else { self.width }
    }

    /// When the next connection may begin.
    pub(super) fn start(&mut self) -> Instant {
        let start = self.next_start.max(Instant::now());
        self.next_start = start + self.limits.delay;
        start
    }

    /// Whether the server had no room for it, and is worth waiting for.
    pub(super) fn is_full(&self, known: &Knowledge, probe: &Probe, answer: &Answer) -> bool {
        // The same code says that there is no WAL sender left, or that there are none at all (proc.c): where a database had
        // room, there is nothing to wait for.
        if probe.is_for_replication() && known.startups.contains_key(&StartupKey::Database) {
            return false;
        }
        let full = |error: &ServerError| error.is(SqlState::TOO_MANY_CONNECTIONS);
        let outcome = |outcome: &Outcome| matches!(outcome, Outcome::Refused(error) if full(error));
        let reply = |reply: &SslReply| matches!(reply, SslReply::Error(error) if full(error));
        let so = match answer {
            Answer::NoSocket { refused, .. } => *refused && matches!(known.reached, Some(Ok(()))),
            Answer::Hello { ssl, .. } | Answer::GssEnc(ssl, _) | Answer::Renegotiation(ssl, _) => reply(ssl),
            Answer::Startup(one) => outcome(one),
            Answer::Login(ssl, result) => {
                reply(ssl) || result.as_ref().is_ok_and(|seen| outcome(&seen.outcome))
            }
            Answer::Stuffed(ssl, result) => reply(ssl) || result.as_ref().is_ok_and(outcome),
            Answer::Direct(Ok(seen)) => outcome(&seen.outcome),
            _ => false,
        };
        so && self.times < PATIENCE
    }

    /// Whether a server that has answered before had no time for it.
    pub(super) fn is_late(&self, known: &Knowledge, answer: &Answer) -> bool {
        answer.is_late() && self.late < LATE && known.speaks_postgres()
    }

    /// Asks again with fewer at once.
    pub(super) fn slower(&mut self, probe: Probe) {
        self.late += 1;
        self.width = (self.width / 2).max(1);
        self.put_off.push(probe);
    }

    /// Puts a question off.
    pub(super) fn later(&mut self, probe: Probe) {
        self.full = true;
        self.times += 1;
        self.next_start = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST);
        self.put_off.push(probe);
    }

    /// The server had room.
    pub(super) fn answered(&mut self) {
        self.full = false;
        self.pause = SHORTEST;
    }

    /// Questions that were put off and may be asked again.
    pub(super) fn again(&mut self, room: usize) -> Vec<Probe> {
        let count = room.min(self.put_off.len());
        self.put_off.drain(..count).collect()
    }

    /// Those that wait still.
    pub(super) fn waiting(&self) -> &[Probe] {
        &self.put_off
    }

    /// Whether something waits, for which the loop has to go on.
    pub(super) async fn rest(&self) -> bool {
        if self.put_off.is_empty() {
            return false;
        }
        tokio::time::sleep_until(self.next_start).await;
        true
    }
}

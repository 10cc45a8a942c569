//! A change that nobody finished: taken back before anything else.

use time::OffsetDateTime;

use super::pending;
use super::restore::{Seen, restore};
use crate::failure::{Failure, Result};
use crate::journal::{Journal, Phase};
use crate::place::Place;
use crate::report::stderr::say;

/// Takes back what a run that was cut off left; its id, if there was one. The caller holds the lock, so
/// nobody is at work. A change that awaits the server's start comes before any other.
pub(crate) async fn unfinished(place: &mut Place) -> Result<Option<String>> {
    match pending::waiting(place).await? {
        Some((_, change)) => Err(pending::awaits(&change.id, &place.word)),
        None => cut_off(place).await,
    }
}

/// A change at no end, as it was found by a run that only looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) change: String,
    /// How far it is, in the words of `history`.
    pub(crate) state: &'static str,
}

impl Unfinished {
    /// A line about it.
    pub(crate) fn words(&self) -> String {
        format!(
            "change {} is {}; this is said of what stands now, and nothing was touched",
            self.change, self.state
        )
    }
}

/// The same for whoever only looks: nothing is taken back.
pub(crate) async fn unfinished_of(place: &mut Place) -> Result<Option<Unfinished>> {
    let identifier = place.identifier().await?;
    let Some(journal) = Journal::find(identifier, &place.key())? else { return Ok(None) };
    Ok(journal.unfinished()?.map(|(change, phase)| Unfinished { change: change.id, state: phase.words() }))
}

/// The same for whoever sees to a change that awaits the server's start.
pub(super) async fn cut_off(place: &mut Place) -> Result<Option<String>> {
    let identifier = place.identifier().await?;
    let Some(journal) = Journal::find(identifier, &place.key())? else { return Ok(None) };
    let Some((change, phase)) = journal.unfinished()? else { return Ok(None) };
    if let Phase::AwaitingConfirmation { until, .. } = phase {
        let left = until - OffsetDateTime::now_utc().unix_timestamp();
        if left > 0 {
            return Err(Failure::new(format!(
                "change {} awaits confirmation for another {left} s",
                change.id
            ))
            .hint(format!("pgseal confirm {0} to keep it, or pgseal undo {0}", place.word)));
        }
    }
    if matches!(phase, Phase::AwaitingStart { .. }) {
        return Ok(None);
    }
    let seen = restore(place, &journal, &change, change.files.len(), &phase.taken_back()).await?;
    if let Seen::Otherwise { .. } = seen {
        say(&format!(
            "pgseal: change {}, which nobody had finished, was taken back: {}",
            change.id,
            seen.words()
        ));
    }
    Ok(Some(change.id))
}

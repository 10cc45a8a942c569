//! A change that nobody finished: taken back before anything else.

use time::OffsetDateTime;

use super::pending;
use super::restore::restore;
use crate::failure::{Failure, Result};
use crate::journal::{Journal, Phase};
use crate::place::Place;

/// Takes back what a run that was cut off left; its id, if there was one. The caller holds the lock, so
/// nobody is at work. A change that awaits the server's start comes before any other.
pub(crate) async fn unfinished(place: &mut Place) -> Result<Option<String>> {
    match pending::waiting(place).await? {
        Some((_, change)) => Err(pending::awaits(&change.id, &place.word)),
        None => cut_off(place).await,
    }
}

/// The same for whoever sees to a change that awaits the server's start.
pub(super) async fn cut_off(place: &mut Place) -> Result<Option<String>> {
    let identifier = place.identifier().await?;
    let Some(journal) = Journal::find(identifier, &place.key())? else { return Ok(None) };
    let Some((change, phase)) = journal.unfinished()? else { return Ok(None) };
    if let Phase::AwaitingConfirmation { until } = phase {
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
    restore(place, &journal, &change, change.files.len(), &phase.taken_back()).await?;
    Ok(Some(change.id))
}

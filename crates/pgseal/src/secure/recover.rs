//! A change that nobody finished: taken back before anything else.

use time::OffsetDateTime;

use super::restore::restore;
use crate::failure::{Failure, Result};
use crate::journal::{Journal, Phase};
use crate::place::Place;

/// Takes back what a run that was cut off left; its id, if there was one. The caller holds the lock, so
/// nobody is at work.
pub(crate) async fn unfinished(place: &mut Place) -> Result<Option<String>> {
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
    restore(place, &journal, &change, change.files.len(), &phase.taken_back()).await?;
    Ok(Some(change.id))
}

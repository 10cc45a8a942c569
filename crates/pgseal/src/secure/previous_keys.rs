//! Private keys that changes replaced: the last one is kept beside the new one, so that its change can be undone, for a
//! week. Knows where they lie and when they go, and never what is in them.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use time::{Duration, OffsetDateTime};

use crate::failure::Result;
use crate::journal::{Change, Journal, moment};
use crate::place::Place;

/// How long one is kept.
const LIFE: Duration = Duration::days(7);

/// One that is still there.
pub(crate) struct PreviousKey {
    pub(crate) path: PathBuf,
    /// The id of the change that replaced it.
    pub(crate) change: String,
    /// When that began, as the journal has it.
    since: String,
    /// Whether that change may still be taken back without anybody asking.
    is_needed: bool,
}

/// Those that lie where changes kept them: each folder is asked once, however many changes there were.
pub(crate) async fn kept(place: &mut Place, journal: &Journal) -> Result<Vec<PreviousKey>> {
    let mut folders: BTreeMap<PathBuf, Vec<Vec<u8>>> = BTreeMap::new();
    let mut all = Vec::new();
    for (change, phase) in journal.changes()? {
        for path in change.previous_keys() {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { continue };
            if !folders.contains_key(folder) {
                folders.insert(folder.to_owned(), place.names_in(folder).await?);
            }
            let is_there = |names: &Vec<Vec<u8>>| names.iter().any(|there| there == name.as_bytes());
            if folders.get(folder).is_some_and(is_there) {
                all.push(PreviousKey {
                    path: path.clone(),
                    change: change.id.clone(),
                    since: change.began.clone(),
                    is_needed: phase.is_unfinished(),
                });
            }
        }
    }
    Ok(all)
}

/// Those of earlier changes go when a later one stands and keeps its own. What cannot be removed now is by the next
/// change.
pub(crate) async fn only_one(place: &mut Place, journal: &Journal, change: &Change) {
    if change.previous_keys().next().is_none() {
        return;
    }
    for key in kept(place, journal).await.unwrap_or_default() {
        if key.change != change.id {
            let _ = place.clear_away(&key.path).await;
        }
    }
}

/// Those that were kept long enough go with whatever run comes next.
pub(crate) async fn past_their_time(place: &mut Place, now: OffsetDateTime) -> Result<()> {
    let identifier = place.identifier().await?;
    let Some(journal) = Journal::find(identifier, &place.key())? else { return Ok(()) };
    // Of fixed length, in UTC: they sort as they stand.
    let line = moment(now - LIFE)?;
    for key in kept(place, &journal).await? {
        if key.since < line && !key.is_needed {
            place.clear_away(&key.path).await?;
        }
    }
    Ok(())
}

/// The day on which the key that a change replaced goes, as `2026-12-01`; `None` where the change's own time cannot be
/// read.
pub(crate) fn goes_on(change: &Change) -> Option<String> {
    let began = OffsetDateTime::parse(&change.began, &time::format_description::well_known::Rfc3339).ok()?;
    Some((began + LIFE).date().to_string())
}

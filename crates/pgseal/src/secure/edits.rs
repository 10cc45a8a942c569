//! A file that others edited since a change was made: our marked blocks taken out of it, or exchanged for those that
//! stood there before, and every other byte left as it is.

use std::path::PathBuf;

use pgseal_conf::block::{self, BlockError};
use similar::TextDiff;

use super::settings;
use crate::failure::{Failure, Result};
use crate::hba::{diff, enforcement};
use crate::journal::{Before, Change, FileChange, Image, Journal};
use crate::place::Place;

/// Configuration files; a frame carries 16 MiB.
const LIMIT: u64 = 15 << 20;

/// A file that others edited, and what went out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    /// A unified diff, secrets masked; empty: there was no block of ours in it.
    pub(crate) diff: String,
}

/// Takes our blocks out of one file.
pub(super) async fn without_our_blocks(
    place: &mut Place,
    journal: &Journal,
    change: &Change,
    file: &FileChange,
) -> Result<Kept> {
    let untouched = Kept { path: file.path.clone(), diff: String::new() };
    // A key has no blocks, and is read no further than it must be.
    let Some(Before { image: Image::Stored(image), .. }) = &file.before else { return Ok(untouched) };
    let Some((_, status)) = place.hands.look(&file.path).await? else { return Ok(untouched) };
    let now = place.hands.read(&file.path, LIMIT).await?;
    let was = journal.image(change, image)?;
    let new = exchanged(&now, &was).map_err(|error| {
        Failure::new(format!("our lines cannot be taken out of {}: {error}", file.path.display()))
            .because("the file was left as it is")
            .hint("mend the markers, or take the lines between them out by hand, then again")
    })?;
    if new == now.as_slice() {
        return Ok(untouched);
    }
    let name = file.path.display().to_string();
    let is_rules = enforcement::is_enforced(&now) || enforcement::is_enforced(&was);
    let diff = if is_rules {
        diff::unified(&name, &now, &new, place.version().await?)
    } else {
        // No context: other lines may hold passwords (primary_conninfo).
        let (before, after) = (String::from_utf8_lossy(&now), String::from_utf8_lossy(&new));
        let lines = TextDiff::from_lines(before.as_ref(), after.as_ref());
        lines.unified_diff().context_radius(0).header(&name, &name).to_string()
    };
    place.clear_remains(&file.path).await?;
    place.put(&file.path, status.mode, &new).await?;
    Ok(Kept { path: file.path.clone(), diff })
}

/// The text with each block of ours as it stood in `was`, or without it where it did not stand there.
fn exchanged(now: &[u8], was: &[u8]) -> Result<Vec<u8>, BlockError> {
    let mut text = now.to_vec();
    for id in [settings::ID, enforcement::ID] {
        let old = block::find_all(was)?.into_iter().find(|found| found.id == id);
        let range = block::find_all(&text)?.into_iter().find(|found| found.id == id).map(|found| found.range);
        text = match (range, old.and_then(|old| was.get(old.range))) {
            (None, _) => continue,
            (Some(_), None) => block::remove(&text, id)?,
            (Some(range), Some(old)) => {
                let (head, tail) = (text.get(..range.start), text.get(range.end..));
                [head.unwrap_or_default(), old, tail.unwrap_or_default()].concat()
            }
        };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str =
        "# pgseal tls-settings: change 00000001. Undo: x\nssl = on\n# pgseal tls-settings end\n";
    const OLDER: &str =
        "# pgseal tls-settings: change 00000000. Undo: x\nssl = off\n# pgseal tls-settings end\n";

    fn text(now: &str, was: &str) -> String {
        String::from_utf8(exchanged(now.as_bytes(), was.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_others_wrote_around_a_block_stays() {
        let now = format!("a = 1\nb = 3\n{OURS}c = 4\n");
        assert_eq!(text(&now, "a = 1\nb = 2\n"), "a = 1\nb = 3\nc = 4\n");
    }

    #[test]
    fn a_block_that_stood_there_before_comes_back_edited_or_not() {
        let now = format!("a = 3\n{}", OURS.replace("ssl = on", "#ssl = on"));
        assert_eq!(text(&now, &format!("a = 1\n{OLDER}")), format!("a = 3\n{OLDER}"));
    }

    #[test]
    fn a_file_without_our_block_is_left_and_half_a_block_is_refused() {
        assert_eq!(text("a = 3\n", OLDER), "a = 3\n");
        exchanged(b"# pgseal tls-only: x\nreject\n", b"").unwrap_err();
    }
}

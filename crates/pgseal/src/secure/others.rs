//! Changes that another user's pgseal made, known by the ids in the blocks that it wrote. Whether they are at an end
//! only that user's journal tells, which cannot be read from here.

use pgseal_conf::block;

use super::facts::{Facts, ServerFile};
use crate::failure::{Failure, Result};
use crate::journal::Journal;
use crate::privilege::user::{SystemUser, effective_uid};

/// What stands before the id in a block's note.
const BEFORE_ID: &str = "change ";

/// Stops where a change is in the files that no journal of ours knows, and that nobody said to take as it stands.
pub(crate) fn none_unknown(facts: &Facts, adopted: &[String], word: &str) -> Result<()> {
    let found = [&facts.main, &facts.hba].into_iter().flat_map(|file| {
        let ids = ids(&file.bytes);
        ids.into_iter().map(move |id| (id, file))
    });
    let mut unknown: Vec<(String, &ServerFile)> = found.filter(|(id, _)| !adopted.contains(id)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let ours = known()?;
    unknown.retain(|(id, _)| !ours.contains(id));
    let Some((id, file)) = unknown.first() else { return Ok(()) };
    let me = SystemUser::name_of(effective_uid());
    Err(Failure::stopped(format!(
        "change {id} in {} was made by another user's pgseal, and may be unfinished",
        file.named.display()
    ))
    .because(format!("no journal of {me} knows it; root's lies in /var/lib/pgseal, anybody else's in .local/state/pgseal of their home"))
    .because("nothing was changed")
    .hint(format!(
        "pgseal history {word} as the user who made it, whose next run finishes it or takes it back; where it is known to stand: --adopt {id}"
    )))
}

/// Every change that a journal of ours knows, of whatever server: configuration is copied along with a cluster.
fn known() -> Result<Vec<String>> {
    let journals = Journal::all()?;
    // One that cannot be read is of another server, or has been told of already.
    let changes = journals.iter().filter_map(|journal| journal.changes().ok());
    Ok(changes.flatten().map(|(change, _)| change.id).collect())
}

/// The changes that the blocks of a file name.
fn ids(text: &[u8]) -> Vec<String> {
    let Ok(blocks) = block::find_all(text) else { return Vec::new() };
    blocks.iter().filter_map(|block| id(&String::from_utf8_lossy(block.note))).collect()
}

fn id(note: &str) -> Option<String> {
    let (_, behind) = note.split_once(BEFORE_ID)?;
    let id = behind.get(..8)?;
    let is_one = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_one.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_by_what_its_block_says() {
        assert_eq!(id("change ae400e0a. Undo: pgseal undo 15/main").as_deref(), Some("ae400e0a"));
        assert_eq!(id("TLS only, change 00ff00ff. Undo: pgseal undo x").as_deref(), Some("00ff00ff"));
        for none in [
            "TLS only. Undo: pgseal hba enforce --undo",
            "change AE400E0A.",
            "change ae4",
            "change \u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(id(none), None, "{none}");
        }
    }
}

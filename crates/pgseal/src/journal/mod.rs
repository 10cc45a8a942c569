//! What was changed, with what stood there before: on disk before the first byte changes, and readable
//! by whoever comes after a crash. It lives with the person who runs pgseal, never where the server's
//! user can write, and never in a data directory, which base backups copy.

mod change;
pub(crate) mod records;
pub(crate) mod state;
mod store;

pub(crate) use change::{
    Before, Change, ComposeBefore, ComposeChange, ComposeEdited, FileChange, Founded, Image, Origin, Phase,
    Promise, Record, SettingChange, Taken, Trouble, View, digest, fresh_id, moment,
};
pub(crate) use store::{Journal, key};

//! What the FILE word of `pgseal hba` means: a file, stdin, or a live server's own.

use std::path::{Path, PathBuf};

use pgseal_conf::conninfo::is_connection_string;

use super::live;
use crate::failure::Result;
use crate::folder::state;
use crate::hba::source::Source;

/// Reads it. A folder is a pgseal folder; anything that libpq would take for a connection string is
/// a server.
pub(super) async fn read(word: &str) -> Result<Source> {
    if let Some(folder) = word.strip_prefix("dir:") {
        return live::of_folder(&state::resolve(&PathBuf::from(folder))?).await;
    }
    if let Some(file) = word.strip_prefix("file:") {
        return Source::from_word(file);
    }
    if is_connection_string(word) {
        return live::of_server(word).await;
    }
    if Path::new(word).is_dir() {
        return live::of_folder(&state::resolve(&PathBuf::from(word))?).await;
    }
    Source::from_word(word)
}

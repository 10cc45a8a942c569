//! What the FILE word of `pgseal hba` means: a file, stdin, or a live server's own.

use std::path::{Path, PathBuf};

use pgseal_conf::conninfo::is_connection_string;

use super::super::verify::warn_about_password;
use super::live;
use crate::failure::{Failure, Result};
use crate::folder::state;
use crate::hba::source::Source;
use crate::target::Target;

/// Reads it. A folder is a pgseal folder; anything that libpq would take for a connection string is
/// a server, unless a file of that name is there.
pub(super) async fn read(word: &str) -> Result<Source> {
    if let Some(folder) = word.strip_prefix("dir:") {
        return in_folder(word, &PathBuf::from(folder)).await;
    }
    if word.starts_with("cluster:") || word.starts_with("container:") {
        return live::of_place(word).await;
    }
    if let Some(file) = word.strip_prefix("file:") {
        return Source::from_word(file).await;
    }
    let path = Path::new(word);
    if is_connection_string(word) {
        if path.exists() {
            return Err(Failure::usage(format!("{word} could be a file or a connection string"))
                .hint(format!("file:{word}, or another keyword first in the connection string")));
        }
        warn_about_password(word);
        return live::of_server(word).await;
    }
    if path.is_dir() {
        return in_folder(word, path).await;
    }
    if !path.exists() && matches!(Target::parse(word), Ok(Target::Cluster { .. })) {
        return live::of_place(word).await;
    }
    Source::from_word(word).await
}

/// A folder of `pgseal up`, or a data directory.
async fn in_folder(word: &str, path: &Path) -> Result<Source> {
    let has = |name: &str| path.join(name).symlink_metadata().is_ok();
    if has("PG_VERSION") && !has("pgseal.toml") {
        return live::of_place(word).await;
    }
    live::of_folder(&state::resolve(path)?).await
}

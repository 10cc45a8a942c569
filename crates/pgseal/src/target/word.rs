//! A word on the command line, told apart by how it looks.

use std::path::{Path, PathBuf};

use pgseal_conf::conninfo::is_connection_string;

use crate::failure::{Failure, Result};

/// The two kinds of target that exist so far.
pub(crate) enum Target {
    Folder(PathBuf),
    Connection(String),
}

impl Target {
    /// Reads the word. `dir:` says that it is a folder, whatever it looks like.
    pub(crate) fn parse(word: &str) -> Result<Self> {
        if let Some(path) = word.strip_prefix("dir:") {
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        match (is_connection_string(word), Path::new(word).exists()) {
            (true, false) => return Ok(Self::Connection(word.to_owned())),
            (false, true) => return Ok(Self::Folder(PathBuf::from(word))),
            (true, true) => {
                return Err(Failure::usage(format!("{word} could be a folder or a connection string"))
                    .hint(format!("dir:{word}, or another keyword first in the connection string")));
            }
            (false, false) => {}
        }
        Err(Failure::usage(format!("there is no folder {word}, and it is no connection string either"))
            .hint("a folder made by pgseal up, or postgresql://USER@HOST:PORT/DBNAME"))
    }
}

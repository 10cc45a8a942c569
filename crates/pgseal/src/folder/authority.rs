//! The folder's own CA, as it should lie there.

use std::path::Path;

use super::layout::Folder;
use crate::failure::{Failure, Result};
use crate::privilege::files::{self, Kind};

/// The CA's key must be there and readable by its owner alone: whoever has it can be any server.
pub(crate) fn check(folder: &Folder) -> Result<()> {
    let key = folder.authority_key();
    let found = files::status(&key).map_err(|error| Failure::io("look at the CA key", &key, &error))?;
    let Some(found) = found else {
        return Err(Failure::new(format!("the CA key {} is missing", key.display()))
            .because("without it no certificate can be renewed; the server was not touched")
            .hint("put it back from where it is kept, mode 0600"));
    };
    if found.kind != Kind::File {
        return Err(Failure::new(format!("the CA key {} is no regular file", key.display())));
    }
    private(&key, found.mode)?;
    let parent = folder.authority();
    match files::status(&parent).map_err(|error| Failure::io("look at", &parent, &error))? {
        Some(found) => private(&parent, found.mode),
        None => Ok(()),
    }
}

fn private(path: &Path, mode: u32) -> Result<()> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("the CA key is not private: {} has mode {mode:04o}", path.display()))
        .because("others than its owner may have read it; the server was not touched")
        .hint(format!("chmod go= {}, and if somebody may have read it, make a new CA", path.display())))
}

//! Whether a project is still the one that was read: what was found in it, and what a person agreed to, holds for that one
//! alone. Looks, and changes nothing.

use std::path::Path;

use super::file::ComposeFile;
use super::find::Found;
use crate::failure::{Failure, Result};

/// What is otherwise than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The bytes of the compose file.
    File,
    /// What compose makes of it: `.env`, a file laid over, one that it extends, a variable.
    Reading,
    /// The container of the service.
    Container,
}

impl Found {
    /// Reads it all again.
    pub(crate) async fn moved(&self) -> Result<Option<Moved>> {
        let file = ComposeFile::read(&self.file.path)?;
        if file.text != self.file.text {
            return Ok(Some(Moved::File));
        }
        let now = Self::of(file, Some(&self.service)).await?;
        Ok(if !now.reading.same(&self.reading) {
            Some(Moved::Reading)
        } else if now.container != self.container {
            Some(Moved::Container)
        } else {
            None
        })
    }
}

impl Moved {
    pub(crate) fn failure(self, file: &Path) -> Failure {
        let path = file.display();
        let what = match self {
            Self::File => format!("{path} was changed while pgseal worked on it, and was not written over"),
            Self::Reading => format!("compose reads the project of {path} otherwise than a moment ago"),
            Self::Container => format!("the container of {path} was made anew while pgseal worked on it"),
        };
        Failure::stopped(what)
            .because("what was found and planned holds for how it was; nothing was changed")
            .hint("the same command again, for the project as it is now")
    }
}

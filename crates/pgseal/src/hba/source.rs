//! Where a pg_hba.conf comes from: a file, standard input, or a server that runs.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pgseal_conf::files::{Files, NoFiles};
use pgseal_conf::hba::{Ruleset, Server};
use pgseal_conf::{ByteString, PgVersion};

use super::disk::{Disk, LIMIT};
use super::loaded::Loaded;
use crate::failure::{Failure, Result};
use crate::privilege::files;

/// A pg_hba.conf, its includes within reach.
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) path: ByteString,
    pub(crate) text: Vec<u8>,
    files: Box<dyn Files>,
    /// The version of the server it was read from, where it was.
    pub(crate) version: Option<PgVersion>,
    /// What is known of its being the loaded one, for a live server.
    pub(crate) loaded: Option<Loaded>,
}

impl Source {
    /// `-` or a file on this machine. As root, what it includes is read as root: the person named it.
    pub(crate) fn from_word(word: &str) -> Result<Self> {
        if word == "-" {
            let mut text = Vec::new();
            std::io::stdin()
                .lock()
                .take(LIMIT)
                .read_to_end(&mut text)
                .map_err(|error| Failure::new(format!("could not read a pg_hba.conf from stdin: {error}")))?;
            let path = ByteString::from("-");
            return Ok(Self { path, text, files: Box::new(NoFiles), version: None, loaded: None });
        }
        let path = Path::new(word);
        let text = files::read_named(path, LIMIT).map_err(|error| {
            Failure::io("read", path, &error)
                .hint("a pg_hba.conf, a folder made by pgseal up, or a connection string")
        })?;
        let absolute = std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))?;
        Ok(Self {
            path: absolute.as_os_str().as_bytes().into(),
            text: text.to_vec(),
            files: Box::new(Disk),
            version: None,
            loaded: None,
        })
    }

    /// One from a live server, with all it includes.
    pub(crate) fn from_server(
        path: ByteString,
        text: Vec<u8>,
        files: Box<dyn Files>,
        version: PgVersion,
    ) -> Self {
        Self { path, text, files, version: Some(version), loaded: None }
    }

    /// The same, with what is known of its being the loaded one.
    pub(crate) fn said_to_be(self, loaded: Loaded) -> Self {
        Self { loaded: Some(loaded), ..self }
    }

    /// The rules as a server of this version reads them.
    pub(crate) fn ruleset(&self, version: PgVersion) -> Ruleset {
        self.ruleset_of(self.text.clone(), version)
    }

    /// The same for another text in its place.
    pub(crate) fn ruleset_of(&self, text: Vec<u8>, version: PgVersion) -> Ruleset {
        Ruleset::read(&self.path, text, self.files.as_ref(), Server::of(version))
    }
}

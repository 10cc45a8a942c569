//! Where a pg_hba.conf comes from: a file, standard input, or a server that runs.

use std::io::{self, Read as _};
use std::path::Path;

use pgseal_conf::files::{FileFault, Files, ListedFile};
use pgseal_conf::hba::{Roles, Ruleset, Server, World};
use pgseal_conf::{ByteString, PgVersion};

use super::disk::{Disk, LIMIT, RootsDisk, as_bytes};
use super::loaded::Loaded;
use super::snapshot::{Door as _, Snapshot};
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::privilege::user::running_as_root;
use crate::privilege::whose::{Whose, follow};

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
    /// The server's roles, where it could be asked.
    pub(crate) roles: Option<Roles>,
}

impl Source {
    /// `-` or a file on this machine. As root, another user's file and all that it includes is read in
    /// that user's name.
    pub(crate) async fn from_word(word: &str) -> Result<Self> {
        if word == "-" {
            return Self::from_stdin();
        }
        let path = Path::new(word);
        let absolute = std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))?;
        if running_as_root() {
            return Self::for_root(&absolute).await;
        }
        let text = read_named(&absolute)?;
        Ok(Self::of(as_bytes(&absolute), text, Box::new(Disk)))
    }

    fn from_stdin() -> Result<Self> {
        let mut text = Vec::new();
        io::stdin()
            .lock()
            .take(LIMIT + 1)
            .read_to_end(&mut text)
            .map_err(|error| Failure::new(format!("could not read a pg_hba.conf from stdin: {error}")))?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > LIMIT {
            return Err(Failure::new(format!("what stands on stdin is larger than {LIMIT} bytes")));
        }
        Ok(Self::of(ByteString::from("-"), text, Box::new(Elsewhere)))
    }

    async fn for_root(path: &Path) -> Result<Self> {
        let led = follow(path).map_err(|error| could_not_read(path, &error))?;
        if led.is_folder {
            return Err(could_not_read(path, &io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let mut disk = RootsDisk::of(path, &led.whose).await?;
        let name = as_bytes(path);
        let text = match led.whose {
            Whose::Roots => read_named(path)?,
            _ => disk.read(&name).await.map_err(|fault| {
                Failure::new(format!("could not read {} in its owner's name: {fault}", path.display()))
                    .hint("run pgseal as the user whose file it is")
            })?,
        };
        // Which files are mentioned differs from version to version.
        let versions = if mentions_files(&text) { PgVersion::ALL.as_slice() } else { &[] };
        let read = |files: &dyn Files| {
            for version in versions {
                Ruleset::read(&name, text.clone(), files, Server::of(*version));
            }
        };
        let ((), files) = Snapshot::of(&mut disk, read).await;
        Ok(Self::of(name, text, Box::new(files)))
    }

    /// One from a live server, with all it includes.
    pub(crate) fn from_server(
        path: ByteString,
        text: Vec<u8>,
        files: Box<dyn Files>,
        version: PgVersion,
    ) -> Self {
        Self { version: Some(version), ..Self::of(path, text, files) }
    }

    fn of(path: ByteString, text: Vec<u8>, files: Box<dyn Files>) -> Self {
        Self { path, text, files, version: None, loaded: None, roles: None }
    }

    /// The same, with what is known of its being the loaded one.
    pub(crate) fn said_to_be(self, loaded: Loaded) -> Self {
        Self { loaded: Some(loaded), ..self }
    }

    /// The same, with the roles of its server.
    pub(crate) fn with_roles(self, roles: Option<Roles>) -> Self {
        Self { roles, ..self }
    }

    /// The rules as a server of this version reads them.
    pub(crate) fn ruleset(&self, version: PgVersion) -> Ruleset {
        self.ruleset_of(self.text.clone(), version)
    }

    /// The same for another text in its place.
    pub(crate) fn ruleset_of(&self, text: Vec<u8>, version: PgVersion) -> Ruleset {
        Ruleset::read(&self.path, text, self.files.as_ref(), Server::of(version))
    }

    /// What is known beside the file.
    pub(crate) fn world(&self) -> World {
        World { roles: self.roles.clone(), interfaces: None }
    }
}

/// Whether it may: `@file`, or a line that starts with `include`, in whatever quotes.
fn mentions_files(text: &[u8]) -> bool {
    text.contains(&b'@') || text.windows(2).any(|pair| pair == b"in")
}

fn read_named(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read_named(path, LIMIT).map_err(|error| could_not_read(path, &error))?;
    Ok(bytes.to_vec())
}

fn could_not_read(path: &Path, error: &io::Error) -> Failure {
    Failure::io("read", path, error).hint("a pg_hba.conf, a folder made by pgseal up, or a connection string")
}

/// What a file from stdin mentions lies wherever it came from.
struct Elsewhere;

impl Elsewhere {
    fn fault() -> FileFault {
        FileFault::Other("what a file from stdin mentions is not at hand".to_owned())
    }
}

impl Files for Elsewhere {
    fn read(&self, _path: &ByteString) -> Result<Vec<u8>, FileFault> {
        Err(Self::fault())
    }

    fn list(&self, _directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        Err(Self::fault())
    }
}

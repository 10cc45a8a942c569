//! A word on the command line, told apart by how it looks.

use std::path::{Path, PathBuf};

use pgseal_conf::conninfo::{Conninfo, Secrets, is_connection_string, is_uri};

use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::place::cluster;

/// The kinds of target that exist so far.
#[derive(Debug)]
pub(crate) enum Target {
    /// A folder made by `pgseal up`, or a data directory.
    Folder(PathBuf),
    Connection(String),
    /// A cluster of Debian's postgresql-common, and its configuration folder.
    Cluster {
        version: String,
        name: String,
        folder: PathBuf,
    },
    /// A container of docker's.
    Container(String),
}

/// The word as it may be printed: what is secret in a connection string is left out.
pub(crate) fn shown(word: &str) -> String {
    if !is_connection_string(word) {
        return word.to_owned();
    }
    match Conninfo::parse(word) {
        Ok(parsed) if is_uri(word) => parsed.to_uri(Secrets::Omitted).to_string(),
        Ok(parsed) => parsed.to_conninfo(Secrets::Omitted).to_string(),
        Err(_) => "that connection string".to_owned(),
    }
}

impl Target {
    /// Reads the word. `dir:`, `cluster:` and `container:` say what it is, whatever it looks like.
    pub(crate) fn parse(word: &str) -> Result<Self> {
        if let Some(path) = word.strip_prefix("dir:") {
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        if let Some(name) = word.strip_prefix("cluster:") {
            return Self::cluster(name).ok_or_else(|| {
                Failure::usage(format!("there is no cluster {name} here")).hint("pg_lsclusters")
            });
        }
        if let Some(name) = word.strip_prefix("container:") {
            return Ok(Self::Container(name.to_owned()));
        }
        let connection = is_connection_string(word).then(|| Self::Connection(word.to_owned()));
        let folder = Path::new(word).exists().then(|| Self::Folder(PathBuf::from(word)));
        let meanings: Vec<Self> = [connection, folder, Self::cluster(word)].into_iter().flatten().collect();
        let kinds: Vec<&str> = meanings.iter().map(Self::kind).collect();
        match <[Self; 1]>::try_from(meanings) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => {
                Err(Failure::usage(format!("there is no folder {word}, and it is no connection string either"))
                    .hint("a folder made by pgseal up, a data directory, a cluster such as 15/main, or postgresql://USER@HOST:PORT/DBNAME"))
            }
            Err(_) => Err(Failure::usage(format!("{} could be {}", shown(word), kinds.join(" or ")))
                .hint(format!("dir:{word}, cluster:{word}, or another keyword first in the connection string"))),
        }
    }

    fn cluster(word: &str) -> Option<Self> {
        let (version, name, folder) = cluster::folder_of(word)?;
        folder.join("postgresql.conf").symlink_metadata().ok()?;
        Some(Self::Cluster { version, name, folder })
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Folder(_) => "a folder",
            Self::Connection(_) => "a connection string",
            Self::Cluster { .. } => "a cluster",
            Self::Container(_) => "a container",
        }
    }

    /// The server on this machine that it names.
    pub(crate) async fn place(word: &str) -> Result<Place> {
        match Self::parse(word)? {
            Self::Folder(path) => Place::of_directory(word, &path).await,
            Self::Cluster { version, name, folder } => Place::of_cluster(&version, &name, &folder).await,
            Self::Container(name) => Place::of_container(&name).await,
            Self::Connection(_) => Err(Failure::usage("a connection string reaches no files yet")
                .because("key, certificate and pg_hba.conf are changed on the server's own machine")
                .hint("there, with its data directory or its cluster as TARGET")),
        }
    }
}

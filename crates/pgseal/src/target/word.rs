//! A word on the command line, told apart by how it looks.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use pgseal_conf::conninfo::{Conninfo, Secrets, is_connection_string, is_uri};

use crate::compose::daemon;
use crate::compose::file::{ComposeFile, looks_like_one};
use crate::compose::find::Found;
use crate::compose::project::Project;
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::folder::settings::{Compose, Settings};
use crate::place::cluster;
use crate::place::{Place, Way};
use crate::privilege::trusted;

/// A service's container, which has to be there.
async fn composed(word: &str, file: &Path, service: Option<&str>) -> Result<Place> {
    let found = Found::of(ComposeFile::read(file)?, service).await?;
    let way = Way {
        file: found.file.path.clone(),
        service: found.service.clone(),
        folder: None,
        said: Some(Rc::new(found.facts())),
    };
    Place::of_composed(word, way, found.made()?).await
}

/// The settings of a folder that `up` made for a container.
fn made_by_compose(path: &Path) -> Result<Option<(Folder, Compose)>> {
    let real = std::fs::canonicalize(path).map_err(|error| Failure::io("find", path, &error))?;
    let folder = Folder::at(real);
    if folder.compose_file().symlink_metadata().is_err() || folder.settings().symlink_metadata().is_err() {
        return Ok(None);
    }
    trusted::folder_for_root(folder.root())?;
    Ok(Settings::read(&folder)?.compose.map(|made| (folder, made)))
}

async fn of_folder(word: &str, folder: &Folder, made: &Compose) -> Result<Place> {
    let docker = daemon::answering().await?;
    let service = Project::named(&docker, &made.project).service(&made.service).await?;
    let root = folder.root();
    let Some(service) = service else {
        return Err(Failure::new(format!("no server runs in {}", root.display()))
            .hint(format!("pgseal up {}", root.display())));
    };
    let way = Way {
        file: folder.compose_file(),
        service: made.service.clone(),
        folder: Some(root.to_owned()),
        said: None,
    };
    Place::of_composed(word, way, &service.id).await
}

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
    /// A service of a compose project; `None`: the one that runs PostgreSQL.
    Compose {
        file: PathBuf,
        service: Option<String>,
    },
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
    /// Reads the word. `dir:`, `cluster:`, `container:` and `compose:` say what it is, whatever it looks like.
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
        if let Some(text) = word.strip_prefix("compose:") {
            return Ok(Self::compose(text));
        }
        if let Self::Compose { file, service } = Self::compose(word)
            && looks_like_one(&file)
            && file.is_file()
        {
            return Ok(Self::Compose { file, service });
        }
        let connection = is_connection_string(word).then(|| Self::Connection(word.to_owned()));
        let folder = Path::new(word).exists().then(|| Self::Folder(PathBuf::from(word)));
        let meanings: Vec<Self> = [connection, folder, Self::cluster(word)].into_iter().flatten().collect();
        let kinds: Vec<&str> = meanings.iter().map(Self::kind).collect();
        match <[Self; 1]>::try_from(meanings) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => {
                Err(Failure::usage(format!("there is no folder {word}, and it is no connection string either"))
                    .hint("a folder made by pgseal up, a data directory, a cluster such as 15/main, a compose file, or postgresql://USER@HOST:PORT/DBNAME"))
            }
            Err(_) => Err(Failure::usage(format!("{} could be {}", shown(word), kinds.join(" or ")))
                .hint(format!("dir:{word}, cluster:{word}, or another keyword first in the connection string"))),
        }
    }

    /// `FILE#SERVICE`, or a file whose name may have that sign in it.
    fn compose(text: &str) -> Self {
        match text.rsplit_once('#').filter(|_| !Path::new(text).exists()) {
            Some((file, service)) => {
                Self::Compose { file: PathBuf::from(file), service: Some(service.to_owned()) }
            }
            None => Self::Compose { file: PathBuf::from(text), service: None },
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
            Self::Compose { .. } => "a compose project",
        }
    }

    /// The service of a compose project that the word names, if it names one.
    pub(crate) fn service(word: &str) -> Option<String> {
        match Self::parse(word) {
            Ok(Self::Compose { service, .. }) => service,
            _ => None,
        }
    }

    /// The server on this machine that it names.
    pub(crate) async fn place(word: &str) -> Result<Place> {
        match Self::parse(word)? {
            Self::Folder(path) => match made_by_compose(&path)? {
                Some((folder, made)) => of_folder(word, &folder, &made).await,
                None => Place::of_directory(word, &path).await,
            },
            Self::Cluster { version, name, folder } => Place::of_cluster(&version, &name, &folder).await,
            Self::Container(name) => Place::of_container(&name).await,
            Self::Compose { file, service } => composed(word, &file, service.as_deref()).await,
            Self::Connection(_) => Err(Failure::usage("a connection string reaches no files yet")
                .because("key, certificate and pg_hba.conf are changed on the server's own machine")
                .hint("there, with its data directory or its cluster as TARGET")),
        }
    }
}

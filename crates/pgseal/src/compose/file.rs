//! A compose file on this machine: where it is, what stands in it, and how compose is told to read it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::yaml::{Document, Node, What};
use crate::failure::{Failure, Result};
use crate::privilege::{files, trusted};

/// A compose file of thousands of services is some MB.
const LIMIT: u64 = 4 << 20;
/// What compose looks for where no file is named, the first that is there.
const DEFAULT_NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// A file, its links resolved, and its bytes.
pub(crate) struct ComposeFile {
    pub(crate) path: PathBuf,
    /// Its permission bits.
    pub(crate) mode: u32,
    pub(crate) text: String,
    pub(crate) document: Document,
}

/// Whether a path has a name that compose files have.
pub(crate) fn looks_like_one(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

impl ComposeFile {
    /// Reads the file, or the one that compose would take in a folder.
    pub(crate) fn read(named: &Path) -> Result<Self> {
        let named = if named.is_dir() { default_in(named)? } else { named.to_owned() };
        let path = std::fs::canonicalize(&named).map_err(|error| Failure::io("find", &named, &error))?;
        // Who may write it decides what is started with our rights.
        trusted::file_for_root(&path)?;
        trusted::folder_for_root(path.parent().unwrap_or(Path::new("/")))?;
        let bytes = files::read_plain(&path, LIMIT).map_err(|error| Failure::io("read", &path, &error))?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::new(format!("{} is not UTF-8", path.display())))?
            .to_owned();
        let document = Document::read(&text).map_err(|wrong| {
            Failure::new(format!(
                "{} is no YAML: line {} column {}: {}",
                path.display(),
                wrong.line,
                wrong.column,
                wrong.why
            ))
            .because("nothing was changed")
            .hint("mend that line, then again")
        })?;
        let found = files::status(&path).map_err(|error| Failure::io("look at", &path, &error))?;
        let file = Self { mode: found.map_or(0o644, |found| found.mode), path, text, document };
        file.must_stay_here()?;
        Ok(file)
    }

    /// The project's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// How compose is told of it: not at all where it would take it by itself, with what belongs to it (an override
    /// file, more files named in `.env`).
    pub(crate) fn words(&self) -> Vec<String> {
        let found = default_in(self.folder()).ok();
        let named_in_env = env_of(self.folder()).is_some_and(|text| {
            let value = text.lines().find_map(|line| line.trim().strip_prefix("COMPOSE_FILE="));
            value.is_some_and(|value| {
                !value.split(':').any(|file| self.path.ends_with(file.trim_matches(['"', '\''])))
            })
        });
        if found.is_some_and(|found| found == self.path) && !named_in_env {
            Vec::new()
        } else {
            vec!["--file".to_owned(), self.path.display().to_string()]
        }
    }

    /// Profiles that a service has of its own: without them compose does not know it.
    pub(crate) fn profiles_of(&self, service: &str) -> Vec<String> {
        match self.document.at(&["services", service, "profiles"]).map(|node| &self.document.led(node).what) {
            Some(What::List(items)) => items.iter().filter_map(Node::text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// Compose would fetch what it includes from elsewhere, whoever only wants to look.
    fn must_stay_here(&self) -> Result<()> {
        let document = &self.document;
        let mut named: Vec<&str> = Vec::new();
        if let Some(include) = document.get(&document.root, "include")
            && let What::List(items) = &document.led(include).what
        {
            for item in items {
                named.extend(texts(document, document.get(item, "path").unwrap_or(item)));
            }
        }
        if let Some(What::Map(services)) = document.at(&["services"]).map(|node| &document.led(node).what) {
            let files = services
                .iter()
                .filter_map(|(_, service)| document.get(document.get(service, "extends")?, "file")?.text());
            named.extend(files);
        }
        let elsewhere =
            |path: &&str| path.contains("://") || path.starts_with("git@") || path.starts_with("github.com/");
        match named.into_iter().find(elsewhere) {
            None => Ok(()),
            Some(path) => Err(Failure::new(format!(
                "{} includes {path}, which lies elsewhere",
                self.path.display()
            ))
            .because("compose would fetch it to read the project; pgseal does not, and nothing was changed")
            .hint("container:NAME as TARGET, or a copy of it beside the file")),
        }
    }
}

/// A text, or a list of them.
fn texts<'d>(document: &'d Document, node: &'d Node) -> Vec<&'d str> {
    match &document.led(node).what {
        What::Scalar { text, .. } => vec![text],
        What::List(items) => items.iter().filter_map(Node::text).collect(),
        _ => Vec::new(),
    }
}

/// Where a file would lie that compose lays over this one by itself; `None`: it takes none for it.
pub(crate) fn default_override(file: &ComposeFile) -> Option<PathBuf> {
    let stem = file.path.file_stem()?.to_str()?;
    let taken = file.words().is_empty() && overrides(file.folder()).is_empty();
    taken.then(|| file.folder().join(format!("{stem}.override.yaml")))
}

/// What compose lays over the file that it finds by itself.
pub(super) fn overrides(folder: &Path) -> Vec<PathBuf> {
    let name = default_in(folder).ok().and_then(|path| path.file_stem().map(OsStr::to_owned));
    let stem = name.unwrap_or_default();
    let beside = ["yml", "yaml"].map(|ending| {
        let mut name = stem.clone();
        name.push(".override.");
        name.push(ending);
        folder.join(name)
    });
    beside.into_iter().find(|path| path.is_file()).into_iter().collect()
}

fn default_in(folder: &Path) -> Result<PathBuf> {
    DEFAULT_NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        Failure::usage(format!("there is no compose file in {}", folder.display())).hint("the file itself")
    })
}

fn env_of(folder: &Path) -> Option<String> {
    let bytes = files::read_plain(&folder.join(OsStr::new(".env")), LIMIT).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

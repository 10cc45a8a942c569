//! A configuration of several files: laid out where a server reads them, and read back as the server's user would.
//! Knows files and directories, not what is written in them.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, Files, ListedFile};

/// What lies at a path.
#[derive(Clone)]
enum Node {
    File(Vec<u8>),
    /// A file that nobody but root may read.
    Shut(Vec<u8>),
    Directory,
}

/// Files by their paths, relative to a directory that is chosen when they are laid out. The first one is the main file.
#[derive(Clone, Default)]
pub(crate) struct Tree(Vec<(String, Node)>);

impl Tree {
    /// One file.
    pub(crate) fn of(name: &str, content: impl Into<Vec<u8>>) -> Self {
        Self::default().with(name, content)
    }

    /// One file more, or another content for one.
    pub(crate) fn with(self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.put(name, Node::File(content.into()))
    }

    /// A file that the server may not read.
    pub(crate) fn with_shut(self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.put(name, Node::Shut(content.into()))
    }

    /// A directory without files.
    pub(crate) fn with_dir(self, name: &str) -> Self {
        self.put(name, Node::Directory)
    }

    /// The same with another main file.
    pub(crate) fn with_main(mut self, content: impl Into<Vec<u8>>) -> Self {
        if let Some((_, node)) = self.0.first_mut() {
            *node = Node::File(content.into());
        }
        self
    }

    /// The same with a file under another name.
    pub(crate) fn renamed(mut self, from: &str, to: &str) -> Self {
        for (name, _) in &mut self.0 {
            if name == from {
                to.clone_into(name);
            }
        }
        self
    }

    fn put(mut self, name: &str, node: Node) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), node));
        self
    }

    /// The content of the main file.
    pub(crate) fn main(&self) -> &[u8] {
        match self.0.first() {
            Some((_, Node::File(content) | Node::Shut(content))) => content,
            _ => b"",
        }
    }

    /// Lays it out in `root`, which any user can reach, and clears away what lay there. The path of the main file.
    #[track_caller]
    pub(crate) fn lay_out(&self, root: &Path) -> PathBuf {
        let done = || -> io::Result<()> {
            clear(root)?;
            for (name, node) in &self.0 {
                let path = root.join(name);
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                match node {
                    Node::Directory => fs::create_dir_all(&path)?,
                    Node::File(content) => fs::write(&path, content)?,
                    Node::Shut(content) => {
                        fs::write(&path, content)?;
                        fs::set_permissions(&path, Permissions::from_mode(0o000))?;
                    }
                }
            }
            Ok(())
        };
        done().unwrap_or_else(|e| panic!("could not lay files out in {}: {e}", root.display()));
        root.join(self.0.first().map_or("", |(name, _)| name.as_str()))
    }
}

/// As a failed test shows it: every file with its bytes escaped.
impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, node) in &self.0 {
            match node {
                Node::File(content) => writeln!(f, "{name}: \"{}\"", content.escape_ascii())?,
                Node::Shut(content) => writeln!(f, "{name} (mode 0): \"{}\"", content.escape_ascii())?,
                Node::Directory => writeln!(f, "{name}/")?,
            }
        }
        Ok(())
    }
}

/// Removes what is in a directory, and makes it where there is none.
fn clear(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The disk as a server's user sees it, also when we are root: what has mode 0 cannot be read.
pub(crate) struct AsServer;

impl Files for AsServer {
    fn read(&self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        let path = as_path(path);
        let meta = fs::metadata(path).map_err(|error| fault(&error))?;
        if meta.is_dir() {
            return Err(FileFault::IsDirectory);
        }
        if meta.permissions().mode() & 0o777 == 0 {
            return Err(FileFault::Denied);
        }
        fs::read(path).map_err(|error| fault(&error))
    }

    fn list(&self, directory: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        let entries = fs::read_dir(as_path(directory)).map_err(|error| fault(&error))?;
        let listed = entries.map(|entry| {
            let entry = entry?;
            let is_directory = fs::metadata(entry.path())?.is_dir();
            Ok(ListedFile { name: entry.file_name().into_vec().into(), is_directory })
        });
        listed.collect::<io::Result<_>>().map_err(|error| fault(&error))
    }
}

/// A path as pgseal-conf takes it.
pub(crate) fn as_bytes(path: &Path) -> ByteString {
    path.as_os_str().as_bytes().into()
}

fn as_path(path: &ByteString) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

fn fault(error: &io::Error) -> FileFault {
    let text = error.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => FileFault::NotFound,
        io::ErrorKind::NotADirectory => FileFault::NotADirectory,
        io::ErrorKind::PermissionDenied => FileFault::Denied,
        // As strerror has it.
        _ => FileFault::Other(text.split(" (os error").next().unwrap_or_default().to_owned()),
    }
}

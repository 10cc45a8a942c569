//! What a path is to `pgseal`: nothing yet, an empty folder, one of ours, or somebody else's.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::layout::Folder;
use super::settings::Settings;
use crate::failure::{Failure, Result};
use crate::privilege::files::{self, Kind};
use crate::privilege::trusted;
use crate::privilege::user::{SystemUser, effective_uid};

/// What the mark of an unfinished folder says. A file of that name that says anything else is not ours.
pub(crate) const UNFINISHED: &[u8] = b"pgseal up was cut off; the next one starts anew\n";

/// The most bytes of a folder's path: PostgreSQL and libpq cut a file's at 1023 (MAXPGPATH), and initdb puts
/// more than one into a command.
const LONGEST: usize = 900;

#[derive(Debug)]
pub(crate) enum State {
    Absent,
    Empty,
    /// An `up` was cut off before the server's first start: it holds nobody's data.
    Unfinished,
    Made(Box<Settings>),
}

/// The absolute path of a folder named on the command line, its parents' links resolved. The last
/// part is left as it is, so that a link there is seen as one.
pub(crate) fn resolve(path: &Path) -> Result<Folder> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))?;
    // Configuration files and service files are read line by line.
    if absolute.as_os_str().as_bytes().iter().any(|byte| *byte < 0x20 || *byte == 0x7f)
        || absolute.to_str().is_none()
    {
        return Err(Failure::usage(format!(
            "the folder {} has control characters or bytes that are not UTF-8 in its path",
            absolute.display()
        ))
        .hint("a folder with an ordinary name"));
    }
    // A way that ends in `..` has no last part to leave as it is.
    let absolute = if absolute.file_name().is_some() {
        absolute
    } else {
        fs::canonicalize(&absolute).map_err(|error| Failure::io("find the folder", &absolute, &error))?
    };
    if absolute.as_os_str().len() > LONGEST {
        return Err(Failure::usage(format!(
            "the folder's path is {} bytes long, and PostgreSQL can use no more than {LONGEST}",
            absolute.as_os_str().len()
        ))
        .hint("a shorter way to it"));
    }
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(Failure::usage("the root directory cannot be a pgseal folder").hint("pgseal up ./pgseal"));
    };
    let parent = fs::canonicalize(parent).map_err(|error| {
        Failure::io("find the folder", parent, &error).hint(format!("mkdir -p {}", parent.display()))
    })?;
    Ok(Folder::at(parent.join(name)))
}

/// Looks, and changes nothing.
pub(crate) fn observe(folder: &Folder) -> Result<State> {
    let root = folder.root();
    let Some(found) = files::status(root).map_err(|error| Failure::io("look at", root, &error))? else {
        return Ok(State::Absent);
    };
    match found.kind {
        Kind::Directory => {}
        Kind::Link => {
            return Err(Failure::new(format!(
                "{} is a symbolic link, and whoever may change it could move the server",
                root.display()
            ))
            .hint("name the folder that it points to"));
        }
        _ => return Err(Failure::new(format!("{} is no folder", root.display()))),
    }
    if found.uid != effective_uid() {
        let owner = SystemUser::name_of(found.uid);
        return Err(Failure::new(format!("{} belongs to {owner}, not to you", root.display()))
            .hint(format!("run pgseal as {owner}, or name another folder")));
    }
    trusted::folder_for_root(root)?;
    let entries = entries(root)?;
    let has = |path: PathBuf| entries.contains(&path);
    if has(folder.unfinished()) && marked_by_us(folder, &entries) {
        Ok(State::Unfinished)
    } else if has(folder.settings()) {
        Ok(State::Made(Box::new(Settings::read(folder)?)))
    } else if let Some(first) = entries.first() {
        Err(Failure::new(format!("{} is not empty and was not made by pgseal", root.display()))
            .because(format!("it holds {}", first.display()))
            .hint("name an empty folder, or one that does not exist yet"))
    } else {
        Ok(State::Empty)
    }
}

/// Whether the mark is the one that `up` puts there; one that was itself cut off lies alone.
fn marked_by_us(folder: &Folder, entries: &[PathBuf]) -> bool {
    files::read(&folder.unfinished(), 1 << 10)
        .is_ok_and(|text| *text == UNFINISHED || (UNFINISHED.starts_with(&text) && entries.len() == 1))
}

fn entries(root: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(root).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    });
    let mut entries = read.map_err(|error| Failure::io("read the folder", root, &error))?;
    entries.sort();
    Ok(entries)
}

/// The settings of a folder that must be one of ours.
pub(crate) fn made(folder: &Folder) -> Result<Settings> {
    let root = folder.root();
    match observe(folder)? {
        State::Made(settings) => Ok(*settings),
        State::Absent => Err(Failure::new(format!("there is no folder {}", root.display()))
            .hint(format!("pgseal up {}", root.display()))),
        State::Empty => Err(Failure::new(format!("{} is empty", root.display()))
            .hint(format!("pgseal up {}", root.display()))),
        State::Unfinished => {
            Err(Failure::new(format!("{} holds a server that was never finished", root.display()))
                .because("a pgseal up was cut off there before the first start; it holds no data")
                .hint(format!("pgseal up {}", root.display())))
        }
    }
}

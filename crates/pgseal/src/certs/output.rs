//! Files that a person is given: made anew in a folder, or none of them.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::authority::resolved;
use crate::failure::{Failure, Result};
use crate::privilege::{files, trusted};

pub(crate) const SECRET: u32 = 0o600;
pub(crate) const PUBLIC: u32 = 0o644;
const PRIVATE_FOLDER: u32 = 0o700;

/// A file to be written.
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) mode: u32,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// What it is for.
    pub(crate) what: &'static str,
}

/// A file that was written.
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) what: &'static str,
}

impl Output {
    pub(crate) fn secret(name: impl Into<String>, bytes: &[u8], what: &'static str) -> Self {
        Self { name: name.into(), mode: SECRET, bytes: Zeroizing::new(bytes.to_vec()), what }
    }

    pub(crate) fn public(name: impl Into<String>, text: &str, what: &'static str) -> Self {
        Self { name: name.into(), mode: PUBLIC, bytes: Zeroizing::new(text.as_bytes().to_vec()), what }
    }
}

/// Says early what would be in the way, so that nothing is issued in vain.
pub(crate) fn must_be_free(folder: &Path, names: &[&str]) -> Result<()> {
    let absolute = resolved(folder)?;
    let look = |path: &Path| files::status(path).map_err(|error| Failure::io("look at", path, &error));
    if look(&absolute)?.is_none() {
        let parent = absolute.parent().unwrap_or(Path::new("/"));
        if !parent.is_dir() {
            return Err(Failure::usage(format!("there is no folder {}", parent.display()))
                .hint(format!("mkdir -p {}", parent.display())));
        }
        return trusted::parent_for_root(parent);
    }
    trusted::folder_for_root(&absolute)?;
    for name in names {
        let path = absolute.join(name);
        if look(&path)?.is_some() {
            return Err(Failure::usage(format!("{} is there already", path.display()))
                .because("nothing is written over, and nothing was changed")
                .hint("another --out; pgseal cert renew for a certificate with newer dates"));
        }
    }
    Ok(())
}

/// Writes all of them into a folder, which is made where it is not there; what was written goes again where one
/// cannot be.
pub(crate) fn write(folder: &Path, outputs: &[Output]) -> Result<Vec<Written>> {
    let absolute = resolved(folder)?;
    let made = files::status(&absolute).map_err(|error| Failure::io("look at", &absolute, &error))?.is_none();
    if made {
        files::make_folder(&absolute, PRIVATE_FOLDER)
            .map_err(|error| Failure::io("make the folder", &absolute, &error))?;
    }
    let mut written: Vec<Written> = Vec::new();
    for output in outputs {
        let path = absolute.join(&output.name);
        match files::create(&path, output.mode, &output.bytes) {
            Ok(()) => written.push(Written { path, mode: output.mode, what: output.what }),
            Err(error) => {
                for done in &written {
                    let _ = files::remove(&done.path);
                }
                if made {
                    let _ = files::remove_folder(&absolute);
                }
                return Err(Failure::io("write", &path, &error));
            }
        }
    }
    Ok(written)
}

/// A name of a file that says whose it is, where it can.
pub(crate) fn file_name(of: &str, otherwise: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = !of.is_empty() && of.len() <= 64 && of.chars().all(plain) && !of.starts_with(['.', '-']);
    if fits { of.to_owned() } else { otherwise.to_owned() }
}

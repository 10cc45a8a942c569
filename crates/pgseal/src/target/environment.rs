//! The variables and the home folder of the person who runs pgseal.

use std::env;
use std::path::{Path, PathBuf};

pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// A file in the home folder.
pub(crate) fn home(file: &str) -> Option<PathBuf> {
    variable("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(file))
}

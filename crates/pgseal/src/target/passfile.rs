//! The password file, believed as far as libpq believes it (fe-connect.c, passwordFromFile).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pgseal_conf::conninfo::{Conninfo, pgpass};

use super::environment::home;
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::privilege::secret::Secret;
use crate::report::stderr::say;

/// Password files are a page of text.
const LIMIT: u64 = 1 << 20;

/// The password for this server, database and user. A file that libpq would pass over with a warning
/// is passed over with the same warning.
pub(super) fn password(
    asked: &Conninfo,
    host: &str,
    port: u16,
    dbname: &str,
    user: &str,
) -> Result<Option<Secret>> {
    let Some(path) = asked.get("passfile").map(PathBuf::from).or_else(|| home(".pgpass")) else {
        return Ok(None);
    };
    if !believed(&path) {
        return Ok(None);
    }
    let text = files::read_plain(&path, LIMIT)
        .map_err(|error| Failure::io("read the password file", &path, &error))?;
    let found = pgpass::lookup(text.as_slice(), host, &port.to_string(), dbname, user);
    Ok(found.and_then(|password| password.as_str().map(|text| Secret::new(text.to_owned()))))
}

fn believed(path: &Path) -> bool {
    // Links are followed, and a file that is not there is no matter.
    let Ok(found) = fs::metadata(path) else { return false };
    if !found.is_file() {
        say(&format!("WARNING: password file \"{}\" is not a plain file", path.display()));
        return false;
    }
    if found.permissions().mode() & 0o077 != 0 {
        say(&format!(
            "WARNING: password file \"{}\" has group or world access; permissions should be u=rw (0600) or less",
            path.display()
        ));
        return false;
    }
    true
}

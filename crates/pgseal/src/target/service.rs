//! Service files, found as libpq finds them (fe-connect.c, parseServiceInfo).

use std::path::{Path, PathBuf};

use pgseal_conf::conninfo::{Conninfo, service};

use super::environment::{home, variable};
use crate::failure::{Failure, Result};
use crate::privilege::files;

/// Service files are a page of text.
const LIMIT: u64 = 1 << 20;
/// Where the libpq of Debian and its kin looks when PGSYSCONFDIR says nothing (pg_config --sysconfdir).
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// The service's parameters, from the user's service file or the system's.
pub(super) fn apply(asked: &mut Conninfo) -> Result<()> {
    let Some(name) = asked.service_name(&variable) else {
        return Ok(());
    };
    let named = variable("PGSERVICEFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let system = variable("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM_FOLDER.to_owned());
    let system = Path::new(&system).join("pg_service.conf");
    if let Some(path) = &named
        && !path.exists()
    {
        // libpq's own words.
        return Err(Failure::new(format!("service file \"{}\" not found", path.display()))
            .hint("check PGSERVICEFILE"));
    }
    let own = named.or_else(|| home(".pg_service.conf"));
    for path in own.into_iter().chain([system]).filter(|path| path.exists()) {
        if let Some(parameters) = look_up(&path, &name)? {
            asked.fill_from(&parameters);
            return Ok(());
        }
    }
    // libpq's own words.
    Err(Failure::new(format!("definition of service \"{name}\" not found"))
        .hint("check PGSERVICEFILE and ~/.pg_service.conf"))
}

/// The services of the person's own file by name, as libpq finds them there; what cannot be read has none.
pub(crate) fn own_services() -> Vec<(String, Conninfo)> {
    let named = variable("PGSERVICEFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = named.or_else(|| home(".pg_service.conf")) else { return Vec::new() };
    let Ok(text) = files::read_plain(&path, LIMIT) else { return Vec::new() };
    let text = String::from_utf8_lossy(&text).into_owned();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']'));
    let known = |name: &str| service::find(&text, name).ok().flatten();
    names.filter_map(|name| known(name).map(|found| (name.to_owned(), found))).collect()
}

fn look_up(path: &Path, name: &str) -> Result<Option<Conninfo>> {
    let text =
        files::read_plain(path, LIMIT).map_err(|error| Failure::io("read the service file", path, &error))?;
    service::find(text.as_slice(), name)
        .map_err(|error| Failure::new(format!("could not read the service file {}: {error}", path.display())))
}

//! What clients are handed: the CA certificate, a service file, a password file, connection lines.

use std::path::Path;

use pgseal_conf::conninfo::{Conninfo, Secrets, pgpass};
use zeroize::Zeroizing;

use super::layout::Folder;
use super::settings::Settings;
use crate::failure::{Failure, Result};
use crate::privilege::secret::Secret;

/// The name of the service in `pg_service.conf`.
pub(crate) const SERVICE: &str = "pgseal";

/// PostgreSQL's own port, which it has in a container.
const INNER_PORT: u16 = 5432;

/// The parameters with which a libpq client verifies fully. The password is not among them.
pub(crate) fn parameters(folder: &Folder, settings: &Settings, name: &str) -> Result<Conninfo> {
    parameters_of(settings, name, settings.server.port, &path_text(&folder.client_ca())?)
}

fn parameters_of(settings: &Settings, name: &str, port: u16, ca: &str) -> Result<Conninfo> {
    let port = port.to_string();
    let mut parameters = Conninfo::new();
    for (keyword, value) in [
        ("host", name),
        ("port", &port),
        ("dbname", &settings.server.dbname),
        ("user", &settings.server.username),
        ("sslmode", "verify-full"),
        ("sslrootcert", ca),
    ] {
        parameters.set(keyword, value).map_err(|error| Failure::new(error.to_string()))?;
    }
    Ok(parameters)
}

/// The verify-full URI without its password.
pub(crate) fn uri(folder: &Folder, settings: &Settings) -> Result<String> {
    let parameters = parameters(folder, settings, &settings.host())?;
    Ok(parameters.to_uri(Secrets::Omitted).to_string())
}

/// `pg_service.conf`: `psql service=pgseal` needs nothing else.
pub(crate) fn service_text(folder: &Folder, settings: &Settings) -> Result<String> {
    let parameters = parameters(folder, settings, &settings.host())?;
    let lines: String =
        parameters.iter().map(|(keyword, value)| format!("{}={value}\n", keyword.name)).collect();
    let passfile = path_text(&folder.passfile())?;
    Ok(format!(
        "# PGSERVICEFILE={} psql service={SERVICE}\n[{SERVICE}]\n{lines}passfile={passfile}\n",
        folder.service_file().display()
    ))
}

/// `pgpass`, one line a name the server goes by, so that the password goes nowhere else.
pub(crate) fn pgpass_text(settings: &Settings, password: &Secret) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(64 * settings.certificate.names.len() * 4));
    let outer = settings.outer_names().map(|name| (name.as_str(), settings.server.port));
    let inner = settings.inner_names().into_iter().map(|name| (name, INNER_PORT));
    for (host, port) in outer.chain(inner) {
        let line =
            pgpass::line(Some(host), Some(port), None, Some(&settings.server.username), password.reveal())
                .map_err(|error| {
                    Failure::usage(format!("the password cannot be used: {error}")).hint("another password")
                })?;
        text.push_str(&line);
    }
    Ok(text)
}

/// The password that the folder's own pgpass holds for its own server.
pub(crate) fn password_in(text: &[u8], settings: &Settings) -> Option<Secret> {
    let port = settings.server.port.to_string();
    let found =
        pgpass::lookup(text, &settings.host(), &port, &settings.server.dbname, &settings.server.username)?;
    found.as_str().map(|text| Secret::new(text.to_owned()))
}

/// `connection.txt`: the lines to copy.
pub(crate) fn connection_text(folder: &Folder, settings: &Settings) -> Result<String> {
    let uri = uri(folder, settings)?;
    let mut others = String::new();
    for name in settings.outer_names().filter(|name| **name != settings.host()) {
        let parameters = parameters(folder, settings, name)?;
        others.push_str(&format!("  {}\n", parameters.to_uri(Secrets::Omitted).as_str()));
    }
    let mut inner = String::new();
    for name in settings.inner_names() {
        let parameters = parameters_of(settings, name, INNER_PORT, "/ca.crt")?;
        inner.push_str(&format!("  {}\n", parameters.to_uri(Secrets::Omitted).as_str()));
    }
    if !inner.is_empty() {
        inner.insert_str(0, "\nFrom other containers of the project, with client/ca.crt there as /ca.crt:\n");
    }
    Ok(format!(
        "Every line verifies the server fully: the chain to client/ca.crt, and the name.

psql, with the password from the password file:
  PGPASSFILE={passfile} psql \"{uri}\"

psql, by service:
  PGSERVICEFILE={service} psql service={SERVICE}

Under its other names, where the server listens there:
{others}{inner}",
        passfile = shell_word(&path_text(&folder.passfile())?),
        service = shell_word(&path_text(&folder.service_file())?),
    ))
}

/// The lines that `up` prints at its end.
pub(crate) fn connect_lines(folder: &Folder, settings: &Settings) -> Result<Vec<String>> {
    Ok(vec![
        format!("psql \"{}\"", uri(folder, settings)?),
        format!("password in {} (PGPASSFILE)", folder.passfile().display()),
        format!(
            "or: PGSERVICEFILE={} psql service={SERVICE}",
            shell_word(&path_text(&folder.service_file())?)
        ),
    ])
}

/// A word for a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn path_text(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::usage(format!("{} is not UTF-8, and connection strings are", path.display())))
}

//! A libpq client: everything that it is told by a connection string, a service and the environment, understood as a
//! libpq of some version understands it.
//!
//! Knows which parameters there are and where they come from; refuses to know what comes of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::{Conninfo, Endpoint, HostSpec};
use pgseal_wire::{
    ConnectOptions, Credentials, InvalidOptions, LibpqVersion, RootFile, Roots, Route, SslMode, understand,
};

use super::environment::{home, variable};
use super::{passfile, service};
use crate::failure::{Failure, Result};
use crate::privilege::secret::Secret;
use crate::privilege::user::SystemUser;

/// What a client is told, and whom it trusts.
pub(crate) struct Client {
    /// Every parameter, with what the service and the environment say. The password is not among them.
    pub(crate) asked: Conninfo,
    /// Its hosts, in turn.
    pub(crate) routes: Vec<Route>,
    /// Whose behaviour is looked at.
    pub(crate) libpq: LibpqVersion,
    pub(crate) given: Given,
    pub(crate) username: String,
    pub(crate) dbname: String,
    pub(crate) password: Option<Secret>,
    home: Option<PathBuf>,
}

/// The roots that a client is given.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// None: no file was named, and none lies in the home.
    Nothing,
    /// `sslrootcert`, or the home's file.
    File(String),
    /// `sslrootcert=system`, where that means the system's store.
    System,
    /// Known from elsewhere, and in no file of the client's.
    Known(Roots),
}

/// What was said on the command line beside the TARGET.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) dbname: Option<&'a str>,
    /// `--sslrootcert FILE|system|none`.
    pub(crate) sslrootcert: Option<&'a str>,
    pub(crate) libpq: LibpqVersion,
}

impl Client {
    /// A connection string with everything that libpq reads beside it.
    pub(crate) fn of_text(text: &str, said: &Said<'_>) -> Result<Self> {
        let bad = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("the connection string cannot be read: {error}"))
                .hint("postgresql://USER@HOST:PORT/DBNAME?sslrootcert=FILE")
        };
        let version = conf_version(said.libpq);
        let mut asked = Conninfo::parse_as(text, version).map_err(|error| bad(&error))?;
        service::apply(&mut asked)?;
        said.over(&mut asked)?;
        asked.fill_defaults(&variable, version);
        let hosts = asked.hosts().map_err(|error| bad(&error))?;
        let deadline = deadline(&asked)?;
        let routes = hosts.iter().map(|host| route(host, deadline)).collect::<Result<Vec<_>>>()?;
        let username = match asked.get("user") {
            Some(user) if !user.is_empty() => user.to_owned(),
            _ => SystemUser::current()?.name,
        };
        let dbname = asked.get("dbname").filter(|name| !name.is_empty()).unwrap_or(&username).to_owned();
        let password = match (asked.get("password").filter(|text| !text.is_empty()), hosts.first()) {
            (Some(text), _) => Some(Secret::new(text.to_owned())),
            (None, Some(first)) => {
                passfile::password(&asked, &called(first), first.port, &dbname, &username)?
            }
            (None, None) => None,
        };
        asked.remove("password");
        let home = home_of(said.libpq);
        let given = match said.sslrootcert {
            Some("none") => Given::Nothing,
            _ => given(asked.get("sslrootcert"), home.as_deref(), said.libpq),
        };
        Ok(Self { asked, routes, libpq: said.libpq, given, username, dbname, password, home })
    }

    /// A client that is told a host and a port, and by the environment whatever else there is.
    pub(crate) fn told(host: &str, port: u16, said: &Said<'_>) -> Result<Self> {
        let mut text = Conninfo::new();
        set(&mut text, "host", host)?;
        set(&mut text, "port", &port.to_string())?;
        // Whatever else the environment says, it says of another server.
        let mut client = Self::of_text(&text.to_conninfo(pgseal_conf::conninfo::Secrets::Omitted), said)?;
        if client.asked.remove("hostaddr") {
            client.routes.iter_mut().for_each(|route| route.hostaddr = None);
        }
        Ok(client)
    }

    /// The address to go to in the place of looking the host up.
    pub(crate) fn pin_to(&mut self, address: std::net::IpAddr) -> Result<()> {
        set(&mut self.asked, "hostaddr", &address.to_string())?;
        self.routes.iter_mut().for_each(|route| route.hostaddr = Some(address));
        Ok(())
    }

    /// The login of a server's own, where nobody said another.
    pub(crate) fn log_in_as(
        &mut self,
        said: &Said<'_>,
        username: &str,
        dbname: &str,
        password: Option<Secret>,
    ) {
        if said.username.is_none() {
            username.clone_into(&mut self.username);
            self.password = password;
        }
        if said.dbname.is_none() {
            dbname.clone_into(&mut self.dbname);
        }
    }

    /// The client with this mode and these roots in the place of its own; libpq's words where it would refuse them.
    pub(crate) fn with(
        &self,
        mode: SslMode,
        roots: &Given,
    ) -> std::result::Result<(ConnectOptions, Credentials), InvalidOptions> {
        let known = match roots {
            Given::Nothing => Some(RootFile::Absent { path: self.no_root_file() }),
            Given::Known(roots) => Some(RootFile::Loaded(roots.clone())),
            Given::File(_) | Given::System => None,
        };
        let get = |name: &str| match (name, roots) {
            ("sslmode", _) => Some(mode.to_string()),
            ("sslrootcert", Given::System) => Some("system".to_owned()),
            ("sslrootcert", Given::File(file)) => Some(file.clone()),
            ("sslrootcert", _) => None,
            ("user", _) => Some(self.username.clone()),
            ("dbname", _) => Some(self.dbname.clone()),
            (name, _) => self.asked.get(name).map(str::to_owned),
        };
        understand(self.routes.clone(), &get, self.home.as_deref(), known, self.libpq)
    }

    /// What libpq looks for where nobody names a root file.
    pub(crate) fn no_root_file(&self) -> String {
        let home = self.home.clone().unwrap_or_default();
        home.join(".postgresql/root.crt").display().to_string()
    }

    /// A certificate of its own, with the key's file.
    pub(crate) fn show_certificate(&mut self, certificate: &str, key: &str) -> Result<()> {
        set(&mut self.asked, "sslcert", certificate)?;
        set(&mut self.asked, "sslkey", key)
    }

    pub(crate) fn set_mode(&mut self, mode: SslMode) -> Result<()> {
        set(&mut self.asked, "sslmode", mode.as_str())
    }

    /// The mode that it was told.
    pub(crate) fn mode(&self) -> Option<SslMode> {
        self.asked.get("sslmode")?.parse().ok()
    }
}

impl Said<'_> {
    fn over(&self, asked: &mut Conninfo) -> Result<()> {
        for (name, value) in [("user", self.username), ("dbname", self.dbname)] {
            if let Some(value) = value {
                set(asked, name, value)?;
            }
        }
        match self.sslrootcert {
            Some("none") => {
                asked.remove("sslrootcert");
                Ok(())
            }
            Some(file) => set(asked, "sslrootcert", file),
            None => Ok(()),
        }
    }
}

fn set(asked: &mut Conninfo, name: &str, value: &str) -> Result<()> {
    asked.set(name, value).map_err(|error| Failure::usage(error.to_string()))
}

/// The rules of pgseal-conf for the libpq of pgseal-wire.
const fn conf_version(libpq: LibpqVersion) -> PgVersion {
    match libpq.major() {
        ..=13 => PgVersion::V13,
        14 => PgVersion::V14,
        15 => PgVersion::V15,
        16 => PgVersion::V16,
        17 => PgVersion::V17,
        _ => PgVersion::V18,
    }
}

/// `HOME`, or before 15 what the system's user database says.
fn home_of(libpq: LibpqVersion) -> Option<PathBuf> {
    let told = home("").filter(|_| libpq.asks_home());
    told.or_else(|| SystemUser::current().ok().map(|user| user.home))
}

fn given(sslrootcert: Option<&str>, home: Option<&Path>, libpq: LibpqVersion) -> Given {
    match sslrootcert.filter(|file| !file.is_empty()) {
        Some(file) if RootFile::means_the_system(file, libpq) => Given::System,
        Some(file) => Given::File(file.to_owned()),
        None => match home.map(|home| home.join(".postgresql/root.crt")).filter(|file| file.exists()) {
            Some(file) => Given::File(file.display().to_string()),
            None => Given::Nothing,
        },
    }
}

/// What a password file calls the server.
fn called(host: &HostSpec) -> String {
    host.host.clone().or_else(|| host.hostaddr.map(|ip| ip.to_string())).unwrap_or_default()
}

fn route(host: &HostSpec, deadline: Duration) -> Result<Route> {
    if matches!(host.endpoint(), Endpoint::Default) {
        return Err(
            Failure::usage("the connection string names no host").hint("postgresql://USER@HOST:PORT/DBNAME")
        );
    }
    Ok(Route {
        host: host.host.clone().unwrap_or_default(),
        hostaddr: host.hostaddr,
        port: host.port,
        deadline,
    })
}

/// `connect_timeout`; without one nothing is waited for longer than a healthy server needs.
fn deadline(asked: &Conninfo) -> Result<Duration> {
    let Some(text) = asked.get("connect_timeout").filter(|text| !text.is_empty()) else {
        return Ok(Route::DEFAULT_DEADLINE);
    };
    let seconds: i64 = text.trim().parse().map_err(|_| {
        // libpq's own words.
        Failure::usage(format!("invalid integer value \"{text}\" for connection option \"connect_timeout\""))
            .hint("connect_timeout=10")
    })?;
    let given = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    Ok(given.map_or(Route::DEFAULT_DEADLINE, |seconds| Duration::from_secs(seconds.max(2))))
}

/// `host`, `host:port`, `[::1]:port`, `host:` before any of them: as a connection string. Not where a folder of that
/// name lies, nor where it looks like another kind of target.
pub(crate) fn host_and_port(word: &str) -> Option<String> {
    let (forced, text) = word.strip_prefix("host:").map_or((false, word), |text| (true, text));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some(""))?)
        }
        None if text.matches(':').count() > 1 => (text, ""),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let sound = host.chars().all(plain) && host.chars().any(|c| c.is_ascii_alphanumeric());
    if !sound || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A name alone could be a folder that is not there: a dot, a port or the prefix make it a host.
    let is_host = !port.is_empty() || host == "localhost" || host.contains(['.', ':']);
    (forced || is_host && !Path::new(word).exists()).then(|| {
        let port = if port.is_empty() { String::new() } else { format!(" port={port}") };
        format!("host='{host}'{port}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_from_a_folder_and_from_a_connection_string() {
        assert_eq!(host_and_port("db1:5433").as_deref(), Some("host='db1' port=5433"));
        assert_eq!(host_and_port("db1.example.org").as_deref(), Some("host='db1.example.org'"));
        assert_eq!(host_and_port("[::1]:5433").as_deref(), Some("host='::1' port=5433"));
        assert_eq!(host_and_port("::1").as_deref(), Some("host='::1'"));
        assert_eq!(host_and_port("host:db1").as_deref(), Some("host='db1'"));
        for other in [
            "db1",
            "./db",
            "..",
            "15/main",
            "postgresql://h/d",
            "service=x",
            "container:db",
            "[::1",
            "src",
            "",
        ] {
            assert_eq!(host_and_port(other), None, "{other}");
        }
    }
}

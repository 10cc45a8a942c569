//! `pgseal.toml`: what was asked for when the folder was made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::layout::Folder;
use crate::failure::{Failure, Result};
use crate::privilege::{files, trusted};
use crate::report::escape::for_terminal;

/// The version of the file's own format.
const FORMAT: u32 = 1;
/// A settings file is a page of text.
const LIMIT: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    format: u32,
    pub(crate) server: Server,
    pub(crate) certificate: Certificate,
    /// Where the server runs in a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compose: Option<Compose>,
}

/// A compose project, and what its image is made for. `bindir` and `run_as` of the server are the image's, then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compose {
    pub(crate) image: String,
    /// The project's name, in `.env` as well.
    pub(crate) project: String,
    pub(crate) service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) container_name: Option<String>,
    /// The daemon that it was made on, as docker's client called it.
    pub(crate) docker: String,
    /// The server's user in the image, by numbers.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// The folder with `postgres` and `initdb`.
    pub(crate) bindir: PathBuf,
    /// PostgreSQL's version when the folder was made.
    pub(crate) version: String,
    /// The operating system's user that the server runs as.
    pub(crate) run_as: String,
    pub(crate) port: u16,
    pub(crate) listen: Vec<IpAddr>,
    pub(crate) username: String,
    pub(crate) dbname: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    /// Every name the certificate must match.
    pub(crate) names: Vec<String>,
    pub(crate) key_type: String,
    pub(crate) validity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
}

impl Compose {
    /// Words that become arguments of docker's, or lines of other files.
    fn sane(&self) -> Result<(), String> {
        let Self { image, project, service, container_name, docker, uid, gid: _ } = self;
        let plain = |word: &str| {
            let letters = word.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/:@".contains(c));
            letters && word.starts_with(|first: char| first.is_ascii_alphanumeric())
        };
        if ![image, project, service].into_iter().chain(container_name).all(|word| plain(word)) {
            return Err(
                "image, project, service and container_name must be words that docker takes".to_owned()
            );
        }
        if for_terminal(docker) != *docker {
            return Err("docker has control characters, or some that turn text around".to_owned());
        }
        if *uid == 0 { Err("uid must not be root's".to_owned()) } else { Ok(()) }
    }
}

/// What is wrong and in which line, without the line itself: it may be long, and anybody's.
fn placed(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
    let said: String = error.message().chars().take(200).collect();
    format!("line {line}: {}", said.lines().next().unwrap_or("it is no TOML"))
}

impl Settings {
    pub(crate) const fn new(server: Server, certificate: Certificate) -> Self {
        Self { format: FORMAT, server, certificate, compose: None }
    }

    /// The same in a container.
    pub(crate) fn in_container(mut self, compose: Compose) -> Self {
        self.compose = Some(compose);
        self
    }

    /// Names by which only other containers of the project reach it.
    pub(crate) fn inner_names(&self) -> Vec<&str> {
        let compose = self.compose.iter();
        let names = compose
            .flat_map(|compose| [Some(compose.service.as_str()), compose.container_name.as_deref()])
            .flatten();
        // Docker gives names that a certificate cannot carry.
        names.filter(|name| self.certificate.names.iter().any(|ours| ours == name)).collect()
    }

    /// Names by which clients reach it where its port is.
    pub(crate) fn outer_names(&self) -> impl Iterator<Item = &String> {
        let inner = self.inner_names();
        self.certificate.names.iter().filter(move |name| !inner.contains(&name.as_str()))
    }

    pub(crate) fn to_text(&self) -> Result<String> {
        let body = toml::to_string(self)
            .map_err(|error| Failure::new(format!("could not write the settings as TOML: {error}")))?;
        let own = if self.compose.is_some() { "the volume tls" } else { "data/postgresql.conf" };
        Ok(format!(
            "# Made by pgseal up: what was asked for. The server's own settings are in {own}.\n{body}"
        ))
    }

    pub(crate) fn read(folder: &Folder) -> Result<Self> {
        let path = folder.settings();
        trusted::file_for_root(&path)?;
        let bytes = files::read(&path, LIMIT).map_err(|error| Failure::io("read", &path, &error))?;
        let broken = |why: String| {
            Failure::new(format!("{} is not what pgseal up wrote", path.display()))
                .because_all(why.trim_end().lines().map(str::to_owned))
                .hint("mend that line; nothing was started, stopped or changed")
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| broken(error.to_string()))?;
        let settings: Self = toml::from_str(text).map_err(|error| broken(placed(&error, text)))?;
        if settings.format == FORMAT {
            settings.sane().map_err(broken)
        } else {
            Err(broken(format!("its format is {}, and this pgseal knows format {FORMAT}", settings.format)))
        }
    }

    /// Values that no `up` writes, but that parse.
    fn sane(self) -> Result<Self, String> {
        let Server { bindir, version, run_as, port, listen, username, dbname } = &self.server;
        let Certificate { names, key_type, validity, subject } = &self.certificate;
        if *port == 0 || listen.is_empty() || username.is_empty() || dbname.is_empty() || names.is_empty() {
            return Err("port, listen, username, dbname and names must not be empty".to_owned());
        }
        if !bindir.is_absolute() {
            return Err("bindir must be an absolute path".to_owned());
        }
        let words = [version, run_as, username, dbname, key_type, validity].into_iter();
        if words.chain(names).chain(subject).any(|word| for_terminal(word) != *word) {
            return Err("a value has control characters, or some that turn text around".to_owned());
        }
        self.compose.as_ref().map_or(Ok(()), Compose::sane)?;
        Ok(self)
    }

    /// The name clients connect to: `localhost` where IPv4's loopback is listened on, else IPv6's (not
    /// every machine's `localhost` has that), else the first address.
    pub(crate) fn host(&self) -> String {
        let listens = |loopback: IpAddr, every: IpAddr| {
            self.server.listen.iter().any(|ip| *ip == loopback || *ip == every)
        };
        match self.server.listen.first() {
            Some(first) if !listens(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into()) => {
                let ipv6 = listens(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into());
                if ipv6 { Ipv6Addr::LOCALHOST.to_string() } else { first.to_string() }
            }
            _ => "localhost".to_owned(),
        }
    }

    /// Addresses to try: each that is listened on, with the loopback in the place of a wildcard.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for ip in &self.server.listen {
            let reached = match ip {
                IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
                other => *other,
            };
            if !addresses.contains(&reached) {
                addresses.push(reached);
            }
        }
        addresses
    }
}

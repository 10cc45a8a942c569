//! The docker client of the person, with its contexts, so that remote daemons work too: found, and run.
//! Knows nothing of what is run in containers.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::call::{Call, Input, Said};
use crate::failure::{Failure, Result};
use crate::privilege::trusted;
use crate::server::said::last_lines;

/// What one command of docker's may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The client, and where its daemon is.
pub(crate) struct Docker {
    program: PathBuf,
    /// Where the client says that the daemon is.
    endpoint: Option<String>,
    /// The host of a daemon that is not on this machine.
    remote: Option<String>,
}

impl Docker {
    /// The first client in PATH; as root only one that is root's.
    pub(crate) async fn find() -> Result<Self> {
        let found = in_path("docker").ok_or_else(|| {
            Failure::new("there is no docker client in PATH")
                .hint("install one, or give the server's data directory")
        })?;
        let mut docker = Self { program: trusted::program(&found)?, endpoint: None, remote: None };
        docker.endpoint = docker.ask_endpoint().await?;
        docker.remote = docker.endpoint.as_deref().and_then(remote_host);
        Ok(docker)
    }

    /// Where the daemon is, as the client has it from its context and its environment.
    async fn ask_endpoint(&self) -> Result<Option<String>> {
        let words = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"];
        let said = self.run(&words.map(OsString::from), Input::Nothing).await?;
        // A client without contexts has the variable alone.
        Ok(if said.well {
            Some(String::from_utf8_lossy(&said.out).trim().to_owned())
        } else {
            std::env::var("DOCKER_HOST").ok()
        })
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The daemon, for a person to read.
    pub(crate) fn endpoint(&self) -> &str {
        self.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()).unwrap_or("this machine")
    }

    /// The host of a daemon that is not on this machine.
    pub(crate) fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// The address at which the ports of all its interfaces are reached.
    pub(crate) async fn address(&self) -> Option<IpAddr> {
        let Some(host) = &self.remote else { return Some(Ipv4Addr::LOCALHOST.into()) };
        let found = tokio::net::lookup_host((host.as_str(), 0)).await.ok()?;
        found.map(|address| address.ip()).next()
    }

    pub(crate) async fn run(&self, words: &[OsString], input: Input<'_>) -> Result<Said> {
        self.run_within(PATIENCE, words, input).await
    }

    /// The same for what takes its time. What libpq has in its environment is none of docker's business, the
    /// password least of all.
    pub(crate) async fn run_within(
        &self,
        patience: Duration,
        words: &[OsString],
        input: Input<'_>,
    ) -> Result<Said> {
        let call = Call {
            program: &self.program,
            words,
            input,
            patience,
            folder: None,
            without: &["PG", "COMPOSE_"],
            with: &[],
        };
        call.run().await
    }
}

impl Docker {
    /// The last lines that a container printed: those of its start go to one pipe, the server's to the other.
    pub(crate) async fn last_words(&self, id: &str, most: usize) -> Vec<String> {
        let words = ["logs", "--tail", "40", id].map(OsString::from);
        let Ok(said) = self.run(&words, Input::Nothing).await else { return Vec::new() };
        last_lines(&[said.out.as_slice(), said.err.as_bytes()].concat(), most)
    }
}

/// The first program of that name in PATH.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// The host in `tcp://host:port` or `ssh://user@host`; a socket's is this machine.
fn remote_host(endpoint: &str) -> Option<String> {
    let (scheme, rest) = endpoint.split_once("://")?;
    if matches!(scheme, "unix" | "npipe" | "fd") {
        return None;
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    Some(host.to_owned()).filter(|host| !host.is_empty() && !loopback)
}

/// Whether docker said that there is no such thing, rather than that it could not be asked.
pub(crate) fn knows_none(said: &Said) -> bool {
    said.err.to_ascii_lowercase().contains("no such")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_remote_when_its_endpoint_names_another_host() {
        for (endpoint, host) in [
            ("unix:///var/run/docker.sock", None),
            ("npipe:////./pipe/docker_engine", None),
            ("tcp://127.0.0.1:2375", None),
            ("tcp://localhost:2375", None),
            ("tcp://[::1]:2375", None),
            ("", None),
            ("tcp://", None),
            ("tcp://db1:2376", Some("db1")),
            ("ssh://me@db1", Some("db1")),
            ("ssh://me@db1:2222/run/docker.sock", Some("db1")),
            ("tcp://[2001:db8::1]:2376", Some("2001:db8::1")),
        ] {
            assert_eq!(remote_host(endpoint).as_deref(), host, "{endpoint}");
        }
    }
}

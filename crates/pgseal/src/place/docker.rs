//! The docker client of the person, with its contexts, so that remote daemons work too: found, run, fed and
//! bounded. Knows nothing of what is run in containers.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::privilege::trusted;

/// What one command of docker's may print, in bytes.
const MOST: u64 = 32 << 20;
/// What one command of docker's may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a script prints when all bytes have come, and what it waits for before it goes on.
const WHOLE: &[u8] = b"whole\n";
const GO: &[u8] = b"go\n";

/// The client, and where its daemon is.
pub(super) struct Docker {
    program: PathBuf,
    /// The host of a daemon that is not on this machine.
    remote: Option<String>,
}

/// What a command printed, and whether it ended well.
pub(super) struct Said {
    pub(super) well: bool,
    pub(super) out: Zeroizing<Vec<u8>>,
    pub(super) err: String,
}

/// What goes in.
#[derive(Clone, Copy)]
pub(super) enum Input<'i> {
    Nothing,
    /// Bytes, and a word behind them once the script says that it has them all: whoever dies before has
    /// changed nothing.
    Confirmed(&'i [u8]),
}

impl Docker {
    /// The first client in PATH; as root only one that is root's.
    pub(super) async fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("docker"))
            .find(|program| program.is_file());
        let found = found.ok_or_else(|| {
            Failure::new("there is no docker client in PATH")
                .hint("install one, or give the server's data directory")
        })?;
        let mut docker = Self { program: trusted::program(&found)?, remote: None };
        docker.remote = docker.endpoint().await?.as_deref().and_then(remote_host);
        Ok(docker)
    }

    /// Where the daemon is, as the client has it from its context and its environment.
    async fn endpoint(&self) -> Result<Option<String>> {
        let words = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"];
        let said = self.run(&words.map(OsString::from), Input::Nothing).await?;
        // A client without contexts has the variable alone.
        Ok(if said.well {
            Some(String::from_utf8_lossy(&said.out).trim().to_owned())
        } else {
            std::env::var("DOCKER_HOST").ok()
        })
    }

    /// The host of a daemon that is not on this machine.
    pub(super) fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// The address at which the ports of all its interfaces are reached.
    pub(super) async fn address(&self) -> Option<IpAddr> {
        let Some(host) = &self.remote else { return Some(Ipv4Addr::LOCALHOST.into()) };
        let found = tokio::net::lookup_host((host.as_str(), 0)).await.ok()?;
        found.map(|address| address.ip()).next()
    }

    pub(super) async fn run(&self, words: &[OsString], input: Input<'_>) -> Result<Said> {
        let failed = |error: std::io::Error| Failure::io("run", &self.program, &error);
        let mut child = self.command(words).spawn().map_err(failed)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::new("docker's client came without its pipes"));
        };
        let (mut out, mut err) = (Zeroizing::new(Vec::new()), Vec::new());
        let conversation = async {
            let mut stderr = stderr.take(64 << 10);
            let (heard, said) =
                tokio::join!(converse(stdin, stdout, input, &mut out), stderr.read_to_end(&mut err));
            heard.and(said)?;
            // One that is cut off would wait for a reader for ever.
            let full = u64::try_from(out.len()).unwrap_or(u64::MAX) >= MOST;
            if full { Ok(None) } else { child.wait().await.map(Some) }
        };
        match tokio::time::timeout(PATIENCE, conversation).await {
            Ok(Ok(Some(status))) => {
                Ok(Said { well: status.success(), out, err: String::from_utf8_lossy(&err).into_owned() })
            }
            Ok(Ok(None)) => Err(Failure::new(format!("docker printed more than {MOST} bytes"))),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(Failure::new(format!("docker gave no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    /// In a group of its own: Ctrl-C is for us to hear, and must not cut off what takes a change back. What
    /// libpq has in its environment is none of docker's business, the password least of all.
    fn command(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        command
    }
}

async fn converse(
    mut stdin: ChildStdin,
    stdout: ChildStdout,
    input: Input<'_>,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut stdout = BufReader::new(stdout.take(MOST));
    if let Input::Confirmed(bytes) = input {
        let mut line = Vec::new();
        // A script that ends early does not read all of it, and says why on the other pipe.
        let (_, heard) = tokio::join!(stdin.write_all(bytes), stdout.read_until(b'\n', &mut line));
        heard?;
        if line == WHOLE {
            let _ = stdin.write_all(GO).await;
        }
    }
    drop(stdin);
    stdout.read_to_end(out).await.map(drop)
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
pub(super) fn knows_none(said: &Said) -> bool {
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

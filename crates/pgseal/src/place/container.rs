//! A server in a container: its files and its process through `docker exec`, in the name of its own user.
//! The docker client of the person is used, with its contexts, so that remote daemons work too.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::scripts;
use crate::delegate::message::{Reply, Request, Trouble};
use crate::failure::{Failure, Result};
use crate::privilege::files::{Kind, Status};
use crate::privilege::trusted;
use crate::privilege::user::SystemUser;
use crate::server::pidfile;
use crate::server::process::{Found, RunningServer, StopOutcome};

/// What one command of docker's may print, in bytes.
const MOST: u64 = 32 << 20;
/// What one command of docker's may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The official image's, where its environment says nothing.
const DATA: &str = "/var/lib/postgresql/data";

pub(crate) struct Container {
    docker: PathBuf,
    /// The daemon's own id of it: a name may be given to another meanwhile.
    id: String,
    name: String,
    user: SystemUser,
    data: PathBuf,
    facts: Value,
}

/// What a command printed, and whether it ended well.
struct Said {
    well: bool,
    out: Zeroizing<Vec<u8>>,
    err: String,
}

impl Container {
    /// The running container of that name or id.
    pub(crate) async fn find(name: &str) -> Result<Self> {
        let docker = program()?;
        if name.is_empty() || name.starts_with('-') {
            return Err(
                Failure::usage(format!("container:{name} is no name of a container")).hint("docker ps")
            );
        }
        let said =
            call(&docker, &["inspect".into(), "--type".into(), "container".into(), name.into()], b"").await?;
        let facts: Value = serde_json::from_slice(&said.out).unwrap_or(Value::Null);
        let facts = facts.get(0).cloned().filter(|_| said.well).ok_or_else(|| {
            Failure::new(format!("docker knows no container {name}: {}", said.err.trim()))
                .hint("docker ps --all")
        })?;
        let text = |path: &str| facts.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = text("/Id");
        if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) || id.is_empty() {
            return Err(Failure::new(format!("docker gave no id for container {name}")));
        }
        if facts.pointer("/State/Running") != Some(&Value::Bool(true)) {
            return Err(Failure::new(format!(
                "container {name} does not run (it is {})",
                text("/State/Status")
            ))
            .hint(format!("docker start {name}")));
        }
        let nobody =
            SystemUser { name: String::new(), uid: 0, gid: 0, groups: Vec::new(), home: PathBuf::from("/") };
        let mut found = Self { docker, id, name: name.to_owned(), user: nobody, data: PathBuf::new(), facts };
        found.data = found.data_directory().await?;
        found.user = found.owner().await?;
        Ok(found)
    }

    pub(crate) const fn user(&self) -> &SystemUser {
        &self.user
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Names under which others reach it: its own, and its aliases on docker's networks.
    pub(crate) fn names(&self) -> Vec<String> {
        let networks = self.facts.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
        let aliases = networks.into_iter().flat_map(serde_json::Map::values).flat_map(|network| {
            network.get("Aliases").and_then(Value::as_array).cloned().unwrap_or_default()
        });
        let own = self
            .facts
            .get("Name")
            .and_then(Value::as_str)
            .map(|name| name.trim_start_matches('/').to_owned());
        own.into_iter().chain(aliases.filter_map(|alias| alias.as_str().map(str::to_owned))).collect()
    }

    /// Whether what lies at a path outlives the container: on a mount of it.
    pub(crate) fn outlives(&self, path: &Path) -> bool {
        let mounts = self.facts.get("Mounts").and_then(Value::as_array).into_iter().flatten();
        mounts
            .filter_map(|mount| mount.get("Destination").and_then(Value::as_str))
            .any(|destination| path.starts_with(destination))
    }

    /// Where its port is reached from here: published, or at the container's own address.
    pub(crate) fn reach(&self, port: u16) -> Option<(IpAddr, u16)> {
        let published = self.facts.pointer(&format!("/NetworkSettings/Ports/{port}~1tcp/0"));
        if let Some(published) = published {
            let text = |name: &str| published.get(name).and_then(Value::as_str).unwrap_or_default();
            let address: IpAddr = text("HostIp").parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            let address = if address.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address };
            return text("HostPort").parse().ok().map(|port| (address, port));
        }
        if self.facts.pointer("/HostConfig/NetworkMode").and_then(Value::as_str) == Some("host") {
            return Some((Ipv4Addr::LOCALHOST.into(), port));
        }
        let networks = self.facts.pointer("/NetworkSettings/Networks").and_then(Value::as_object)?;
        let address = networks.values().find_map(|network| {
            network.get("IPAddress").and_then(Value::as_str).and_then(|text| text.parse().ok())
        });
        address.map(|address| (address, port))
    }

    async fn data_directory(&self) -> Result<PathBuf> {
        let variables = self.facts.pointer("/Config/Env").and_then(Value::as_array).into_iter().flatten();
        let named = variables.filter_map(Value::as_str).find_map(|line| line.strip_prefix("PGDATA="));
        let named = PathBuf::from(named.unwrap_or(DATA));
        let said = self.sh("0", scripts::REAL_PATH, &[named.as_os_str().to_owned()], b"").await?;
        let real =
            PathBuf::from(OsString::from_vec(said.out.strip_suffix(b"\n").unwrap_or(&said.out).to_vec()));
        if said.well && real.is_absolute() {
            return Ok(real);
        }
        Err(Failure::new(format!("container {} has no {}: {}", self.name, named.display(), said.err.trim()))
            .hint("a container of the official image, or one that sets PGDATA"))
    }

    /// Who owns the data directory, in the container's own numbers.
    async fn owner(&self) -> Result<SystemUser> {
        let said = self.sh("0", scripts::OWNER, &[self.data.as_os_str().to_owned()], b"").await?;
        let text = String::from_utf8_lossy(&said.out).into_owned();
        let mut fields = text.trim().split(' ');
        let mut number = || fields.next().and_then(|number| number.parse::<u32>().ok());
        let numbers = (number(), number());
        let (Some(uid), Some(gid)) = numbers else {
            return Err(Failure::new(format!(
                "could not look at {} in container {}: {}",
                self.data.display(),
                self.name,
                said.err.trim()
            )));
        };
        if uid == 0 {
            return Err(Failure::new(format!(
                "{} in container {} belongs to root, as whom no server runs",
                self.data.display(),
                self.name
            )));
        }
        let name = fields.next().filter(|name| !name.is_empty() && *name != "UNKNOWN");
        let name = name.map_or_else(|| uid.to_string(), str::to_owned);
        Ok(SystemUser { name, uid, gid, groups: vec![gid], home: PathBuf::from("/") })
    }

    pub(crate) async fn ask(
        &mut self,
        request: &Request,
        payload: &[u8],
    ) -> Result<(Reply, Zeroizing<Vec<u8>>)> {
        let path = |path: &Path| path.as_os_str().to_owned();
        let plain = |reply| Ok((reply, Zeroizing::default()));
        match request {
            Request::Look { path: at } => plain(seen(&self.run(scripts::LOOK, &[path(at)], b"").await?)),
            Request::Read { path: at, limit } | Request::ReadThrough { path: at, limit } => {
                let said = self.run(scripts::READ, &[path(at), (limit + 1).to_string().into()], b"").await?;
                if u64::try_from(said.out.len()).unwrap_or(u64::MAX) > *limit {
                    return plain(failed(&format!("larger than {limit} bytes")));
                }
                Ok(bytes(said))
            }
            Request::ReadEnd { path: at, limit } => {
                Ok(bytes(self.run(scripts::READ_END, &[path(at), limit.to_string().into()], b"").await?))
            }
            Request::Replace { path: at, mode } => {
                let temporary =
                    crate::privilege::files::beside(at).map_err(|error| Failure::io("name", at, &error))?;
                let words = [
                    path(at),
                    path(&temporary),
                    format!("{mode:o}").into(),
                    payload.len().to_string().into(),
                ];
                plain(done(&self.run(scripts::REPLACE, &words, payload).await?))
            }
            Request::MakeFolder { path: at, mode } => plain(done(
                &self.run(scripts::MAKE_FOLDER, &[path(at), format!("{mode:o}").into()], b"").await?,
            )),
            Request::Remove { path: at } => plain(done(&self.run(scripts::REMOVE, &[path(at)], b"").await?)),
            Request::RemoveFolder { path: at } => {
                plain(done(&self.run(scripts::REMOVE_FOLDER, &[path(at)], b"").await?))
            }
            Request::MayWrite { path: at } => {
                plain(done(&self.run(scripts::MAY_WRITE, &[path(at)], b"").await?))
            }
            Request::List { folder } => plain(names(&self.run(scripts::LIST, &[path(folder)], b"").await?)),
            Request::FindServer { data } => {
                plain(Reply::Server(found(&self.run(scripts::FIND_SERVER, &[path(data)], b"").await?, self)))
            }
            Request::ReloadServer { data } => {
                let said = self.run(scripts::FIND_SERVER, &[path(data)], b"").await?;
                plain(match found(&said, self) {
                    Found::Running(server) => {
                        let said = self.run(scripts::RELOAD, &[server.pid.to_string().into()], b"").await?;
                        if said.well {
                            Reply::Reloaded(StopOutcome::Stopped { pid: server.pid })
                        } else {
                            failed(&said.err)
                        }
                    }
                    Found::Nothing => Reply::Reloaded(StopOutcome::NothingRan),
                    Found::Stranger { pid, why } => Reply::Reloaded(StopOutcome::Stranger { pid, why }),
                })
            }
            _ => plain(failed("this cannot be done in a container")),
        }
    }

    /// A script in the name of the server's user.
    async fn run(&self, script: &str, words: &[OsString], input: &[u8]) -> Result<Said> {
        let user = format!("{}:{}", self.user.uid, self.user.gid);
        self.sh(&user, script, words, input).await
    }

    async fn sh(&self, user: &str, script: &str, words: &[OsString], input: &[u8]) -> Result<Said> {
        let mut all: Vec<OsString> =
            ["exec", "--interactive", "--user", user, "--env", "LC_ALL=C"].map(OsString::from).to_vec();
        all.extend([self.id.as_str(), "sh", "-c", script, "sh"].map(OsString::from));
        all.extend(words.iter().cloned());
        call(&self.docker, &all, input).await
    }
}

/// The docker client: the first in PATH; as root only one that is root's.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("docker"))
        .find(|program| program.is_file());
    let found = found.ok_or_else(|| {
        Failure::new("there is no docker client in PATH")
            .hint("install one, or give the server's data directory")
    })?;
    trusted::program(&found)
}

/// Runs docker's client, bounded in time and in what it may print.
async fn call(docker: &Path, words: &[OsString], input: &[u8]) -> Result<Said> {
    let failed = |error: std::io::Error| Failure::io("run", docker, &error);
    let mut child = Command::new(docker)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Failure::new("docker's client came without its pipes"));
    };
    let feed = async move {
        // A script that ends early does not read all of it.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (mut out, mut err) = (Zeroizing::new(Vec::new()), Vec::new());
    let conversation = async {
        let (mut stdout, mut stderr) = (stdout.take(MOST), stderr.take(64 << 10));
        let ((), read, said) = tokio::join!(feed, stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
        read.and(said)?;
        child.wait().await
    };
    match tokio::time::timeout(PATIENCE, conversation).await {
        Ok(Ok(status)) => {
            Ok(Said { well: status.success(), out, err: String::from_utf8_lossy(&err).into_owned() })
        }
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(Failure::new(format!("docker gave no answer within {} s", PATIENCE.as_secs()))),
    }
}

fn failed(words: &str) -> Reply {
    // The shell's tools have no numbers, only strerror's words.
    let known = [
        ("No such file", 2),
        ("Permission denied", 13),
        ("No space left", 28),
        ("Read-only file", 30),
        ("Directory not empty", 39),
    ];
    let code = known.into_iter().find(|(words_of, _)| words.contains(words_of)).map(|(_, code)| code);
    Reply::Failed(Trouble { code, text: words.trim().chars().take(500).collect() })
}

fn done(said: &Said) -> Reply {
    if said.well { Reply::Done } else { failed(&said.err) }
}

fn bytes(said: Said) -> (Reply, Zeroizing<Vec<u8>>) {
    if said.well { (Reply::Bytes, said.out) } else { (failed(&said.err), Zeroizing::default()) }
}

/// `readlink -f`, then `stat`'s kind, numbers, mode and size; nothing at all where nothing lies there.
fn seen(said: &Said) -> Reply {
    if !said.well {
        return failed(&said.err);
    }
    if said.out.is_empty() {
        return Reply::Seen(None);
    }
    let parsed = || {
        let text = said.out.strip_suffix(b"\n").unwrap_or(&said.out);
        let at = text.iter().rposition(|byte| *byte == b'\n')?;
        let (real, rest) = text.split_at(at);
        let fields: Vec<&str> = std::str::from_utf8(rest).ok()?.trim().split('|').collect();
        let &[kind, uid, gid, mode, size] = fields.as_slice() else { return None };
        let kind = match kind {
            "regular file" | "regular empty file" => Kind::File,
            "directory" => Kind::Directory,
            "symbolic link" => Kind::Link,
            _ => Kind::Other,
        };
        let status = Status {
            kind,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            mode: u32::from_str_radix(mode, 8).ok()?,
            size: size.parse().ok()?,
        };
        Some((PathBuf::from(OsStr::from_bytes(real)), status))
    };
    parsed().map_or_else(|| failed("stat printed something else"), |found| Reply::Seen(Some(found)))
}

/// One name a line, `/` behind those of folders.
fn names(said: &Said) -> Reply {
    if !said.well {
        return failed(&said.err);
    }
    let lines = said.out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Reply::Names(
        lines.map(|line| (line.strip_suffix(b"/").unwrap_or(line).to_vec(), line.ends_with(b"/"))).collect(),
    )
}

/// Uid, working directory and program of the process, then postmaster.pid as it is.
fn found(said: &Said, container: &Container) -> Found {
    let stranger = |pid, why: &str| Found::Stranger { pid, why: why.to_owned() };
    if !said.well {
        return stranger(0, said.err.trim());
    }
    let text = String::from_utf8_lossy(&said.out);
    let mut lines = text.splitn(4, '\n');
    let (uid, cwd, program) = (lines.next(), lines.next(), lines.next());
    let Some(file) = lines.next().and_then(pidfile::parse) else { return Found::Nothing };
    let pid = match i32::try_from(file.pid) {
        Ok(pid) if pid > 0 => pid,
        _ => return stranger(file.pid, "no server can have that process number"),
    };
    let (Some(uid), Some(cwd), Some(program)) = (uid, cwd, program) else { return Found::Nothing };
    if uid.is_empty() {
        return Found::Nothing;
    }
    if uid != container.user.uid.to_string() {
        return stranger(file.pid, &format!("that process belongs to uid {uid}"));
    }
    if Path::new(cwd) != container.data || !program.starts_with("postgres") {
        return stranger(file.pid, &format!("that process is {program} and works in {cwd}"));
    }
    let pidfile::PidFile { started, port, socket_folder, ready, .. } = file;
    Found::Running(RunningServer { pid, started, port, socket_folder, ready })
}

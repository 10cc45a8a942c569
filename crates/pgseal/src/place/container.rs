//! A server in a container: its files and its process through `docker exec`, in the name of its own user.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::answers::{bytes, done, failed, found, names, seen};
use super::call::{self, Input, Said};
use super::docker::{Docker, knows_none};
use super::scripts;
use super::sleeper::Sleeper;
use super::tunnel::Tunnel;
use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::privilege::user::SystemUser;
use crate::server::process::{Found, StopOutcome};
use crate::server::said::last_lines;

/// The official image's, where its environment says nothing.
const DATA: &str = "/var/lib/postgresql/data";

/// Why a file cannot be exchanged by a rename.
pub(super) const MOUNTED_ALONE: &str = "it is mounted into the container as a file of its own";

/// How many lines of what a container printed are looked at.
const LAST_LINES: &str = "200";

pub(crate) struct Container {
    docker: Docker,
    /// The daemon's own id of it: a name may be given to another meanwhile.
    id: String,
    /// Where it is worked in: itself, or another with the same volumes while it does not run.
    workplace: String,
    sleeper: Option<Sleeper>,
    name: String,
    user: SystemUser,
    data: PathBuf,
    facts: Value,
    /// The way to a port that cannot be reached from here.
    tunnel: OnceCell<Tunnel>,
}

/// Something of the host's that shows in the container, and outlives it.
pub(crate) struct Mount<'c> {
    /// `volume` or `bind`.
    pub(crate) kind: &'c str,
    /// A volume's name, or a folder of the host's.
    pub(crate) source: &'c str,
    /// Where it shows.
    pub(crate) place: &'c Path,
    writable: bool,
}

impl Container {
    /// The running container of that name or id.
    pub(crate) async fn find(name: &str) -> Result<Self> {
        if name.is_empty() || name.starts_with('-') {
            return Err(
                Failure::usage(format!("container:{name} is no name of a container")).hint("docker ps")
            );
        }
        let docker = Docker::find().await?;
        let (id, facts) = inspect(&docker, name).await?;
        must_run(name, &facts)?;
        Self::look(docker, name, id, facts, None).await
    }

    /// The container of that id, running or not. One that does not run is worked on through another that has its
    /// volumes, and in which no server ever runs.
    pub(crate) async fn whatever_it_does(id: &str) -> Result<Self> {
        let docker = Docker::find().await?;
        let (id, facts) = inspect(&docker, id).await?;
        let name = facts.pointer("/Name").and_then(Value::as_str).unwrap_or(&id);
        let name = name.trim_start_matches('/').to_owned();
        let status = facts.pointer("/State/Status").and_then(Value::as_str).unwrap_or_default();
        if matches!(status, "running" | "paused") {
            must_run(&name, &facts)?;
            return Self::look(docker, &name, id, facts, None).await;
        }
        let sleeper = Sleeper::beside(&docker, &id, &facts).await?;
        Self::look(docker, &name, id, facts, Some(sleeper)).await
    }

    async fn look(
        docker: Docker,
        name: &str,
        id: String,
        facts: Value,
        sleeper: Option<Sleeper>,
    ) -> Result<Self> {
        let user =
            SystemUser { name: String::new(), uid: 0, gid: 0, groups: Vec::new(), home: PathBuf::from("/") };
        let workplace = sleeper.as_ref().map_or_else(|| id.clone(), |sleeper| sleeper.id().to_owned());
        let (name, data) = (name.to_owned(), PathBuf::new());
        let tunnel = OnceCell::new();
        let mut found = Self { docker, id, workplace, sleeper, name, user, data, facts, tunnel };
        found.data = found.data_directory().await?;
        found.user = found.owner().await?;
        Ok(found)
    }

    /// Whether it does not run.
    pub(crate) const fn rests(&self) -> bool {
        self.sleeper.is_some()
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

    /// The image that it was made of, by its own id: a name may be given to another meanwhile.
    pub(crate) fn image(&self) -> Option<&str> {
        self.facts.get("Image").and_then(Value::as_str)
    }

    /// A variable of the environment that it was made with, where it is not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let variables = self.facts.pointer("/Config/Env").and_then(Value::as_array).into_iter().flatten();
        let mut lines = variables.filter_map(Value::as_str);
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.to_owned()).filter(|value| !value.is_empty() && !value.contains('\0'))
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
        self.mounts().any(|mount| path.starts_with(mount.place))
    }

    /// Whether a path lies on a volume in memory: docker lets go of it when the last container that uses it stops.
    pub(crate) async fn is_in_memory(&self, path: &Path) -> Result<bool> {
        let Some(volume) = self.mount_of(path).filter(|mount| mount.kind == "volume") else {
            return Ok(false);
        };
        let words = ["volume", "inspect", "--format", "{{json .Options}}", "--", volume.source];
        let said = self.docker.run(&words.map(OsString::from), Input::Nothing).await?;
        let options = serde_json::from_slice::<Value>(&said.out).ok().filter(|_| said.well);
        let Some(options) = options else {
            return Err(Failure::new(format!(
                "could not ask docker whether the volume {} lies in memory: {}",
                volume.source,
                said.err.trim()
            ))
            .because("nothing was changed")
            .hint(format!("docker volume inspect {}", volume.source)));
        };
        Ok(matches!(options.get("type").and_then(Value::as_str), Some("tmpfs" | "ramfs")))
    }

    /// What the journal knows its data by: the volume or the folder where it lies, which outlives the
    /// container, or else the container.
    pub(crate) fn key(&self) -> PathBuf {
        let mount = self.mount_of(&self.data);
        let daemon = self.docker.remote().unwrap_or_default();
        let lasting = mount.and_then(|mount| {
            let within = self.data.strip_prefix(mount.place).ok()?;
            Some(
                Path::new("/")
                    .join(mount.kind)
                    .join(daemon)
                    .join(mount.source.trim_matches('/'))
                    .join(within),
            )
        });
        let within = self.data.strip_prefix("/").unwrap_or(&self.data);
        lasting.unwrap_or_else(|| Path::new("/container").join(daemon).join(&self.id).join(within))
    }

    /// Whether what lies at a real path was mounted there by itself.
    pub(super) fn is_mounted_alone(&self, path: &Path) -> bool {
        self.mounts().any(|mount| mount.place == path)
    }

    /// Whether a real path lies on a mount that the container may only read.
    pub(super) fn is_read_only(&self, path: &Path) -> bool {
        self.mount_of(path).is_some_and(|mount| !mount.writable)
    }

    /// The innermost mount that a path lies on.
    pub(crate) fn mount_of(&self, path: &Path) -> Option<Mount<'_>> {
        let around = self.mounts().filter(|mount| path.starts_with(mount.place));
        around.max_by_key(|mount| mount.place.components().count())
    }

    fn mounts(&self) -> impl Iterator<Item = Mount<'_>> {
        let mounts = self.facts.get("Mounts").and_then(Value::as_array).into_iter().flatten();
        mounts.filter_map(|mount| {
            let text = |name: &str| mount.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let kind = text("Type").filter(|kind| matches!(*kind, "volume" | "bind"))?;
            let source = text("Name").filter(|_| kind == "volume").or_else(|| text("Source"))?;
            let writable = mount.get("RW") != Some(&Value::Bool(false));
            Some(Mount { kind, source, place: Path::new(text("Destination")?), writable })
        })
    }

    /// Where its port is reached from here: published, at the container's own address, or through `docker exec` where the
    /// daemon is elsewhere.
    pub(crate) async fn reach(&self, port: u16) -> Option<(IpAddr, u16)> {
        let found = self.reached(port).await;
        if found.is_some() || self.docker.remote().is_none() || self.rests() {
            return found;
        }
        let tunnel = self.tunnel.get_or_try_init(|| Tunnel::open(&self.docker, &self.id, port)).await.ok()?;
        Some((Ipv4Addr::LOCALHOST.into(), tunnel.port()))
    }

    async fn reached(&self, port: u16) -> Option<(IpAddr, u16)> {
        let bindings = self.facts.pointer(&format!("/NetworkSettings/Ports/{port}~1tcp"));
        let bindings = bindings.and_then(Value::as_array).into_iter().flatten();
        for binding in bindings {
            let text = |name: &str| binding.get(name).and_then(Value::as_str).unwrap_or_default();
            let address: IpAddr = text("HostIp").parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            // What a remote machine publishes on its own loopback is for itself.
            let address = match address {
                address if address.is_unspecified() => self.docker.address().await,
                address if address.is_loopback() && self.docker.remote().is_some() => None,
                address => Some(address),
            };
            if let (Some(address), Ok(port)) = (address, text("HostPort").parse()) {
                return Some((address, port));
            }
        }
        if self.facts.pointer("/HostConfig/NetworkMode").and_then(Value::as_str) == Some("host") {
            return Some((self.docker.address().await?, port));
        }
        // A bridge of another machine's leads nowhere from here.
        let networks = self.facts.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
        let networks = networks.filter(|_| self.docker.remote().is_none())?;
        let address = networks.values().find_map(|network| {
            let text = |name: &str| network.get(name).and_then(Value::as_str);
            [text("IPAddress"), text("GlobalIPv6Address")]
                .into_iter()
                .flatten()
                .find_map(|text| text.parse().ok())
        });
        address.map(|address| (address, port))
    }

    /// What docker keeps of the last lines that the container printed, in the order of the times before them.
    pub(super) async fn last_words(&self) -> Result<Vec<String>, String> {
        let words = ["logs", "--timestamps", "--tail", LAST_LINES, self.id.as_str()];
        let said = self.docker.run(&words.map(OsString::from), Input::Nothing).await;
        let said = said.map_err(|failure| failure.sentence().to_owned())?;
        // One that printed too much was cut off, and did not end well.
        if !said.well && said.err.len() < call::MOST_WORDS {
            return Err(said.err.trim().to_owned());
        }
        let mut lines = last_lines(&said.out, usize::MAX);
        lines.extend(last_lines(said.err.as_bytes(), usize::MAX));
        lines.sort();
        Ok(lines)
    }

    async fn data_directory(&self) -> Result<PathBuf> {
        let named = PathBuf::from(self.variable("PGDATA").as_deref().unwrap_or(DATA));
        let said = self.sh("0", scripts::REAL_PATH, &[named.as_os_str().to_owned()], Input::Nothing).await?;
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
        let said = self.sh("0", scripts::OWNER, &[self.data.as_os_str().to_owned()], Input::Nothing).await?;
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
            Request::Look { path: at } => plain(seen(&self.run(scripts::LOOK, &[path(at)]).await?)),
            Request::Read { path: at, limit } | Request::ReadThrough { path: at, limit } => {
                let said = self.run(scripts::READ, &[path(at), (limit + 1).to_string().into()]).await?;
                if u64::try_from(said.out.len()).unwrap_or(u64::MAX) > *limit {
                    return plain(failed(&format!("larger than {limit} bytes")));
                }
                Ok(bytes(said))
            }
            Request::ReadEnd { path: at, limit } => {
                Ok(bytes(self.run(scripts::READ_END, &[path(at), limit.to_string().into()]).await?))
            }
            Request::ReadFrom { path: at, offset, limit } => {
                let words = [path(at), (offset + 1).to_string().into(), limit.to_string().into()];
                Ok(bytes(self.run(scripts::READ_FROM, &words).await?))
            }
            Request::Replace { path: at, mode } => {
                // By a rename: what is mounted there by itself cannot be exchanged.
                if self.is_mounted_alone(at) {
                    return plain(failed(MOUNTED_ALONE));
                }
                let temporary = files::beside(at).map_err(|error| Failure::io("name", at, &error))?;
                let words = [
                    path(at),
                    path(&temporary),
                    format!("{mode:o}").into(),
                    payload.len().to_string().into(),
                ];
                let said = self.feed(scripts::REPLACE, &words, Input::Confirmed(payload)).await?;
                plain(done(&said))
            }
            Request::MakeFolder { path: at, mode } => {
                plain(done(&self.run(scripts::MAKE_FOLDER, &[path(at), format!("{mode:o}").into()]).await?))
            }
            Request::Remove { path: at } => plain(done(&self.run(scripts::REMOVE, &[path(at)]).await?)),
            Request::RemoveFolder { path: at } => {
                plain(done(&self.run(scripts::REMOVE_FOLDER, &[path(at)]).await?))
            }
            Request::MayWrite { path: at } => plain(done(&self.run(scripts::MAY_WRITE, &[path(at)]).await?)),
            Request::List { folder } => plain(names(&self.run(scripts::LIST, &[path(folder)]).await?)),
            Request::FindServer { data } => plain(Reply::Server(self.server(data).await?)),
            Request::ReloadServer { data } => plain(self.reload(data).await?),
            _ => plain(failed("this cannot be done in a container")),
        }
    }

    async fn server(&self, data: &Path) -> Result<Found> {
        // A number that a server left there means another process in the other container.
        if self.rests() {
            return Ok(Found::Nothing);
        }
        let said = self.run(scripts::FIND_SERVER, &[data.as_os_str().to_owned()]).await?;
        Ok(found(&said, self.user.uid, &self.data))
    }

    /// SIGHUP to the server, which is looked at once more by the shell that sends it.
    async fn reload(&self, data: &Path) -> Result<Reply> {
        Ok(match self.server(data).await? {
            Found::Running(server) => {
                let words = [
                    server.pid.to_string().into(),
                    self.user.uid.to_string().into(),
                    self.data.as_os_str().to_owned(),
                ];
                let said = self.run(scripts::RELOAD, &words).await?;
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

    /// A script in the name of the server's user.
    async fn run(&self, script: &str, words: &[OsString]) -> Result<Said> {
        self.feed(script, words, Input::Nothing).await
    }

    async fn feed(&self, script: &str, words: &[OsString], input: Input<'_>) -> Result<Said> {
        let user = format!("{}:{}", self.user.uid, self.user.gid);
        self.sh(&user, script, words, input).await
    }

    async fn sh(&self, user: &str, script: &str, words: &[OsString], input: Input<'_>) -> Result<Said> {
        let mut all: Vec<OsString> =
            ["exec", "--interactive", "--user", user, "--env", "LC_ALL=C"].map(OsString::from).to_vec();
        all.extend([self.workplace.as_str(), "sh", "-c", script, "sh"].map(OsString::from));
        all.extend(words.iter().cloned());
        self.docker.run(&all, input).await
    }
}

/// Its id, and what docker knows of it.
pub(super) async fn inspect(docker: &Docker, name: &str) -> Result<(String, Value)> {
    let words = ["inspect", "--type", "container", name];
    let said = docker.run(&words.map(OsString::from), Input::Nothing).await?;
    let facts = serde_json::from_slice::<Value>(&said.out).unwrap_or(Value::Null);
    let Some(facts) = facts.get(0).cloned().filter(|_| said.well) else {
        let why = said.err.trim();
        return Err(if knows_none(&said) {
            Failure::new(format!("docker knows no container {name}: {why}")).hint("docker ps --all")
        } else {
            Failure::new(format!("docker could not be asked for container {name}: {why}"))
                .because("nothing was changed")
                .hint("docker ps")
        });
    };
    let id = facts.pointer("/Id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::new(format!("docker gave no id for container {name}")));
    }
    Ok((id, facts))
}

/// Nothing can be run in one that is stopped, paused or on its way.
fn must_run(name: &str, facts: &Value) -> Result<()> {
    let is = |what: &str| facts.pointer(&format!("/State/{what}")) == Some(&Value::Bool(true));
    let status = facts.pointer("/State/Status").and_then(Value::as_str).unwrap_or("in no known state");
    let way = match (is("Running"), is("Paused"), is("Restarting")) {
        (true, false, false) => return Ok(()),
        (_, true, _) => format!("docker unpause {name}"),
        (_, _, true) => format!("docker logs {name}"),
        _ => format!("docker start {name}"),
    };
    Err(Failure::new(format!("container {name} does not run (it is {status})"))
        .because("nothing was changed")
        .hint(way))
}

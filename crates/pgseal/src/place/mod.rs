//! Where a server lives: its data directory on this machine, the user it runs as, and the way in from
//! inside. Everything of that user's is touched through a delegate.

mod answers;
pub(crate) mod call;
pub(crate) mod cluster;
mod configuration;
mod container;
pub(crate) mod docker;
pub(crate) mod exited;
mod hands;
mod inside;
mod linked;
pub(crate) mod log;
mod open;
mod scripts;
mod service;
mod sleeper;
pub(crate) mod tunnel;
mod write;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pgseal_conf::ByteString;

use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::faults;
use crate::folder::lock::Lock;
use crate::journal::Journal;
use crate::privilege::files::{Kind, Status};
use crate::server::process::{Found, RunningServer, StopOutcome};

use container::Container;
use hands::Hands;
pub(crate) use inside::{Login, careful_session};
pub(crate) use service::ServiceFacts;

/// The longest that a delegate of an ended command is waited for, in seconds: a disk may be slow to let it go.
const ALONE_WITHIN: u64 = 30;

/// Where `pgseal up --engine compose` puts key and certificate, in a volume of their own.
pub(crate) const UP_TLS: &str = "/tls";

/// How a server's files are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A data directory and nothing more (initdb, PGDG on RHEL).
    Plain,
    /// A cluster of Debian's postgresql-common: configuration under /etc/postgresql.
    Cluster { version: String, name: String },
    /// A folder made by `pgseal up`.
    Folder,
    /// In a container of docker's, by its name.
    Container(String),
    /// In the container of a compose service.
    Composed(Way),
}

/// How a compose service is come by: its container may be another one tomorrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The compose file.
    pub(crate) file: PathBuf,
    pub(crate) service: String,
    /// The folder, where `pgseal up` made it.
    pub(crate) folder: Option<PathBuf>,
    /// What the project says of it, where it was read.
    pub(crate) said: Option<Rc<ServiceFacts>>,
}

/// A server on this machine.
pub(crate) struct Place {
    /// As the person called it.
    pub(crate) word: String,
    /// The data directory, links resolved.
    pub(crate) data: PathBuf,
    pub(crate) layout: Layout,
    /// What touches it, in its user's name.
    pub(crate) hands: Hands,
    /// The words of its next start, where they are not those of the last one.
    pub(crate) start: Option<Vec<String>>,
    /// Program and arguments of the last start, until the server is looked for again: it may have been started anew.
    last_start: Option<Vec<ByteString>>,
    /// Folders of root's in which root may write what the server's settings lead to.
    roots: Vec<PathBuf>,
}

impl Place {
    /// The server that runs on the data directory; a stranger's process is an error, and is left alone.
    pub(crate) async fn server(&mut self) -> Result<Option<RunningServer>> {
        self.last_start = None;
        match self.hands.ask(&Request::FindServer { data: self.data.clone() }, &[]).await?.0 {
            Reply::Server(Found::Nothing) => Ok(None),
            Reply::Server(Found::Running(server)) => Ok(Some(server)),
            Reply::Server(Found::Stranger { pid, why }) => Err(self.stranger(pid, &why)),
            other => Err(self.hands.unexpected("look for the server of", &self.data, &other)),
        }
    }

    /// The same, where one has to run.
    pub(crate) async fn running(&mut self) -> Result<RunningServer> {
        match self.server().await? {
            Some(server) if server.ready => Ok(server),
            Some(server) => Err(Failure::new(format!(
                "the server of {} (pid {}) lets nobody in yet",
                self.data.display(),
                server.pid
            ))
            .hint("wait until it has started, then again")),
            None => Err(Failure::new(format!("no server runs on {}", self.data.display()))
                .hint(format!("start it the way it is always started ({}), then again", self.start_words()))),
        }
    }

    /// Waits for the delegates of commands that have ended.
    pub(crate) async fn alone(&mut self) -> Result<()> {
        if matches!(self.hands, Hands::Within(_)) {
            return Ok(());
        }
        let request = Request::BeAlone { data: self.data.clone(), seconds: ALONE_WITHIN };
        match self.hands.ask(&request, &[]).await?.0 {
            Reply::Done => Ok(()),
            other => Err(self.hands.unexpected("work alone on", &self.data, &other)),
        }
    }

    /// The system identifier, the first eight bytes of pg_control (pg_control.h).
    pub(crate) async fn identifier(&mut self) -> Result<u64> {
        let path = self.data.join("global/pg_control");
        let bytes = self.hands.read(&path, 64 << 10).await?;
        let first = bytes.get(..8).and_then(|first| <[u8; 8]>::try_from(first).ok());
        first
            .map(u64::from_ne_bytes)
            .ok_or_else(|| Failure::new(format!("{} is too short to be one", path.display())))
    }

    /// One command at a time: on the data directory itself, or for a container on its journal. And none before
    /// what an earlier one had in hand has ended: a delegate may outlive for a moment whom it works for.
    pub(crate) async fn lock(&mut self) -> Result<Lock> {
        let lock = match &self.hands {
            Hands::Here(_) => Lock::take_resolved(&self.data)?,
            Hands::Within(_) => {
                let identifier = self.identifier().await?;
                Lock::take(Journal::open(identifier, &self.key())?.folder())?
            }
        };
        self.alone().await?;
        Ok(lock)
    }

    /// SIGHUP to this very server.
    pub(crate) async fn reload(&mut self) -> Result<()> {
        faults::step("before the reload");
        let outcome = self.hang_up().await;
        faults::step("after the reload");
        outcome
    }

    async fn hang_up(&mut self) -> Result<()> {
        self.last_start = None;
        match self.hands.ask(&Request::ReloadServer { data: self.data.clone() }, &[]).await?.0 {
            Reply::Reloaded(StopOutcome::Stopped { .. }) => Ok(()),
            Reply::Reloaded(StopOutcome::Stranger { pid, why }) => Err(self.stranger(pid, &why)),
            Reply::Reloaded(_) => Err(Failure::new(format!("no server runs on {}", self.data.display()))),
            other => Err(self.hands.unexpected("reload the server of", &self.data, &other)),
        }
    }

    /// The folder for key and certificate: outside the data directory, which base backups copy, and
    /// outside whatever bears a version, which an upgrade leaves behind.
    pub(crate) async fn tls_folder(&mut self) -> Result<PathBuf> {
        if let Layout::Composed(Way { folder: Some(_), .. }) = &self.layout {
            return Ok(PathBuf::from(UP_TLS));
        }
        let parent = self.data.parent().unwrap_or(Path::new("/")).to_owned();
        let (base, name) = match &self.layout {
            Layout::Cluster { version, name } => {
                let home = self.hands.user().home.clone();
                (home, format!("tls-{version}-{name}"))
            }
            Layout::Plain | Layout::Folder | Layout::Container(_) | Layout::Composed(_) => {
                let name = self.data.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (parent, format!("{name}-tls"))
            }
        };
        let folder = base.join(name);
        if let Hands::Within(container) = &self.hands
            && !container.outlives(&folder)
        {
            return Ok(self.data.join("tls"));
        }
        if self.is_safe(&base, &folder).await? {
            Ok(folder)
        } else {
            // Where others could put or swap one, the data directory is the one place that is the server's alone.
            Ok(self.data.join("tls"))
        }
    }

    /// Whether a folder is the server's own, or can be made where nobody else could swap it.
    async fn is_safe(&mut self, base: &Path, folder: &Path) -> Result<bool> {
        let uid = self.hands.user().uid;
        let owned = |found: &Status| found.uid == uid || found.uid == 0;
        let closed = |found: &Status| found.mode & 0o022 == 0;
        let Some((_, above)) = self.hands.look(base).await? else { return Ok(false) };
        if !owned(&above) || !(closed(&above) || above.mode & 0o1000 != 0) {
            return Ok(false);
        }
        if let Some((real, found)) = self.hands.look(folder).await? {
            return Ok(real == folder && found.kind == Kind::Directory && found.uid == uid && closed(&found));
        }
        let may = Request::MayWrite { path: base.to_owned() };
        Ok(matches!(self.hands.ask(&may, &[]).await?.0, Reply::Done))
    }

    /// Where it is reached from here, for one that lives in a network of its own.
    pub(crate) async fn reach(&self, server: &RunningServer) -> Option<(IpAddr, u16)> {
        match &self.hands {
            Hands::Here(_) => None,
            Hands::Within(container) => container.reach(server.port).await,
        }
    }

    /// Names that clients in its own network know it by.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.hands {
            Hands::Here(_) => Vec::new(),
            Hands::Within(container) => container.names(),
        }
    }

    /// The image of its container.
    pub(crate) fn image(&self) -> Option<&str> {
        match &self.hands {
            Hands::Here(_) => None,
            Hands::Within(container) => container.image(),
        }
    }

    /// Its container, where it has one.
    pub(crate) fn container(&self) -> Option<&Container> {
        match &self.hands {
            Hands::Here(_) => None,
            Hands::Within(container) => Some(container),
        }
    }

    /// Whether it lies in a container that does not run.
    pub(crate) fn rests(&self) -> bool {
        self.container().is_some_and(Container::rests)
    }

    /// How its compose service is come by.
    pub(crate) const fn way(&self) -> Option<&Way> {
        match &self.layout {
            Layout::Composed(way) => Some(way),
            _ => None,
        }
    }

    /// A variable that its container was made with.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        match &self.hands {
            Hands::Here(_) => None,
            Hands::Within(container) => container.variable(name),
        }
    }

    /// What the journal and its lock know it by: two containers may have data at the same path.
    pub(crate) fn key(&self) -> PathBuf {
        match &self.hands {
            Hands::Here(_) => self.data.clone(),
            Hands::Within(container) => container.key(),
        }
    }

    /// A word that leads here from any folder.
    pub(crate) fn address(&self) -> String {
        match &self.layout {
            Layout::Cluster { version, name } => format!("cluster:{version}/{name}"),
            Layout::Container(name) => match &self.hands {
                // A name may be given to another meanwhile.
                Hands::Within(container) => format!("container:{}", container.id()),
                Hands::Here(_) => format!("container:{name}"),
            },
            Layout::Composed(Way { folder: Some(folder), .. }) => format!("dir:{}", folder.display()),
            Layout::Composed(Way { file, service, .. }) => format!("compose:{}#{service}", file.display()),
            Layout::Plain | Layout::Folder => format!("dir:{}", self.data.display()),
        }
    }

    /// The folder that `pgseal up` made for it.
    pub(crate) fn made_folder(&self) -> Option<&Path> {
        match &self.layout {
            Layout::Folder => self.data.parent(),
            Layout::Composed(way) => way.folder.as_deref(),
            _ => None,
        }
    }

    /// The same, where a container is called by its name: the next one of that name has another id.
    pub(crate) fn lasting_address(&self) -> String {
        match &self.layout {
            Layout::Container(name) => format!("container:{name}"),
            _ => self.address(),
        }
    }

    /// How such a server is started, for a hint.
    fn start_words(&self) -> String {
        match &self.layout {
            Layout::Cluster { version, name } => format!("pg_ctlcluster {version} {name} start"),
            Layout::Plain => format!("pg_ctl -D {} start", self.data.display()),
            Layout::Folder => format!("pgseal up {}", self.word),
            Layout::Container(name) => format!("docker start {name}"),
            Layout::Composed(Way { folder: Some(folder), .. }) => format!("pgseal up {}", folder.display()),
            Layout::Composed(Way { file, service, .. }) => {
                format!("docker compose -f {} up -d {service}", file.display())
            }
        }
    }

    /// What tells how much room its data has left.
    fn room_words(&self) -> String {
        let data = self.data.display();
        match self.container().and_then(|container| container.names().into_iter().next()) {
            Some(name) => format!("docker exec {name} df -h {data}"),
            None => format!("df -h {data}"),
        }
    }

    fn stranger(&self, pid: i64, why: &str) -> Failure {
        let file = self.data.join("postmaster.pid");
        Failure::new(format!("{} names process {pid}, which is not this server", file.display()))
            .because(why.to_owned())
            .because("no process was signalled, and nothing was changed")
            .hint(format!("if no server runs on {}, remove {}", self.data.display(), file.display()))
    }
}

//! The delegate: this program again, in the server user's name, for as long as one command lasts.
//!
//! It starts with a clean environment, becomes the user (uid, gid, supplementary groups) before it
//! looks at anything, can gain no privileges, has a session of its own and a umask of 077. Ordinary
//! users have one too, as themselves: one way of doing things, and one that can be interrupted.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, Command};
use zeroize::Zeroizing;

use super::message::{self, Become, Reply, Request, Trouble};
use crate::failure::{Failure, Result};
use crate::faults;
use crate::privilege::user::SystemUser;

/// The first argument that makes this program a delegate. Not for people: it does nothing that its
/// caller could not do.
pub(crate) const ARGUMENT: &str = "--as-delegate";

/// Variables that a server's locale and clock depend on; nothing else is handed down.
const HANDED_DOWN: [&str; 10] = [
    "LANG",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NUMERIC",
    "LC_TIME",
    "LANGUAGE",
    "TZ",
];

/// How often one that was ended by a signal before it could greet is started again.
const TRIES: u32 = 10;

/// A delegate that never came to be.
struct Stillborn {
    error: io::Error,
    by_signal: bool,
}

impl From<io::Error> for Stillborn {
    fn from(error: io::Error) -> Self {
        Self { error, by_signal: false }
    }
}

pub(crate) struct Delegate {
    child: Child,
    input: ChildStdin,
    /// A socket, so that open files can come through it.
    output: UnixStream,
    user: SystemUser,
}

impl Delegate {
    /// Starts one. As an ordinary user only for oneself.
    ///
    /// Until it has a session of its own, Ctrl-C in our terminal ends it, too. That is no reason to fail: who
    /// was interrupted has to clean up, and that takes a delegate.
    pub(crate) async fn start(user: &SystemUser) -> Result<Self> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match Self::start_once(user).await {
                Ok(delegate) => return Ok(delegate),
                Err(Stillborn { by_signal: true, .. }) if tries > 0 => {}
                Err(Stillborn { error, .. }) => {
                    return Err(Failure::new(format!(
                        "could not start a process as user {}: {error}",
                        user.name
                    )));
                }
            }
        }
    }

    async fn start_once(user: &SystemUser) -> std::result::Result<Self, Stillborn> {
        let (output, theirs) = std::os::unix::net::UnixStream::pair().map_err(Stillborn::from)?;
        output.set_nonblocking(true).map_err(Stillborn::from)?;
        let mut command = Command::new(own_program());
        command
            .arg(ARGUMENT)
            .env_clear()
            .envs(environment(user))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(Stillborn::from)?;
        // The command holds the other end's only copy here, and would keep it open.
        drop(command);
        let Some(input) = child.stdin.take() else {
            return Err(io::Error::other("it came without its pipe").into());
        };
        let output = UnixStream::from_std(output).map_err(Stillborn::from)?;
        let mut delegate = Self { child, input, output, user: user.clone() };
        match delegate.greet().await {
            Ok(()) => Ok(delegate),
            // The pipe was closed, before it was greeted or after: it ended, and how is known in a moment.
            Err(error) if error.raw_os_error().is_some() && error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error.into())
            }
            Err(error) => {
                let ended = delegate.child.wait().await;
                Err(Stillborn { error, by_signal: ended.is_ok_and(|status| status.signal().is_some()) })
            }
        }
    }

    async fn greet(&mut self) -> io::Result<()> {
        let SystemUser { uid, gid, groups, .. } = self.user.clone();
        self.send(&Become { uid, gid, groups }, &[]).await?;
        match self.receive().await?.0 {
            Reply::Done => Ok(()),
            Reply::Failed(trouble) => Err(trouble.to_error()),
            other => Err(io::Error::other(format!("it greeted with {other:?}"))),
        }
    }

    pub(crate) const fn user(&self) -> &SystemUser {
        &self.user
    }

    /// Asks for one thing; the answer comes with its payload.
    pub(crate) async fn ask(
        &mut self,
        request: &Request,
        payload: &[u8],
    ) -> Result<(Reply, Zeroizing<Vec<u8>>)> {
        let limit = request.patience();
        let conversation = async {
            self.send(request, payload).await?;
            self.receive().await
        };
        let Ok(answer) = tokio::time::timeout(limit, conversation).await else {
            // Its user can stop it (SIGSTOP), and nobody is to wait for that.
            return Err(Failure::new(format!(
                "the process that works as user {} gave no answer within {} s",
                self.user.name,
                limit.as_secs()
            )));
        };
        answer.map_err(|error| {
            faults::delegate_ended();
            Failure::new(format!("the process that works as user {} ended: {error}", self.user.name))
        })
    }

    /// Whether the user may pass through the folder.
    pub(crate) async fn reach(&mut self, folder: &Path) -> Result<std::result::Result<(), Trouble>> {
        let request = Request::Reach { folder: folder.to_owned() };
        match self.ask(&request, &[]).await?.0 {
            Reply::Reached(outcome) => Ok(outcome),
            other => Err(self.unexpected("reach", folder, &other)),
        }
    }

    pub(crate) async fn read(&mut self, path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>> {
        let request = Request::Read { path: path.to_owned(), limit };
        match self.ask(&request, &[]).await? {
            (Reply::Bytes, bytes) => Ok(bytes),
            (other, _) => Err(self.unexpected("read", path, &other)),
        }
    }

    pub(crate) async fn create(&mut self, path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
        let request = Request::Create { path: path.to_owned(), mode };
        let reply = self.ask(&request, bytes).await?.0;
        self.done("write", path, &reply)
    }

    pub(crate) async fn replace(&mut self, path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
        let request = Request::Replace { path: path.to_owned(), mode };
        let reply = self.ask(&request, bytes).await?.0;
        self.done("replace", path, &reply)
    }

    pub(crate) async fn empty(&mut self, folder: &Path) -> Result<()> {
        let request = Request::Empty { folder: folder.to_owned() };
        let reply = self.ask(&request, &[]).await?.0;
        self.done("empty", folder, &reply)
    }

    /// A connection to a Unix socket, opened in the user's name; `Err` inside is the system's refusal.
    pub(crate) async fn connect(
        &mut self,
        path: &Path,
    ) -> Result<std::result::Result<StdUnixStream, Trouble>> {
        match self.ask(&Request::Connect { path: path.to_owned() }, &[]).await?.0 {
            Reply::Connected => {}
            Reply::Failed(trouble) => return Ok(Err(trouble)),
            other => return Err(self.unexpected("connect to", path, &other)),
        }
        let handed = self.output.async_io(Interest::READABLE, || receive_socket(&self.output)).await;
        handed.map(Ok).map_err(|error| {
            Failure::new(format!("no socket came from the process of user {}: {error}", self.user.name))
        })
    }

    fn done(&self, verb: &str, path: &Path, reply: &Reply) -> Result<()> {
        match reply {
            Reply::Done => Ok(()),
            other => Err(self.unexpected(verb, path, other)),
        }
    }

    /// The sentence for an answer that is not the one hoped for.
    pub(crate) fn unexpected(&self, verb: &str, path: &Path, reply: &Reply) -> Failure {
        match reply {
            Reply::Failed(trouble) => Failure::new(format!(
                "could not {verb} {} as user {}: {}",
                path.display(),
                self.user.name,
                trouble.to_error()
            )),
            other => {
                Failure::new(format!("could not {verb} {}: the delegate answered {other:?}", path.display()))
            }
        }
    }

    async fn send<T: serde::Serialize>(&mut self, message: &T, payload: &[u8]) -> io::Result<()> {
        let frame = message::encode(message, payload)?;
        self.input.write_all(&frame).await?;
        self.input.flush().await
    }

    async fn receive(&mut self) -> io::Result<(Reply, Zeroizing<Vec<u8>>)> {
        let mut head = [0_u8; 8];
        self.output.read_exact(&mut head).await?;
        let (json, payload) = message::lengths(head)?;
        let mut text = vec![0_u8; json];
        self.output.read_exact(&mut text).await?;
        let mut bytes = Zeroizing::new(vec![0_u8; payload]);
        self.output.read_exact(&mut bytes).await?;
        Ok((message::decode(&text)?, bytes))
    }
}

/// The byte that carries a socket (unix(7), SCM_RIGHTS).
fn receive_socket(from: &UnixStream) -> io::Result<StdUnixStream> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0_u8; 1];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(from, &mut [io::IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let rights = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut open) => open.next(),
        _ => None,
    });
    rights.map(StdUnixStream::from).ok_or_else(|| io::Error::other("a message without a socket"))
}

impl Drop for Delegate {
    /// An interrupted command takes down what its delegate runs (initdb, say), not the server: that
    /// has a process group of its own.
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // The child is not yet reaped, so the number is still its own.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// This very program, also when its file has been replaced meanwhile.
fn own_program() -> PathBuf {
    let linux = Path::new("/proc/self/exe");
    if linux.exists() {
        return linux.to_owned();
    }
    std::env::current_exe().unwrap_or_else(|_| linux.to_owned())
}

fn environment(user: &SystemUser) -> Vec<(OsString, OsString)> {
    let names = HANDED_DOWN.iter().chain(&faults::HANDED_DOWN);
    let mut variables: Vec<(OsString, OsString)> =
        names.filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?))).collect();
    variables.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
    variables.push(("HOME".into(), user.home.clone().into()));
    variables.push(("USER".into(), user.name.clone().into()));
    variables
}

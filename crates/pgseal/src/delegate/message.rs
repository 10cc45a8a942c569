//! What this program and its delegate say to each other: frames of JSON, each with a raw payload.
//!
//! Secrets travel in the payload, over a pipe, and nowhere else.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::privilege::files::Status;
use crate::server::process::{Found, Started, StopOutcome};

/// The most that one frame may carry, in bytes.
pub(crate) const FRAME_LIMIT: usize = 16 << 20;

/// Who the delegate is to become, before anything else happens.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Become {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// One thing to do in the server user's name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// May this user pass through the folder?
    Reach {
        folder: PathBuf,
    },
    Read {
        path: PathBuf,
        limit: u64,
    },
    /// The same through links, as the server itself reads its configuration.
    ReadThrough {
        path: PathBuf,
        limit: u64,
    },
    /// A new file holding the payload.
    Create {
        path: PathBuf,
        mode: u32,
    },
    /// The payload in the place of what is there.
    Replace {
        path: PathBuf,
        mode: u32,
    },
    /// The names in a folder.
    List {
        folder: PathBuf,
    },
    /// Everything inside the folder; the folder stays.
    Empty {
        folder: PathBuf,
    },
    /// Can a server of this user listen here? Port 0 takes a free one.
    TryListen {
        addresses: Vec<SocketAddr>,
    },
    /// A program run to its end with the payload on its standard input.
    Run {
        program: PathBuf,
        arguments: Vec<String>,
        folder: PathBuf,
    },
    /// A server started apart from this process, watched until it is ready or gone.
    StartServer {
        program: PathBuf,
        data: PathBuf,
        log: PathBuf,
        seconds: u64,
    },
    FindServer {
        data: PathBuf,
    },
    /// A signal to the server that runs on this data directory, and to nobody else.
    StopServer {
        data: PathBuf,
        seconds: u64,
    },
    /// SIGHUP to the server that runs on this data directory, and to nobody else.
    ReloadServer {
        data: PathBuf,
    },
    /// What lies at a path, links followed.
    Look {
        path: PathBuf,
    },
    /// May this user write here?
    MayWrite {
        path: PathBuf,
    },
    MakeFolder {
        path: PathBuf,
        mode: u32,
    },
    Remove {
        path: PathBuf,
    },
    /// An empty folder.
    RemoveFolder {
        path: PathBuf,
    },
    /// A connection to a server's Unix socket, which follows the answer.
    Connect {
        path: PathBuf,
    },
    /// The end of a file that may be long.
    ReadEnd {
        path: PathBuf,
        limit: u64,
    },
    /// A file that may be long and grows, from a byte on.
    ReadFrom {
        path: PathBuf,
        offset: u64,
        limit: u64,
    },
    /// Holds a lock on the data directory's PG_VERSION as long as the delegate lives, once no other one does.
    BeAlone {
        data: PathBuf,
        seconds: u64,
    },
    /// Until no program of PostgreSQL that this user runs works in the data directory.
    WaitUntilLeft {
        data: PathBuf,
        seconds: u64,
    },
}

impl Request {
    /// How long the answer may take. A disk may be slow; initdb writes 40 MB and syncs them.
    pub(crate) fn patience(&self) -> Duration {
        const FOR_A_DISK: u64 = 120;
        Duration::from_secs(match self {
            Self::Run { .. } => 5 * FOR_A_DISK,
            Self::StartServer { seconds, .. }
            | Self::StopServer { seconds, .. }
            | Self::BeAlone { seconds, .. }
            | Self::WaitUntilLeft { seconds, .. } => seconds + FOR_A_DISK,
            _ => FOR_A_DISK,
        })
    }
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Reached(Result<(), Trouble>),
    /// The payload holds the bytes.
    Bytes,
    /// Names, and whether each is a folder (links followed).
    Names(Vec<(Vec<u8>, bool)>),
    /// The port on which each address can be listened on.
    Listened(Vec<Result<u16, Trouble>>),
    /// The payload holds the end of what was printed.
    Ran {
        success: bool,
        ending: String,
    },
    Started(Started),
    Server(Found),
    Stopped(StopOutcome),
    /// What lies there: where links lead, and its kind, owner and mode.
    Seen(Option<(PathBuf, Status)>),
    /// One byte follows, and with it the socket.
    Connected,
    /// The process that was asked to reload.
    Reloaded(StopOutcome),
    /// Who still works there, as `initdb (pid 4242)`.
    AtWork(Option<String>),
    Failed(Trouble),
}

/// An error of the operating system, as far as it can cross a pipe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// `errno`, where there is one.
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self { code: error.raw_os_error(), text: error.to_string() }
    }
}

impl Trouble {
    /// The error it was.
    pub(crate) fn to_error(&self) -> io::Error {
        self.code.map_or_else(|| io::Error::other(self.text.clone()), io::Error::from_raw_os_error)
    }
}

/// Writes one frame: lengths, JSON, payload.
pub(crate) fn encode<T: Serialize>(message: &T, payload: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let json = serde_json::to_vec(message)?;
    if json.len() > FRAME_LIMIT || payload.len() > FRAME_LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a message larger than 16 MiB"));
    }
    let mut frame = Zeroizing::new(Vec::with_capacity(8 + json.len() + payload.len()));
    for length in [json.len(), payload.len()] {
        frame.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
    frame.extend_from_slice(&json);
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// The two lengths at the start of a frame; anything above the limit is refused.
pub(crate) fn lengths(head: [u8; 8]) -> io::Result<(usize, usize)> {
    // Both halves of eight bytes: big-endian lengths, JSON first.
    let both = u64::from_be_bytes(head);
    let json = usize::try_from(both >> 32).unwrap_or(usize::MAX);
    let payload = usize::try_from(both & u64::from(u32::MAX)).unwrap_or(usize::MAX);
    if json > FRAME_LIMIT || payload > FRAME_LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message larger than 16 MiB"));
    }
    Ok((json, payload))
}

pub(crate) fn decode<T: for<'a> Deserialize<'a>>(json: &[u8]) -> io::Result<T> {
    serde_json::from_slice(json).map_err(io::Error::from)
}

/// Reads one frame; `None` at the end of the stream.
pub(crate) fn receive<T: for<'a> Deserialize<'a>>(
    from: &mut impl Read,
) -> io::Result<Option<(T, Zeroizing<Vec<u8>>)>> {
    let mut head = [0_u8; 8];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (json, payload) = lengths(head)?;
    let mut text = vec![0_u8; json];
    from.read_exact(&mut text)?;
    let mut bytes = Zeroizing::new(vec![0_u8; payload]);
    from.read_exact(&mut bytes)?;
    Ok(Some((decode(&text)?, bytes)))
}

pub(crate) fn send<T: Serialize>(to: &mut impl Write, message: &T, payload: &[u8]) -> io::Result<()> {
    to.write_all(&encode(message, payload)?)?;
    to.flush()
}

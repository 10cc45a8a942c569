//! What is known of the server process of a data directory. Plain values, which cross a pipe.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What came of a start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Started {
    Ready {
        pid: i32,
    },
    /// It ended by itself; the payload holds the end of what it said.
    Gone {
        ending: String,
    },
    TooLate {
        pid: i32,
    },
}

/// What runs on a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Found {
    /// No `postmaster.pid`, or one left by a server that is gone.
    Nothing,
    /// The server of this directory.
    Running(RunningServer),
    /// `postmaster.pid` names something that is not this directory's server.
    Stranger { pid: i64, why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningServer {
    pub(crate) pid: i32,
    /// Seconds since 1970, from `postmaster.pid`.
    pub(crate) started: i64,
    pub(crate) port: u16,
    /// The first of its Unix socket folders; `None` when it has none.
    pub(crate) socket_folder: Option<PathBuf>,
    pub(crate) ready: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum StopOutcome {
    /// The signal was sent, and where an end was waited for, it came.
    Stopped {
        pid: i32,
    },
    NothingRan,
    Stranger {
        pid: i64,
        why: String,
    },
    TooLate {
        pid: i32,
    },
}

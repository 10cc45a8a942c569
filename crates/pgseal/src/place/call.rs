//! A program of docker's, run to its end: fed, bounded, with a deadline. Knows nothing of what it is asked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// What one command may print, in bytes.
const MOST: u64 = 32 << 20;
/// What one command may say on its other pipe, in bytes.
pub(super) const MOST_WORDS: usize = 64 << 10;
/// What a script prints when all bytes have come, and what it waits for before it goes on.
const WHOLE: &[u8] = b"whole\n";
const GO: &[u8] = b"go\n";

/// What a command printed, and whether it ended well.
pub(crate) struct Said {
    pub(crate) well: bool,
    pub(crate) out: Zeroizing<Vec<u8>>,
    pub(crate) err: String,
}

/// What goes in.
#[derive(Clone, Copy)]
pub(crate) enum Input<'i> {
    Nothing,
    /// Bytes to the end.
    Whole(&'i [u8]),
    /// Bytes, and a word behind them once the script says that it has them all: whoever dies before has
    /// changed nothing.
    Confirmed(&'i [u8]),
}

/// One run of a program.
pub(crate) struct Call<'c> {
    pub(crate) program: &'c Path,
    pub(crate) words: &'c [OsString],
    pub(crate) input: Input<'c>,
    pub(crate) patience: Duration,
    /// Where it works; `None`: where we do.
    pub(crate) folder: Option<PathBuf>,
    /// Beginnings of the names of variables that it is not to have.
    pub(crate) without: &'c [&'c str],
    /// Variables that it gets beside the others.
    pub(crate) with: &'c [(&'c str, &'c str)],
}

impl Call<'_> {
    pub(crate) async fn run(self) -> Result<Said> {
        let failed = |error: std::io::Error| Failure::io("run", self.program, &error);
        let mut child = self.command().spawn().map_err(failed)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::new("docker's client came without its pipes"));
        };
        let (mut out, mut err) = (Zeroizing::new(Vec::new()), Vec::new());
        let conversation = async {
            let listening = async {
                // Closed with that: what is cut off does not wait for a reader for ever.
                stderr.take(MOST_WORDS as u64).read_to_end(&mut err).await
            };
            let (heard, said) = tokio::join!(converse(stdin, stdout, self.input, &mut out), listening);
            heard.and(said)?;
            // One that is cut off would wait for a reader for ever.
            let full = u64::try_from(out.len()).unwrap_or(u64::MAX) >= MOST;
            if full { Ok(None) } else { child.wait().await.map(Some) }
        };
        match tokio::time::timeout(self.patience, conversation).await {
            Ok(Ok(Some(status))) => {
                Ok(Said { well: status.success(), out, err: String::from_utf8_lossy(&err).into_owned() })
            }
            Ok(Ok(None)) => Err(Failure::new(format!("docker printed more than {MOST} bytes"))),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => {
                Err(Failure::new(format!("docker gave no answer within {} s", self.patience.as_secs())))
            }
        }
    }

    /// In a group of its own: Ctrl-C is for us to hear, and must not cut off what takes a change back.
    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(self.words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        for (name, _) in std::env::vars_os() {
            if self.without.iter().any(|start| name.as_encoded_bytes().starts_with(start.as_bytes())) {
                command.env_remove(name);
            }
        }
        command.envs(self.with.iter().copied());
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
    match input {
        Input::Nothing => {}
        Input::Whole(bytes) => {
            // Whoever ends before it has read all says why on the other pipe.
            let feed = async {
                let _ = stdin.write_all(bytes).await;
                drop(stdin);
            };
            let ((), heard) = tokio::join!(feed, stdout.read_to_end(out));
            return heard.map(drop);
        }
        Input::Confirmed(bytes) => {
            let mut line = Vec::new();
            // A script that ends early does not read all of it, and says why on the other pipe.
            let (_, heard) = tokio::join!(stdin.write_all(bytes), stdout.read_until(b'\n', &mut line));
            heard?;
            if line == WHOLE {
                let _ = stdin.write_all(GO).await;
            }
        }
    }
    drop(stdin);
    stdout.read_to_end(out).await.map(drop)
}

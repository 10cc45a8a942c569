//! The server process of a data directory: found, started, stopped. Runs in the delegate, so it can
//! do no more than the server's own user.
//!
//! A pid in a file is only a claim. A process is this directory's server when it belongs to this
//! user, works in this directory and runs PostgreSQL; it is held by a pidfd before it is looked at, so that the
//! signal reaches the process that was looked at and no later one of the same number.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use zeroize::Zeroizing;

use super::pidfile::{self, PidFile};
use super::process::{Found, RunningServer, Started, StopOutcome};
use super::said::ending;
use super::stragglers;
use crate::privilege::files;

/// postmaster.pid has eight short lines.
const PIDFILE_LIMIT: u64 = 8 << 10;
/// The end of a log that is worth showing, in bytes.
const LOG_LIMIT: u64 = 8 << 10;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(4);
/// How long a server may take until it creates postmaster.pid, on a busy machine.
const CREATED_WITHIN: Duration = Duration::from_secs(5);
/// How long a server may take between creating postmaster.pid and writing it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
/// How long the children of a killed postmaster may take to notice it, and its parent to reap it.
const REMAINS_END_WITHIN: Duration = Duration::from_secs(10);

enum Identity {
    Nothing,
    Ours { pid: i32, handle: OwnedFd, file: PidFile },
    Stranger { pid: i64, why: String },
}

/// What runs on the data directory.
pub(crate) fn find(data: &Path) -> io::Result<Found> {
    Ok(match identify(data)? {
        Identity::Nothing => Found::Nothing,
        Identity::Stranger { pid, why } => Found::Stranger { pid, why },
        Identity::Ours { pid, file, .. } => {
            let PidFile { started, port, socket_folder, ready, .. } = file;
            Found::Running(RunningServer { pid, started, port, socket_folder, ready })
        }
    })
}

fn identify(data: &Path) -> io::Result<Identity> {
    let stranger = |pid, why: &str| Ok(Identity::Stranger { pid, why: why.to_owned() });
    let bytes = match read_written(data) {
        Ok(bytes) => bytes,
        // Without its file a server goes on for up to a minute (postmaster.c, ServerLoop).
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match stragglers::anyone_at_work(data) {
                Some(who) => stranger(0, &format!("there is no such file, and yet {who} works there")),
                None => Ok(Identity::Nothing),
            };
        }
        Err(error) => return stranger(0, &format!("it cannot be read: {error}")),
    };
    let Some(file) = pidfile::parse(&String::from_utf8_lossy(&bytes)) else {
        return stranger(0, "it does not begin with a number");
    };
    let pid = match i32::try_from(file.pid) {
        Ok(pid) if pid > 1 => pid,
        _ => return stranger(file.pid, "no server can have that process number"),
    };
    let Some(number) = Pid::from_raw(pid) else {
        return stranger(file.pid, "no server can have that process number");
    };
    let handle = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(Identity::Nothing),
        Err(error) => {
            return stranger(file.pid, &format!("the system does not let it be looked at: {error}"));
        }
    };
    match works_in(pid, data).and_then(|here| Ok((here, program(pid)?))) {
        Ok((true, name)) if name.contains("postgres") || name.contains("postmaster") => {
            Ok(Identity::Ours { pid, handle, file })
        }
        Ok((true, name)) => stranger(file.pid, &format!("that process is no PostgreSQL server but {name}")),
        Ok((false, _)) => stranger(file.pid, "that process works in another directory"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Identity::Nothing),
        Err(error) => stranger(file.pid, &format!("that process is not this user's server: {error}")),
    }
}

/// Reads postmaster.pid. PostgreSQL creates it a moment after it has begun to work in the data directory,
/// and empty (miscinit.c, CreateLockFile): one that is empty, or not there while a postgres is, is looked
/// at again for a while. A server that was killed in between leaves it so for good.
fn read_written(data: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let path = data.join("postmaster.pid");
    let begun = Instant::now();
    loop {
        match files::read(&path, PIDFILE_LIMIT) {
            Ok(bytes) if bytes.is_empty() && begun.elapsed() < WRITTEN_WITHIN => {}
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && begun.elapsed() < CREATED_WITHIN
                    && stragglers::anyone_at_work(data).is_some() => {}
            outcome => return outcome,
        }
        std::thread::sleep(LOOK_AGAIN_AFTER);
    }
}

/// Whether a process of this user has the data directory as its working directory, as every
/// postmaster has (it changes there at start: miscinit.c, ChangeToDataDir).
fn works_in(pid: i32, data: &Path) -> io::Result<bool> {
    let process = format!("/proc/{pid}");
    let owner = fs::metadata(&process)?.uid();
    if owner != rustix::process::getuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it belongs to uid {owner}")));
    }
    let working = fs::metadata(format!("{process}/cwd"))?;
    let data = fs::metadata(data)?;
    Ok((working.dev(), working.ino()) == (data.dev(), data.ino()))
}

/// The file name of the program that a process runs.
fn program(pid: i32) -> io::Result<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe"))?;
    Ok(path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// Starts `postgres -D data` apart from this process and watches it until it lets connections in,
/// ends, or `seconds` have passed. The second value is the end of what it said.
pub(crate) fn start(program: &Path, data: &Path, log: &Path, seconds: u64) -> io::Result<(Started, Vec<u8>)> {
    let mut said = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(log)?;
    let before = said.metadata()?.len();
    wait_for_remains(data);
    let mut child = Command::new(program)
        .arg("-D")
        .arg(data)
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        // Apart from the delegate's group, which is taken down when a command is interrupted.
        .process_group(0)
        .spawn()?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((Started::Gone { ending: ending(status) }, tail(&mut said, before)?));
        }
        if let Ok(Found::Running(server)) = find(data)
            && server.ready
            && server.pid == pid
        {
            return Ok((Started::Ready { pid }, Vec::new()));
        }
        if Instant::now() >= deadline {
            return Ok((Started::TooLate { pid }, tail(&mut said, before)?));
        }
        std::thread::sleep(LOOK_AGAIN_AFTER);
    }
}

/// Waits until nothing is left of a postmaster that was killed. For moments it is a zombie whose number
/// PostgreSQL takes for a living server, and its children hold the shared memory; with either there it
/// refuses to start. What does not end by itself is left to PostgreSQL to complain about.
fn wait_for_remains(data: &Path) {
    let deadline = Instant::now() + REMAINS_END_WITHIN;
    while Instant::now() < deadline && something_remains(data) {
        std::thread::sleep(LOOK_AGAIN_AFTER);
    }
}

/// Always false after an orderly end: that removes postmaster.pid.
fn something_remains(data: &Path) -> bool {
    let Ok(text) = files::read(&data.join("postmaster.pid"), PIDFILE_LIMIT) else {
        return false;
    };
    let named = pidfile::parse(&String::from_utf8_lossy(&text)).and_then(|file| i32::try_from(file.pid).ok());
    named.is_some_and(|pid| is_zombie(pid, data)) || anybody_works_in(data)
}

/// A process of this user that has no working directory any more has ended and was not yet waited for.
fn is_zombie(pid: i32, data: &Path) -> bool {
    let has_none = works_in(pid, data).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    has_none && Path::new(&format!("/proc/{pid}")).exists()
}

fn anybody_works_in(data: &Path) -> bool {
    fs::read_dir("/proc").is_ok_and(|processes| {
        processes
            .flatten()
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .any(|pid| works_in(pid, data).unwrap_or(false))
    })
}

fn tail(log: &mut File, from: u64) -> io::Result<Vec<u8>> {
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(from.max(length.saturating_sub(LOG_LIMIT))))?;
    let mut bytes = Vec::new();
    log.take(LOG_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Has the server of the data directory read its configuration again (SIGHUP).
pub(crate) fn reload(data: &Path) -> io::Result<StopOutcome> {
    match identify(data)? {
        Identity::Nothing => Ok(StopOutcome::NothingRan),
        Identity::Stranger { pid, why } => Ok(StopOutcome::Stranger { pid, why }),
        Identity::Ours { pid, handle, .. } => match pidfd_send_signal(&handle, Signal::HUP) {
            Ok(()) => Ok(StopOutcome::Stopped { pid }),
            Err(rustix::io::Errno::SRCH) => Ok(StopOutcome::NothingRan),
            Err(error) => Err(error.into()),
        },
    }
}

/// Ends the server of the data directory by SIGINT, PostgreSQL's fast shutdown, and waits until it
/// is gone, at most `seconds`.
pub(crate) fn stop(data: &Path, seconds: u64) -> io::Result<StopOutcome> {
    match identify(data)? {
        Identity::Nothing => Ok(StopOutcome::NothingRan),
        Identity::Stranger { pid, why } => Ok(StopOutcome::Stranger { pid, why }),
        Identity::Ours { pid, handle, .. } => {
            match pidfd_send_signal(&handle, Signal::INT) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
            let gone = wait_until_gone(&handle, seconds)?;
            Ok(if gone { StopOutcome::Stopped { pid } } else { StopOutcome::TooLate { pid } })
        }
    }
}

/// A pidfd becomes readable when its process has ended (pidfd_open(2)).
fn wait_until_gone(handle: &OwnedFd, seconds: u64) -> io::Result<bool> {
    let limit = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX), tv_nsec: 0 };
    let mut ends = [PollFd::new(handle, PollFlags::IN)];
    loop {
        match poll(&mut ends, Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

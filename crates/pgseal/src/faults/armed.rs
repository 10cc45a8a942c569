//! The points at which a test may end or fail this program. In `pgseal-faulty` alone, which only tests
//! build; `pgseal` has `quiet.rs`.
//!
//! Every point is a line of the file that `PGSEAL_FAULT_TRACE` names, of this process and of its
//! delegates together: number, kind, name and path. By its number a point can be made to
//!
//! - end the whole run with SIGKILL: `PGSEAL_KILL_AT=17`;
//! - have the system refuse: `PGSEAL_FAULT_AT=17:ENOSPC`, and with `17+:ENOSPC` every change from there on;
//! - wait until a line `go` stands in the trace: `PGSEAL_PAUSE_AT=17`, or at a step by its name.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::report::stderr::say;

#[cfg(not(debug_assertions))]
compile_error!("the hook of the tests has no place in a release");

const TRACE: &str = "PGSEAL_FAULT_TRACE";
const KILL_AT: &str = "PGSEAL_KILL_AT";
const FAULT_AT: &str = "PGSEAL_FAULT_AT";
const PAUSE_AT: &str = "PGSEAL_PAUSE_AT";

/// Variables that a delegate is to hear of, too.
pub(crate) const HANDED_DOWN: [&str; 4] = [TRACE, KILL_AT, FAULT_AT, PAUSE_AT];

/// The line with which a test lets a paused run go on.
const GO: &str = "go";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Step,
    Change,
    Look,
}

/// A boundary between two steps.
pub(crate) fn step(name: &str) {
    reached(Kind::Step, name, Path::new("-"));
}

/// Just before something on the disk changes.
pub(crate) fn change(name: &str, path: &Path) -> io::Result<()> {
    reached(Kind::Change, name, path).map_or(Ok(()), |number| refused(number, Kind::Change))
}

/// Just before the disk is looked at.
pub(crate) fn look(name: &str, path: &Path) -> io::Result<()> {
    reached(Kind::Look, name, path).map_or(Ok(()), |number| refused(number, Kind::Look))
}

/// The parts in which bytes are written: a disk may be full in the middle.
pub(crate) fn parts(bytes: &[u8]) -> [&[u8]; 2] {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    [first, rest]
}

/// A delegate has ended unasked. Where a point of its own ended it, the whole run is to end.
pub(crate) fn delegate_ended() {
    let Some(at) = number_of(KILL_AT) else { return };
    let Ok(mut trace) = open() else { return };
    if points(&mut trace).is_ok_and(|(reached, _)| reached >= at) {
        end();
    }
}

/// Counts a point; its number, where there is a trace.
fn reached(kind: Kind, name: &str, path: &Path) -> Option<u64> {
    env::var_os(TRACE)?;
    let number = match note(kind, name, path) {
        Ok(number) => number,
        Err(error) => {
            // A hook that does not hold must not look like a promise that does.
            say(&format!("pgseal-faulty: {TRACE} cannot be written: {error}"));
            std::process::abort();
        }
    };
    if number_of(KILL_AT) == Some(number) {
        end();
    }
    let named = kind == Kind::Step && env::var(PAUSE_AT).is_ok_and(|at| at == name);
    if named || number_of(PAUSE_AT) == Some(number) {
        wait();
    }
    Some(number)
}

fn note(kind: Kind, name: &str, path: &Path) -> io::Result<u64> {
    let mut trace = open()?;
    trace.lock()?;
    let number = points(&mut trace)?.0 + 1;
    let kind = match kind {
        Kind::Step => "step",
        Kind::Change => "change",
        Kind::Look => "look",
    };
    writeln!(trace, "{number}\t{kind}\t{name}\t{}", path.display())?;
    Ok(number)
}

fn open() -> io::Result<File> {
    let path = env::var_os(TRACE).ok_or(io::ErrorKind::NotFound)?;
    OpenOptions::new().read(true).append(true).open(path)
}

/// How many points have been reached, and whether those that wait may go on.
fn points(trace: &mut File) -> io::Result<(u64, bool)> {
    let mut text = String::new();
    trace.read_to_string(&mut text)?;
    let reached = text.lines().filter(|line| *line != GO).count();
    Ok((u64::try_from(reached).unwrap_or(u64::MAX), text.lines().any(|line| line == GO)))
}

fn wait() {
    while let Ok(mut trace) = open()
        && !points(&mut trace).is_ok_and(|(_, may)| may)
    {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn end() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    // SIGKILL has no return.
    std::process::abort()
}

fn number_of(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

fn refused(number: u64, kind: Kind) -> io::Result<()> {
    let Ok(wish) = env::var(FAULT_AT) else { return Ok(()) };
    let (at, errno) = wish.split_once(':').unwrap_or((&wish, ""));
    let (at, and_on) = at.strip_suffix('+').map_or((at, false), |at| (at, true));
    let at: u64 = at.parse().unwrap_or(u64::MAX);
    // errno(3) of Linux.
    let errno = match errno {
        "ENOSPC" => 28,
        "EACCES" => 13,
        "EIO" => 5,
        other => {
            say(&format!("pgseal-faulty: {FAULT_AT} names no errno that is known here: {other:?}"));
            std::process::abort();
        }
    };
    let hit = if and_on { number >= at && kind == Kind::Change } else { number == at };
    if hit { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) }
}

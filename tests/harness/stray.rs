//! Processes that live in a directory of ours: found by their working directory, and stopped.
//! A postmaster's working directory is its data directory, so this finds servers that pgseal started, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server gets for an immediate shutdown.
const PATIENCE: Duration = Duration::from_secs(5);

/// The processes whose working directory is `dir` or lies under it, also when it has been removed since.
pub(crate) fn living_under(dir: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        panic!("there is no /proc here, and without it stray servers cannot be found: run the tests on Linux")
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        // A zombie has no working directory any more.
        .filter(|pid| home(*pid).is_some_and(|home| home.starts_with(dir)))
        .collect()
}

/// Stops all that live under `dir`, servers first by an immediate shutdown, and returns when they are gone.
pub(crate) fn stop_under(dir: &Path) {
    let end = Instant::now() + PATIENCE;
    for pid in living_under(dir) {
        if is_postmaster(pid) {
            signal(pid, Signal::QUIT);
        } else if !is_postgres(pid) {
            signal(pid, Signal::KILL);
        }
    }
    loop {
        let left = living_under(dir);
        if left.is_empty() {
            return;
        }
        if Instant::now() >= end {
            for pid in left {
                signal(pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn home(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

fn is_postgres(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "postgres")
}

/// A postgres process whose parent is none: its children end with it.
fn is_postmaster(pid: u32) -> bool {
    let parent = fs::read_to_string(format!("/proc/{pid}/status")).ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse().ok()
    });
    is_postgres(pid) && !parent.is_some_and(is_postgres)
}

fn signal(pid: u32, signal: Signal) {
    // It may have ended by itself meanwhile.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

//! Programs of PostgreSQL that still work in a data directory, whatever its postmaster.pid says: what a
//! cut-off initdb leaves behind takes a moment to die. Runs in the delegate; waits, and signals nobody.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Waits until none works in `data`, at most `seconds`; who is left then, as `initdb (pid 4242)`.
///
/// Where there is no /proc nobody is ever seen.
pub(crate) fn wait_until_left(data: &Path, seconds: u64) -> io::Result<Option<String>> {
    let found = fs::metadata(data)?;
    let place = (found.dev(), found.ino());
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let left = one_at_work(place);
        if left.is_none() || Instant::now() >= deadline {
            return Ok(left);
        }
        thread::sleep(LOOK_AGAIN_AFTER);
    }
}

/// Who works in `data` now, as `initdb (pid 4242)`.
pub(crate) fn anyone_at_work(data: &Path) -> Option<String> {
    let found = fs::metadata(data).ok()?;
    one_at_work((found.dev(), found.ino()))
}

fn one_at_work(place: (u64, u64)) -> Option<String> {
    let me = rustix::process::getuid().as_raw();
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let of_this_user = process.metadata().is_ok_and(|found| found.uid() == me);
        let working = fs::metadata(process.path().join("cwd")).ok().filter(|_| of_this_user)?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        let name = name.trim_end();
        let at_work = (working.dev(), working.ino()) == place && matches!(name, "postgres" | "initdb");
        at_work.then(|| format!("{name} (pid {pid})"))
    })
}

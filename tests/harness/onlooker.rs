//! What anybody may see of the processes of this machine while something happens. Knows nothing of what is secret.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What `/proc` shows of all processes while `what_happens`: command lines and environments.
pub(crate) fn watched<T>(what_happens: impl FnOnce() -> T) -> (T, BTreeSet<Vec<u8>>) {
    seen_by(processes, Duration::from_millis(1), what_happens)
}

/// What `looks`, called again and again, shows while `what_happens`.
pub(crate) fn seen_by<T>(
    looks: impl Fn() -> Vec<Vec<u8>> + Sync,
    pause: Duration,
    what_happens: impl FnOnce() -> T,
) -> (T, BTreeSet<Vec<u8>>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                seen.extend(looks());
                thread::sleep(pause);
            }
            seen
        });
        // Also when what happens fails: the onlooker is waited for.
        let ended = Ended(&done);
        let outcome = what_happens();
        drop(ended);
        (outcome, watch.join().expect("an onlooker only looks"))
    })
}

/// Says that nothing happens any more.
struct Ended<'d>(&'d AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn processes() -> Vec<Vec<u8>> {
    let entries = fs::read_dir("/proc").expect("there is a /proc").flatten();
    let numbered =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()));
    let files = numbered.flat_map(|entry| ["cmdline", "environ"].map(|file| entry.path().join(file)));
    files.filter_map(|file| fs::read(file).ok()).filter(|text| !text.is_empty()).collect()
}

/// Whether the secret is in there.
pub(crate) fn holds(text: &[u8], secret: &str) -> bool {
    text.windows(secret.len()).any(|window| window == secret.as_bytes())
}

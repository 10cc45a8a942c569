//! A process that nobody has any business with. Knows whether it was signalled, not by whom.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::account::Account;
use super::process::Running;

/// A process that ends with 77 on any signal that can be caught, so that none goes unseen.
pub(crate) struct Bystander(Running);

impl Bystander {
    /// One of that user's, at work in that directory.
    pub(crate) fn new(account: &Account, dir: &Path) -> Self {
        let mut command = account.command("sh", dir);
        let script = "trap 'exit 77' HUP INT QUIT TERM USR1 USR2 CONT; echo up; while :; do sleep 0.02; done";
        command.current_dir(dir).arg("-c").arg(script);
        let running = Running::start(command, b"");
        running.wait_until_it_says("up", Duration::from_secs(20));
        Self(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    #[track_caller]
    pub(crate) fn was_left_alone(&self) {
        // Time enough for the trap of a signal that was sent.
        std::thread::sleep(Duration::from_millis(60));
        let state = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let state = state.rsplit(')').next().unwrap_or_default().trim().chars().next();
        assert!(matches!(state, Some('S' | 'R' | 'D')), "the bystander is {state:?}");
    }
}

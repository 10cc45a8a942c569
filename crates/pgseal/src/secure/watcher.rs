//! The watcher of `--confirm-within`: this program again, apart from the terminal, that takes a change
//! back when its time has come and nobody confirmed it. After a reboot the next run of pgseal does.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::setsid;
use time::OffsetDateTime;

use super::restore::restore;
use super::run::with_journal;
use crate::failure::{Failure, Result};
use crate::journal::{Change, Journal, Phase};
use crate::target::Target;

/// The first argument that makes this program a watcher: then the target, then the change.
pub(crate) const ARGUMENT: &str = "--as-watcher";

/// How often it looks whether somebody confirmed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How long it goes on trying once the time has come, in seconds. Then the next run of pgseal takes over.
const GIVES_UP_AFTER: i64 = 24 * 60 * 60;

/// Returns when the watcher has left the terminal behind.
pub(crate) fn start(word: &str, change: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("could not start the watcher of --confirm-within: {error}"))
    };
    let mut command = Command::new("/proc/self/exe");
    // It logs in nowhere, and lives long: no password stays in its environment.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_libpq(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    let mut child = command
        .args([ARGUMENT, word, change])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut said = child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    said.read_exact(&mut [0]).map_err(failed)
}

/// PGPASSWORD and its like, and not PGSEAL_STATE_DIR.
fn is_of_libpq(name: &str) -> bool {
    name.starts_with("PG") && !name.starts_with("PGSEAL_") && !name.starts_with("PG_")
}

/// The watcher's whole life.
pub(crate) async fn watch(word: &str, change: &str) -> Result<()> {
    // A session of its own: the terminal may go.
    let _ = setsid();
    let mut out = std::io::stdout();
    // Nobody may listen, which changes nothing.
    let _ = out.write_all(b"\n").and_then(|()| out.flush());
    let mut place = Target::place(word).await?;
    let identifier = place.identifier().await?;
    let Some(journal) = Journal::find(identifier, &place.key())? else { return Ok(()) };
    drop(place);
    // No lock is held while it waits: `confirm` must get in.
    while let Some((found, until)) = awaiting(&journal, change)? {
        let left = until - OffsetDateTime::now_utc().unix_timestamp();
        // Whatever is in the way (another command that holds the lock, a server that restarts) passes.
        if left <= 0 && take_back(word, &found).await.is_ok() {
            return Ok(());
        }
        if left < -GIVES_UP_AFTER {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
    Ok(())
}

/// The change and its time, while it still awaits confirmation.
fn awaiting(journal: &Journal, change: &str) -> Result<Option<(Change, i64)>> {
    Ok(journal.unfinished()?.and_then(|(found, phase)| match phase {
        Phase::AwaitingConfirmation { until } if found.id == change => Some((found, until)),
        _ => None,
    }))
}

async fn take_back(word: &str, change: &Change) -> Result<()> {
    let (mut place, _lock, journal) = with_journal(word).await?;
    let Some(journal) = journal else { return Ok(()) };
    // It may have been confirmed while the lock was waited for.
    if awaiting(&journal, &change.id)?.is_some() {
        restore(&mut place, &journal, change, change.files.len(), &Phase::RolledBack).await?;
    }
    Ok(())
}

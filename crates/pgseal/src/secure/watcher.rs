//! The watcher of `--confirm-within`: this program again, apart from the terminal, from before the first change on. It
//! takes the change back when whoever made it is gone without having finished, and when its time has come and nobody
//! confirmed it. What comes in its way stands in the journal. After a reboot the next run of pgseal does its work.

use std::io::{Read as _, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::setsid;
use time::OffsetDateTime;

use super::restore::{Seen, restore};
use crate::failure::{Failure, Result};
use crate::journal::{Change, Journal, Phase, Trouble, moment};
use crate::target::Target;

/// The first argument that makes this program a watcher: then the target, then the change.
pub(crate) const ARGUMENT: &str = "--as-watcher";

/// How often it looks whether somebody confirmed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How long it waits at most until it tries again what did not go well.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it goes on trying once the time has come, in seconds. Then the next run of pgseal takes over.
const GIVES_UP_AFTER: i64 = 24 * 60 * 60;

/// As long as this lives the watcher leaves the change to us. It goes with the process, however that ends.
#[must_use]
pub(crate) struct AtWork(#[allow(dead_code, reason = "held open, and never written to")] ChildStdin);

/// Returns when the watcher has left the terminal behind.
pub(crate) fn start(word: &str, change: &str) -> Result<AtWork> {
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
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let at_work = child.stdin.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    let mut said = child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    said.read_exact(&mut [0]).map_err(failed)?;
    Ok(AtWork(at_work))
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
    // Comes to its end when whoever made the change has: nothing is ever written there.
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    let Some(journal) = journal_of(word).await? else { return Ok(()) };
    let gone = OffsetDateTime::now_utc().unix_timestamp();
    let mut wait = LOOK_AGAIN_AFTER;
    // No lock is held while it waits: `confirm` must get in.
    while let Some((found, phase)) = unfinished(&journal, change)? {
        let due = due(&phase).unwrap_or(gone);
        let late = OffsetDateTime::now_utc().unix_timestamp() - due;
        if late > GIVES_UP_AFTER {
            return Ok(());
        }
        if late >= 0 {
            // Whatever is in the way (another command that holds the lock, a server that restarts) passes.
            match take_back(word, &journal, &found).await {
                Tried::Done => return Ok(()),
                Tried::LockedOut => wait = LOOK_AGAIN_AFTER,
                Tried::Failed(failure) => {
                    note(&journal, &found, &failure.sentences());
                    wait = (wait * 2).min(PATIENCE);
                }
            }
        }
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

/// The server may be about to come back, or another command at work: asked again.
async fn journal_of(word: &str) -> Result<Option<Journal>> {
    let mut tries = 10;
    loop {
        let found = async {
            let mut place = Target::place(word).await?;
            let identifier = place.identifier().await?;
            Journal::find(identifier, &place.key())
        };
        match found.await {
            Err(_) if tries > 0 => tries -= 1,
            found => return found,
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// The change and how far it is, while it is at no end.
fn unfinished(journal: &Journal, change: &str) -> Result<Option<(Change, Phase)>> {
    Ok(journal.unfinished()?.filter(|(found, _)| found.id == change))
}

/// When it is to be taken back, in seconds since 1970; `None`: as soon as nobody is at work on it.
const fn due(phase: &Phase) -> Option<i64> {
    match phase {
        Phase::AwaitingConfirmation { until, .. } => Some(*until),
        _ => None,
    }
}

/// What came of one attempt.
enum Tried {
    /// It is at an end, by us or by somebody else.
    Done,
    /// Another command is at work.
    LockedOut,
    Failed(Failure),
}

async fn take_back(word: &str, journal: &Journal, change: &Change) -> Tried {
    let mut place = match Target::place(word).await {
        Ok(place) => place,
        Err(failure) => return Tried::Failed(failure),
    };
    let Ok(_lock) = place.lock().await else { return Tried::LockedOut };
    let restored = async {
        // It may have been confirmed, or taken back, while the lock was waited for.
        let Some((_, phase)) = unfinished(journal, &change.id)? else { return Ok(None) };
        if due(&phase).is_some_and(|due| due > OffsetDateTime::now_utc().unix_timestamp()) {
            return Ok(None);
        }
        restore(&mut place, journal, change, change.files.len(), &phase.taken_back()).await.map(Some)
    };
    match restored.await {
        Ok(seen) => {
            if let Some(seen @ Seen::Otherwise { .. }) = seen {
                note(journal, change, &[format!("taken back: {}", seen.words())]);
            }
            Tried::Done
        }
        Err(failure) => Tried::Failed(failure),
    }
}

/// Written down where it is something new. A journal that cannot be written has nobody to be told, either.
fn note(journal: &Journal, change: &Change, said: &[String]) {
    if journal.trouble(change).ok().flatten().is_some_and(|trouble| trouble.said == said) {
        return;
    }
    if let Ok(at) = moment(OffsetDateTime::now_utc()) {
        let _ = journal.set_trouble(change, &Trouble { at, said: said.to_vec() });
    }
}

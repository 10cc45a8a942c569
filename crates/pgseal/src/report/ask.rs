//! A question on the terminal, which a signal can interrupt.

use std::io::{BufRead as _, Write as _};

use crate::failure::{Failure, Result};

/// Goes on with `y` or `yes`; anything else stops.
pub(crate) async fn yes_or_stop(question: &str) -> Result<()> {
    let _ = write!(std::io::stderr().lock(), "{question} [y/N] ");
    // On a thread of its own: whoever waits here can be woken by a signal, and leaves it behind.
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    match answer.await {
        Ok(Ok(answer)) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::stopped("not carried out: nothing was changed")),
    }
}

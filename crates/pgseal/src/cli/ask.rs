//! A question on the terminal.

use std::io::{BufRead as _, Write as _};

use crate::failure::{Failure, Result};

/// Goes on with `y` or `yes`; anything else stops.
pub(super) fn yes_or_stop(question: &str) -> Result<()> {
    let _ = write!(std::io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::stopped("not carried out: nothing was changed"))
}

//! What a program printed, cut to what a person reads.

use std::process::ExitStatus;

/// The most characters of one line: a program that knows no newlines must not fill the screen.
const LINE_LIMIT: usize = 1000;

/// The last lines that a program printed, for a person to read.
pub(crate) fn last_lines(said: &[u8], most: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(most))
        .map(|line| line.chars().take(LINE_LIMIT).collect())
        .collect()
}

/// How a process ended, in words.
pub(crate) fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

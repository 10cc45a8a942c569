//! A container whose server does not start: why, by its last words. The official images speak English.

use super::{Examined, Notes};
use crate::failure::Result;
use crate::place::exited::Exited;

/// Words of a fatal line, the finding that they are, in the order in which they are looked for (be-secure-common.c,
/// be-secure-openssl.c, hba.c, guc.c).
const CAUSES: [(&str, &str); 10] = [
    ("must be owned by the database user or root", "key-owner-wrong"),
    ("has group or world access", "key-open-to-others"),
    ("could not load private key file", "key-unfit"),
    ("could not access private key file", "key-unfit"),
    ("check of private key failed", "key-unfit"),
    ("could not load server certificate file", "certificate-missing"),
    ("could not load root certificate file", "start-would-fail"),
    ("hba", "rules-errors"),
    ("configuration file", "configuration-errors"),
    ("parameter", "configuration-errors"),
];

/// What its last words tell; `None`: it runs, and can be looked at.
pub(crate) async fn examine(name: &str, word: &str) -> Result<Option<Examined>> {
    let Some(exited) = Exited::find(name).await? else { return Ok(None) };
    let mut notes = Notes { word, findings: Vec::new(), unseen: Vec::new() };
    told(&exited.lines, &format!("container {name} is {}", exited.state), &mut notes);
    let access = "the container running: docker start, or with what is named mended";
    notes.unseen(
        "files, settings, rules and sessions",
        "nothing can be run in a container that is down",
        access,
    );
    let Notes { findings, unseen, .. } = notes;
    let version = exited.version.unwrap_or_else(|| "of a version that was not told".to_owned());
    let observed = findings.clone();
    Ok(Some(Examined { version, running: false, findings, unseen, observed, known: None, certificate: None }))
}

/// The cause that the last words of a server name, and then that it is down.
pub(super) fn told(lines: &[String], state: &str, notes: &mut Notes<'_>) {
    let fatal = last_fatal(lines);
    if let Some((summary, detail)) = fatal
        && let Some((_, cause)) = CAUSES.iter().find(|(words, _)| summary.contains(words))
    {
        notes.find(cause, detail);
    }
    let last = fatal.map(|(summary, _)| summary).or_else(|| lines.last().map(String::as_str));
    notes.find("server-down", format!("{state}: {}", last.unwrap_or("it printed nothing")));
}

/// The last fatal line, and the line that says why: hba.c and guc.c say first what is wrong, as LOG, and then as FATAL that
/// nothing was loaded.
fn last_fatal(lines: &[String]) -> Option<(&str, &str)> {
    let at = lines.iter().rposition(|line| line.contains("FATAL:") || line.contains("PANIC:"))?;
    let summary = lines.get(at)?.as_str();
    let told_before = (summary.contains("could not load") && summary.contains("hba"))
        || summary.contains("contains errors");
    let before = lines.get(..at)?.iter().rfind(|line| line.contains("LOG:")).map(String::as_str);
    Some((summary, before.filter(|_| told_before).unwrap_or(summary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_and_not_that_something_is() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let hba = lines(&[
            "LOG:  authentication file token too long",
            "LOG:  invalid connection type \"hostssll\"",
            "CONTEXT:  line 1 of configuration file \"/pg_hba.conf\"",
            "FATAL:  could not load /pg_hba.conf",
            "LOG:  database system is shut down",
        ]);
        assert_eq!(
            last_fatal(&hba),
            Some(("FATAL:  could not load /pg_hba.conf", "LOG:  invalid connection type \"hostssll\""))
        );
        let key = lines(&[
            "FATAL:  private key file \"k\" has group or world access",
            "pg_ctl: could not start server",
        ]);
        let open = "FATAL:  private key file \"k\" has group or world access";
        assert_eq!(last_fatal(&key), Some((open, open)));
        assert_eq!(last_fatal(&lines(&["all is well"])), None);
    }
}

//! What the server's log tells of TLS since its start: whether the last reload was taken up, and why clients broke handshakes
//! off. Words of OpenSSL's and of the postmaster that are the same in every language, or known in each.

use std::collections::BTreeMap;

use pgseal_wire::Session;

use super::Notes;
use crate::place::Place;
use crate::secure::log::{RELOADED, end_of_log, is_refusal};

/// What is read of it, in bytes from its end.
const LIMIT: u64 = 1 << 20;
/// What a line names that may have a password in it: parameters that changed are logged with their values (guc.c).
const SECRETIVE: [&str; 3] = ["conninfo", "passphrase", "password"];
/// `starting %s` is translated, PG_VERSION_STR is not (postmaster.c).
const STARTED: &str = ", compiled by ";
/// Alerts of clients, as OpenSSL's reasons name them (ssl_err.c), and what they mean.
const ALERTS: [(&str, &str); 6] = [
    ("alert unknown ca", "clients do not hold its CA"),
    ("alert certificate expired", "clients find its certificate expired"),
    ("alert bad certificate", "clients find its certificate bad"),
    ("alert certificate unknown", "clients find its certificate unknown"),
    ("alert unsupported certificate", "clients cannot use its certificate"),
    ("alert certificate revoked", "clients find its certificate revoked"),
];

/// `command` is never shown, whatever the log says of it: a passphrase may stand in it.
pub(super) async fn look(place: &mut Place, session: &Session, command: &str, notes: &mut Notes<'_>) {
    match end_of_log(place, session, LIMIT).await {
        Ok(lines) if command.is_empty() => judge(since_start(&lines), notes),
        Ok(lines) => {
            let lines: Vec<String> = lines.iter().map(|line| line.replace(command, "…")).collect();
            judge(since_start(&lines), notes);
        }
        Err(why) => {
            let access = "a log that is a file: logging_collector = on, or a server started with pg_ctl -l";
            notes.unseen("the server's log", why, access);
        }
    }
}

/// Those of the process that runs now, where its beginning is among them.
fn since_start(lines: &[String]) -> &[String] {
    let start = lines.iter().rposition(|line| line.contains(STARTED) && line.contains("PostgreSQL "));
    lines.get(start.unwrap_or(0)..).unwrap_or_default()
}

fn judge(lines: &[String], notes: &mut Notes<'_>) {
    let last = lines.iter().rposition(|line| line.contains(RELOADED)).unwrap_or(0);
    let after = lines.get(last..).unwrap_or_default();
    if let Some(refused) = after.iter().position(|line| is_refusal(line)) {
        // The line before it says why.
        let why = after.get(refused.saturating_sub(1)..=refused).unwrap_or_default();
        let open = why.iter().filter(|line| !SECRETIVE.iter().any(|word| line.contains(word)));
        notes.find("reload-refused", open.cloned().collect::<Vec<_>>().join("; "));
    }
    let mut alerts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        if let Some((_, means)) = ALERTS.iter().find(|(words, _)| line.contains(words)) {
            *alerts.entry(means).or_insert(0) += 1;
        }
    }
    if !alerts.is_empty() {
        let told: Vec<String> = alerts.iter().map(|(means, times)| format!("{means} ({times}×)")).collect();
        notes.find("certificate-refused-by-clients", told.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str]) -> Vec<(&'static str, String)> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut notes = Notes { word: "15/main", findings: Vec::new(), unseen: Vec::new() };
        judge(since_start(&lines), &mut notes);
        notes.findings.into_iter().map(|finding| (finding.name, finding.evidence)).collect()
    }

    const START: &str = "LOG:  starting PostgreSQL 15.14 on x86_64-pc-linux-gnu, compiled by gcc";
    const RELOAD: &str = "LOG:  received SIGHUP, reloading configuration files";
    const WHY: &str = "LOG:  could not load server certificate file \"a\": No such file or directory";
    const REFUSED: &str = "LOG:  SSL-Konfiguration wurde nicht neu geladen";

    #[test]
    fn the_last_reload_of_the_process_that_runs_is_what_counts() {
        assert_eq!(found(&[START, RELOAD, WHY, REFUSED]), [("reload-refused", format!("{WHY}; {REFUSED}"))]);
        assert_eq!(found(&[START, RELOAD, WHY, REFUSED, RELOAD]), []);
        assert_eq!(
            found(&[START, RELOAD, WHY, REFUSED, "ЛОГ:  запускается PostgreSQL 15.14 on x, compiled by gcc"]),
            []
        );
        assert_eq!(found(&[]), []);
    }

    #[test]
    fn clients_that_refuse_the_certificate_are_counted_by_why() {
        let alert = "LOG:  could not accept SSL connection: tlsv1 alert unknown ca";
        assert_eq!(
            found(&[
                alert,
                START,
                alert,
                alert,
                "LOG:  could not accept SSL connection: unsupported protocol"
            ]),
            [("certificate-refused-by-clients", "clients do not hold its CA (2×)".to_owned())]
        );
    }
}

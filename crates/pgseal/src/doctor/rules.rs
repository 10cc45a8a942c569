//! What pg_hba.conf allows that few people mean. Pure.

use pgseal_conf::PgVersion;
use pgseal_conf::hba::proof::{Purposes, Question, Reach, Verdict, admission, plaintext_path, reach};
use pgseal_conf::hba::{Channel, ClientCertificate, ConnectionType, Method, Ruleset, Server};
use pgseal_conf::settings::parse_bool;
use time::OffsetDateTime;

use super::Notes;
use crate::hba::enforcement::expired;
use crate::hba::judged::readings;
use crate::hba::source::Source;
use crate::hba::weakness::weaknesses;
use crate::secure::facts::Facts;

/// As many lines as are named.
const SHOWN: usize = 6;

pub(super) fn judge(facts: &Facts, now: OffsetDateTime, notes: &mut Notes<'_>) {
    of(&facts.rules, facts.version, now, notes);
    if speaks_tls_without_a_ca(facts.setting("ssl"), facts.setting("ssl_ca_file")) {
        certificates_that_nobody_checks(&facts.rules, facts.version, notes);
    }
}

/// By those two settings, whether client certificates can be sent and not be checked. Without TLS nobody reaches a line
/// that asks for one.
pub(super) fn speaks_tls_without_a_ca(ssl: &str, ssl_ca_file: &str) -> bool {
    parse_bool(ssl.as_bytes()) == Some(true) && ssl_ca_file.is_empty()
}

/// Lines that ask for a client certificate where no CA is there to check it (auth.c, `ClientAuthentication`), and that
/// somebody reaches.
pub(super) fn certificates_that_nobody_checks(source: &Source, version: PgVersion, notes: &mut Notes<'_>) {
    let ruleset = source.ruleset(version);
    let reached = reach(&ruleset.rules, &Question::about(Channel::Tls), &source.world());
    let lines: Vec<String> = ruleset
        .rules
        .iter()
        .zip(&reached)
        .filter(|(rule, _)| rule.client_certificate != ClientCertificate::NotAsked)
        .filter(|(_, state)| !matches!(state, Reach::Dead { .. } | Reach::NotMet))
        .map(|(rule, _)| format!("line {} {}", rule.line, rule.method.name()))
        .collect();
    if ruleset.loads() && !lines.is_empty() {
        let evidence = format!("ssl_ca_file is empty, and a certificate is asked for by {}", some(&lines));
        notes.find("client-certificate-uncheckable", evidence);
    }
}

/// The same for rules that nobody has loaded yet.
pub(super) fn of(source: &Source, version: PgVersion, now: OffsetDateTime, notes: &mut Notes<'_>) {
    let ruleset = source.ruleset(version);
    if !ruleset.loads() {
        let first = ruleset.errors().next();
        let said = first.map(|error| format!("{} line {}: {}", source.path, error.line, error.message));
        return notes.find("rules-errors", said.unwrap_or_default());
    }
    let socket: Vec<String> = ruleset
        .rules
        .iter()
        .filter(|rule| matches!((rule.connection, rule.method), (ConnectionType::Local, Method::Trust)))
        .map(|rule| format!("line {}", rule.line))
        .collect();
    if !socket.is_empty() {
        notes.find("socket-trust", some(&socket));
    }
    let over_the_socket = Question::about(Channel::Local).wanting(Purposes::Databases);
    if let Verdict::NoPath(_) = admission(&ruleset.rules, &over_the_socket, &source.world()) {
        notes.find("socket-locked-out", socket_lines(&ruleset, source));
    }
    let weak = weaknesses(&readings(source, &[version]), &source.world());
    for name in ["ident-reachable", "dead-line"] {
        let lines: Vec<String> = weak
            .iter()
            .filter(|weak| weak.name() == name)
            .map(|weak| format!("line {}", weak.line_number()))
            .collect();
        if !lines.is_empty() {
            notes.find(name, some(&lines));
        }
    }
    for (line, who) in expired(&source.text, now.date()) {
        notes.find("exception-expired", format!("line {line}: {who}"));
    }
    if let Some(later) = PgVersion::ALL.into_iter().filter(|later| *later > version).find(|later| {
        let server = Server::of(*later);
        !source.ruleset(server.version).loads()
    }) {
        let later_rules = source.ruleset(later);
        let said = later_rules.errors().next().map(|error| format!("line {}: {}", error.line, error.message));
        notes.find("breaks-on-upgrade", format!("from {later} on, {}", said.unwrap_or_default()));
    }
}

/// The line that lets plaintext in, of rules that nobody has tried on the wire.
pub(super) fn plaintext(source: &Source, version: PgVersion, notes: &mut Notes<'_>) {
    let ruleset = source.ruleset(version);
    if ruleset.loads()
        && let Verdict::Path(witness) = plaintext_path(&ruleset.rules, &source.world())
    {
        let line = ruleset.rules.get(witness.rule).map_or(0, |rule| rule.line);
        let evidence = format!("{} line {line}: {}", source.path, witness.method.name());
        notes.find("plaintext-accepted", evidence);
    }
}

/// What stands where a way in over the socket would.
fn socket_lines(ruleset: &Ruleset, source: &Source) -> String {
    let local = ruleset.rules.iter().filter(|rule| matches!(rule.connection, ConnectionType::Local));
    let lines: Vec<String> = local.map(|rule| format!("line {} {}", rule.line, rule.method.name())).collect();
    if lines.is_empty() {
        return format!("{} has no local line", source.path);
    }
    format!("{}: {}", source.path, some(&lines))
}

fn some(lines: &[String]) -> String {
    let more = if lines.len() > SHOWN { format!(" and {} more", lines.len() - SHOWN) } else { String::new() };
    format!("{}{more}", lines.get(..lines.len().min(SHOWN)).unwrap_or_default().join(", "))
}

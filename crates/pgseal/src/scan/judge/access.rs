//! Who is let in, and how: without TLS, without a password, with a weak one; and the holes that intrusive probes look for.

use pgseal_wire::scan::{Outcome, Renegotiation, SslReply, StartupKey, Stuffing};

use super::super::authentication::Met;
use super::super::scanned::Scanned;
use crate::findings::{Finding, Grade, Severity};

pub(super) fn findings(scanned: &Scanned) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut find = |name: &'static str, evidence: String| {
        all.push(Finding::new(name, evidence, &scanned.target.label));
    };
    let known = &scanned.known;
    if matches!(known.ssl, Some(SslReply::No)) {
        find("tls-off", "N to SSLRequest".to_owned());
    }
    plaintext(scanned, &mut find);
    trust(scanned, &mut find);
    methods(scanned, &mut find);
    if let Some(Stuffing::Taken(said)) = &known.stuffing {
        find(
            "stuffing-accepted",
            format!("a startup packet sent in clear before the handshake was answered: {said}"),
        );
    }
    if known.renegotiation == Some(Renegotiation::Entered) {
        find(
            "renegotiation-by-client",
            "a hello inside a session of TLS 1.2 was answered by a ServerHello".to_owned(),
        );
    }
    // Plaintext without a password, or with the password itself, is as bad as it gets.
    let met = |key| scanned.plaintext(key).map(Met::of);
    if matches!(met(StartupKey::Database), Some(Met::Trust | Met::Cleartext)) {
        for finding in all.iter_mut().filter(|finding| finding.name == "plaintext-accepted") {
            *finding = finding.clone().at(Severity::Critical).graded(Grade::F);
        }
    }
    all
}

fn plaintext(scanned: &Scanned, find: &mut impl FnMut(&'static str, String)) {
    let whom = format!("user {}, database {}", scanned.user, scanned.dbname);
    for (key, name, whom) in [
        (StartupKey::Database, "plaintext-accepted", whom),
        (
            StartupKey::Replication,
            "plaintext-replication-accepted",
            format!("user {}, physical replication", scanned.user),
        ),
    ] {
        if let Some(outcome) = scanned.plaintext(key) {
            let met = Met::of(outcome);
            if met.is_let_in() {
                find(name, format!("without TLS: {}, {whom}", met.words()));
            }
        }
    }
}

fn trust(scanned: &Scanned, find: &mut impl FnMut(&'static str, String)) {
    let mut ways = Vec::new();
    let asked = |outcome: Option<&Outcome>| outcome.map(Met::of) == Some(Met::Trust);
    if asked(scanned.plaintext(StartupKey::Database)) {
        ways.push("database without TLS");
    }
    if asked(scanned.plaintext(StartupKey::Replication)) {
        ways.push("replication without TLS");
    }
    if asked(scanned.under_tls(false).and_then(Result::ok)) {
        ways.push("database with TLS");
    }
    if asked(scanned.under_tls(true).and_then(Result::ok)) {
        ways.push("replication with TLS");
    }
    if !ways.is_empty() {
        find(
            "trust-accepted",
            format!("AuthenticationOk for {}, who does not exist: {}", scanned.user, ways.join(", ")),
        );
    }
}

fn methods(scanned: &Scanned, find: &mut impl FnMut(&'static str, String)) {
    let in_clear: Vec<Met> = [StartupKey::Database, StartupKey::Replication]
        .into_iter()
        .filter_map(|key| scanned.plaintext(key))
        .map(Met::of)
        .collect();
    let under_tls: Vec<Met> = [false, true]
        .into_iter()
        .filter_map(|replication| scanned.under_tls(replication)?.ok())
        .map(Met::of)
        .collect();
    let has = |all: &[Met], met: Met| all.contains(&met);
    if has(&in_clear, Met::Cleartext) {
        find("password-in-clear", "the password itself was asked for without TLS".to_owned());
    } else if has(&under_tls, Met::Cleartext) {
        find("password-method", "the password itself was asked for, under TLS".to_owned());
    }
    if has(&in_clear, Met::Md5) || has(&under_tls, Met::Md5) {
        find("md5-method", "an MD5 password was asked for".to_owned());
    }
    if has(&under_tls, Met::Scram) {
        find(
            "channel-binding-missing",
            "SCRAM-SHA-256 was offered under TLS, and SCRAM-SHA-256-PLUS was not".to_owned(),
        );
    }
}

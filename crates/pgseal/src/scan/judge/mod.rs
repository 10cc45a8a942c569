//! What was found held against a policy. Pure: time is passed in.
//!
//! What anybody could use comes first: who is let in without TLS, who without a password. What is only not to our taste
//! comes last.

mod access;
mod certificate;
mod crypto;
mod words;

use pgseal_wire::scan::{Outcome, StartupKey};
use time::OffsetDateTime;

use super::scanned::{Scanned, Speaker};
use crate::findings::{Finding, Grade};
use crate::policy::Policy;

pub(crate) use crypto::accepted;

/// Everything that is to be said against a server, worst first.
pub(crate) fn judge(scanned: &Scanned, policy: &Policy, now: OffsetDateTime) -> Vec<Finding> {
    match scanned.speaker() {
        Speaker::Nobody(_) => return Vec::new(),
        Speaker::Other(what) => {
            return vec![Finding::new("not-postgresql", what, &scanned.target.label)];
        }
        _ => {}
    }
    let mut all = Vec::new();
    all.extend(access::findings(scanned));
    all.extend(crypto::findings(scanned, policy));
    all.extend(certificate::findings(scanned, now));
    // Stable: what anybody could use stays before what is as bad and takes more.
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    all
}

/// A grade, and the finding that set it. None where there is nothing to grade, or too little was told.
pub(crate) fn grade(scanned: &Scanned, findings: &[Finding]) -> Option<(Grade, Option<&'static str>)> {
    if matches!(scanned.speaker(), Speaker::Nobody(_) | Speaker::Other(_)) {
        return None;
    }
    let mut set = (Grade::A, None);
    for finding in findings {
        // Of equals the first, which is the worst.
        if let Some(grade) = finding.grade.filter(|grade| *grade > set.0) {
            set = (grade, Some(finding.name));
        }
    }
    // What was not told may be worse than what was; than F nothing is.
    (set.0 == Grade::F || is_told(scanned)).then_some(set)
}

/// Whether a certificate was served, and something came of a login without TLS.
fn is_told(scanned: &Scanned) -> bool {
    let served = scanned.known.leaf().is_some() || !scanned.known.unreadable.is_empty();
    let in_clear = scanned.plaintext(StartupKey::Database);
    served && in_clear.is_some_and(|outcome| !matches!(outcome, Outcome::Odd { late: true, .. }))
}

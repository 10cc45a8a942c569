//! One server, judged: everything that a form of output shows.

use time::OffsetDateTime;

use super::judge::{grade, judge};
use super::scanned::Scanned;
use crate::findings::{Finding, Grade};
use crate::policy::Policy;

/// One server, judged.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) scanned: Scanned,
    /// Worst first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) grade: Option<Grade>,
    /// The finding that set the grade; None of an A.
    pub(crate) grade_set_by: Option<&'static str>,
    /// Findings that an earlier scan had as well, and that are not shown again.
    pub(crate) known_before: usize,
}

impl Report {
    pub(crate) fn of(scanned: Scanned, policy: &Policy, now: OffsetDateTime) -> Self {
        let findings = judge(&scanned, policy, now);
        let graded = grade(&scanned, &findings);
        Self {
            grade: graded.map(|(grade, _)| grade),
            grade_set_by: graded.and_then(|(_, rule)| rule),
            scanned,
            findings,
            known_before: 0,
        }
    }
}

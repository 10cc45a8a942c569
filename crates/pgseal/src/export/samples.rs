//! A document for the tests of each form: one server with findings and hostile words, one that is well, one that is
//! away.

use std::time::Duration;

use time::macros::datetime;

use super::{Dates, Document, Gap, Subject};
use crate::findings::{Finding, Grade, Severity};
use crate::report::fact::Fact;
use crate::report::screen::Mark;

/// Writes to the clipboard, ends elements, spans, cells and labels, turns text around, begins lines.
pub(super) const HOSTILE: &str = "db\u{1b}]52;c;ZXZpbA==\u{7}\u{0}\u{9b}2J</script><img src=x>&amp;\u{202e}\"} 1 | `x` ``y`` \\| ]]> <!--\r\n# x\u{fffe}";

pub(super) fn document() -> Document {
    Document {
        verb: "scan",
        at: datetime!(2026-11-24 19:00 UTC),
        fail_on: Some(Severity::High),
        subjects: vec![ill(), well(), away()],
    }
}

fn empty(target: &str) -> Subject {
    Subject {
        target: target.to_owned(),
        address: None,
        what: Some("PostgreSQL 15 (estimate)".to_owned()),
        untold: None,
        grade: None,
        facts: Vec::new(),
        findings: Vec::new(),
        known_before: 0,
        unseen: Vec::new(),
        certificate: None,
        took: Duration::from_millis(250),
    }
}

fn ill() -> Subject {
    let target = format!("ill:5432{HOSTILE}");
    Subject {
        grade: Some((Grade::D, Some("plaintext-accepted"))),
        facts: vec![Fact::new(Mark::HoldsNot, "chain", HOSTILE)],
        findings: vec![
            Finding::new("plaintext-accepted", HOSTILE, &target),
            Finding::new("certificate-expiring", "in 9 days", &target),
            Finding::new("certificate-expiring", "in 12 days", &target),
        ],
        known_before: 2,
        unseen: vec![Gap { what: "roles".to_owned(), why: HOSTILE.to_owned(), access: "a login".to_owned() }],
        certificate: Some(Dates {
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2026-12-03 0:00 UTC),
        }),
        ..empty(&target)
    }
}

fn well() -> Subject {
    Subject {
        grade: Some((Grade::A, None)),
        facts: vec![Fact::new(Mark::Holds, "TLS 1.3", "no older version")],
        ..empty("well:5432")
    }
}

fn away() -> Subject {
    Subject { what: None, untold: Some("Connection refused".to_owned()), ..empty("away:5432") }
}

//! A scan as the plain value that CI, wikis, monitoring and browsers get their forms of.

use time::OffsetDateTime;

use super::super::report::Report;
use super::super::scanned::Speaker;
use super::human::{facts, looked_up, what_answers};
use crate::export::{Dates, Document, Subject};
use crate::findings::Severity;

pub(crate) fn of(reports: &[Report], fail_on: Option<Severity>) -> Document {
    let ends = reports.iter().map(|report| report.scanned.at + report.scanned.took);
    Document {
        verb: "scan",
        at: ends.max().unwrap_or_else(OffsetDateTime::now_utc),
        fail_on,
        subjects: reports.iter().map(subject).collect(),
    }
}

fn subject(report: &Report) -> Subject {
    let scanned = &report.scanned;
    let untold = match scanned.speaker() {
        Speaker::Nobody(why) => Some(why),
        Speaker::Other(what) => Some(format!("not PostgreSQL: {what}")),
        Speaker::Postgres | Speaker::PgBouncer | Speaker::Pooler => None,
    };
    Subject {
        target: scanned.target.label.clone(),
        address: looked_up(report).map(|address| address.to_string()),
        what: what_answers(report),
        facts: if untold.is_none() { facts(report) } else { Vec::new() },
        untold,
        grade: report.grade.map(|grade| (grade, report.grade_set_by)),
        findings: report.findings.clone(),
        known_before: report.known_before,
        unseen: Vec::new(),
        certificate: scanned.known.leaf().map(Dates::of),
        took: scanned.took,
    }
}

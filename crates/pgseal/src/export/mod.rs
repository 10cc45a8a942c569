//! What was found, in the forms that other programs read: code scanning, CI, wikis, monitoring, browsers.
//!
//! Takes plain values, and knows no verb and no server. A form is a file here and a row of [`Form`]. Every foreign
//! byte is made harmless for its form: what a terminal would obey stands there as `\u{…}` in all of them.

mod html;
mod junit;
mod markdown;
mod prometheus;
mod sarif;

use std::time::Duration;

use pgseal_pki::Certificate;
use time::OffsetDateTime;

use crate::failure::Result;
use crate::findings::{Finding, Grade, Severity};
use crate::report::certificate::instant;
use crate::report::fact::Fact;

/// Servers that were looked at in one run.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Who looked: `scan`, `doctor`.
    pub(crate) verb: &'static str,
    pub(crate) at: OffsetDateTime,
    /// The least severity that fails; None where nothing does.
    pub(crate) fail_on: Option<Severity>,
    pub(crate) subjects: Vec<Subject>,
}

/// One server.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// As somebody called it.
    pub(crate) target: String,
    /// Where it was found, when a name was looked up.
    pub(crate) address: Option<String>,
    /// What it is: `PostgreSQL 15.18, running`.
    pub(crate) what: Option<String>,
    /// Why there is nothing to say of it.
    pub(crate) untold: Option<String>,
    /// With the finding that set it; none of an A.
    pub(crate) grade: Option<(Grade, Option<&'static str>)>,
    pub(crate) facts: Vec<Fact>,
    /// The worst first.
    pub(crate) findings: Vec<Finding>,
    /// Findings that an earlier run had as well, and that are not among them.
    pub(crate) known_before: usize,
    pub(crate) unseen: Vec<Gap>,
    /// Of the certificate that it serves.
    pub(crate) certificate: Option<Dates>,
    pub(crate) took: Duration,
}

/// What could not be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    pub(crate) what: String,
    pub(crate) why: String,
    /// What would show it.
    pub(crate) access: String,
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dates {
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
}

impl Dates {
    pub(crate) fn of(certificate: &Certificate) -> Self {
        Self { not_before: certificate.not_before(), not_after: certificate.not_after() }
    }
}

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Sarif,
    Junit,
    Markdown,
    Prometheus,
    Html,
}

impl Form {
    /// The document in this form.
    pub(crate) fn text(self, document: &Document) -> Result<String> {
        match self {
            Self::Sarif => sarif::text(document),
            Self::Junit => junit::text(document),
            Self::Markdown => Ok(markdown::text(document)),
            Self::Prometheus => Ok(prometheus::text(document)),
            Self::Html => Ok(html::text(document)),
        }
    }
}

impl Document {
    /// When, to the second: readers of JUnit's XML know no smaller part.
    fn when(&self) -> String {
        instant(self.at.replace_nanosecond(0).unwrap_or(self.at))
    }

    /// Whether a finding is bad enough to fail.
    fn fails(&self, finding: &Finding) -> bool {
        self.fail_on.is_some_and(|limit| finding.severity >= limit)
    }

    /// How many servers, when, and how it went, in a sentence.
    fn summary(&self) -> String {
        let count = self.subjects.len();
        let servers = if count == 1 { "1 server".to_owned() } else { format!("{count} servers") };
        let mut told = vec![format!("{servers}, {}", self.when())];
        if let Some(limit) = self.fail_on {
            let failing = |subject: &&Subject| subject.findings.iter().any(|finding| self.fails(finding));
            let failing = self.subjects.iter().filter(failing).count();
            told.push(format!("{failing} with findings of severity {} or above", limit.word()));
        }
        let untold = self.subjects.iter().filter(|subject| subject.untold.is_some()).count();
        if untold > 0 {
            told.push(format!("{untold} not looked at"));
        }
        told.join("; ")
    }

    /// What tells a server from the others of the document, and stays the same from run to run: the target alone
    /// where that is enough, or with its address.
    fn identity(&self, subject: &Subject) -> String {
        match &subject.address {
            Some(address) if self.is_ambiguous(subject) => format!("{} ({address})", subject.target),
            _ => subject.target.clone(),
        }
    }

    /// Whether its target names another server as well.
    fn is_ambiguous(&self, subject: &Subject) -> bool {
        self.subjects.iter().filter(|other| other.target == subject.target).take(2).count() > 1
    }
}

impl Subject {
    /// Its findings, each with its number among those of the same name, from 1 on.
    fn numbered(&self) -> impl Iterator<Item = (&Finding, usize)> {
        self.findings.iter().enumerate().map(|(place, finding)| {
            let before = &self.findings[..place];
            (finding, 1 + before.iter().filter(|other| other.name == finding.name).count())
        })
    }
}

#[cfg(test)]
mod samples;

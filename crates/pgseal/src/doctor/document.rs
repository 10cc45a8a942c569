//! What was found, as the plain value that CI, wikis, monitoring and browsers get their forms of.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Examined, Unseen};
use crate::export::{Document, Gap, Subject};
use crate::findings::Severity;

impl Examined {
    pub(crate) fn document(
        &self,
        target: &str,
        fail_on: Severity,
        at: OffsetDateTime,
        took: Duration,
    ) -> Document {
        let state = if self.running { "running" } else { "down" };
        let gap = |Unseen { what, why, access }: &Unseen| Gap {
            what: what.clone().into_owned(),
            why: why.clone(),
            access: access.clone().into_owned(),
        };
        let subject = Subject {
            target: target.to_owned(),
            address: None,
            what: Some(format!("PostgreSQL {}, {state}", self.version)),
            untold: None,
            grade: None,
            facts: Vec::new(),
            findings: self.findings.clone(),
            known_before: 0,
            unseen: self.unseen.iter().map(gap).collect(),
            certificate: self.certificate,
            took,
        };
        Document { verb: "doctor", at, fail_on: Some(fail_on), subjects: vec![subject] }
    }
}

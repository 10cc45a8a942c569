//! Findings: facts held against a policy. Each has a stable name, a severity, what was seen, why it
//! matters and what mends it; all but what was seen is data that people may want to correct.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::report::escape::for_terminal;
use crate::report::screen::{Mark, Screen};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A letter for a server as a whole, A the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Grade {
    A,
    B,
    C,
    D,
    E,
    F,
}

impl Grade {
    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
        }
    }
}

/// The part of `doctor --fix` that mends a finding, in the order in which they are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fix {
    /// A new certificate.
    Certificate,
    /// A new certificate with a key of the usual type.
    KeyType,
    /// The policy's settings.
    Settings,
    /// Weak methods become SCRAM.
    Scram,
    /// No plaintext over TCP.
    Enforce,
}

/// One entry of the catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    severity: Severity,
    why: String,
    mend: String,
    /// Where the one who made the rule says it.
    reference: String,
    /// What of `doctor --fix` mends it; none where a person has to decide.
    fix: Option<Fix>,
    /// The best grade that a server with it may still have; none where it costs nothing.
    grade: Option<Grade>,
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    /// What was seen.
    pub(crate) evidence: String,
    pub(crate) why: &'static str,
    /// The command that mends it.
    pub(crate) mend: String,
    /// The best grade that is left.
    #[serde(skip)]
    pub(crate) grade: Option<Grade>,
    /// What of `doctor --fix` mends it.
    #[serde(skip)]
    pub(crate) fix: Option<Fix>,
}

fn catalogue() -> &'static BTreeMap<String, Entry> {
    static CATALOGUE: OnceLock<BTreeMap<String, Entry>> = OnceLock::new();
    // A test reads it; a broken one would leave every finding without words, and not without itself.
    CATALOGUE.get_or_init(|| toml::from_str(include_str!("catalogue.toml")).unwrap_or_default())
}

/// Every name of the catalogue.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    catalogue().keys().map(String::as_str)
}

/// What the catalogue says of a finding, wherever it is found.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) why: &'static str,
    /// With `TARGET` in the place of a server.
    pub(crate) mend: String,
}

/// All of the catalogue, by name.
pub(crate) fn rules() -> impl Iterator<Item = Rule> {
    catalogue().iter().map(|(name, entry)| Rule {
        name,
        severity: entry.severity,
        why: &entry.why,
        mend: entry.mend.replace("{target}", "TARGET"),
    })
}

/// The catalogue's page about a finding, in Markdown.
pub(crate) fn page(name: &str) -> Option<String> {
    let entry = catalogue().get(name)?;
    let grade =
        entry.grade.map_or_else(String::new, |grade| format!(" Best grade of a scan: {}.", grade.letter()));
    let fix = if entry.fix.is_some() { " `pgseal doctor TARGET --fix` does." } else { "" };
    Some(format!(
        "## {name}\n\nSeverity: {}.{grade}\n\nWhy it matters: {}.\n\nWhat mends it: `{}`.{fix}\n\nReference: {}\n",
        entry.severity.word(),
        entry.why,
        entry.mend.replace("{target}", "TARGET"),
        entry.reference
    ))
}

impl Finding {
    /// One by its name in the catalogue.
    pub(crate) fn new(name: &'static str, evidence: impl Into<String>, target: &str) -> Self {
        let entry = catalogue().get(name);
        Self {
            name,
            severity: entry.map_or(Severity::High, |entry| entry.severity),
            evidence: evidence.into(),
            why: entry.map_or("", |entry| entry.why.as_str()),
            mend: entry.map_or_else(String::new, |entry| entry.mend.replace("{target}", target)),
            grade: entry.and_then(|entry| entry.grade),
            fix: entry.and_then(|entry| entry.fix),
        }
    }

    /// The same, worse or less bad than usual.
    pub(crate) fn at(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// The same, with another grade.
    pub(crate) fn graded(self, grade: Grade) -> Self {
        Self { grade: Some(grade), ..self }
    }

    /// For people: what, what was seen, and why it matters.
    pub(crate) fn lines(&self, screen: Screen) -> [String; 2] {
        let mark = if self.severity >= Severity::High { Mark::HoldsNot } else { Mark::Mind };
        [
            screen.line(
                mark,
                self.name,
                &for_terminal(&format!("{} ({})", self.evidence, self.severity.word())),
            ),
            for_terminal(&format!("      {}; {}", self.why, self.mend)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_can_be_read_and_every_entry_says_why_and_what_mends_it() {
        let all: BTreeMap<String, Entry> = toml::from_str(include_str!("catalogue.toml")).unwrap();
        assert!(all.len() > 10);
        for (name, entry) in all {
            assert!(!entry.why.is_empty() && !entry.mend.is_empty(), "{name}");
            assert!(entry.reference.starts_with("https://"), "{name}");
        }
    }

    #[test]
    fn a_finding_names_the_target_in_the_command_that_mends_it() {
        let found = Finding::new("tls-off", "N to SSLRequest", "15/main");
        assert_eq!((found.severity, found.mend.as_str()), (Severity::High, "pgseal secure 15/main"));
    }
}

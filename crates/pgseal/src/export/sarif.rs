//! SARIF 2.1.0, as code scanning reads it (OASIS, sarif-v2.1.0-errata01). The catalogue is its rules.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::{Document, Subject};
use crate::failure::Result;
use crate::findings::{Finding, Rule, Severity, rules};
use crate::report::escape::for_terminal;
use crate::report::json;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The notification about a server of which nothing can be said.
const UNTOLD: &str = "not-looked-at";
/// The notification about a part of a server.
const UNSEEN: &str = "not-seen";

#[derive(Serialize)]
struct Log<'a> {
    version: &'static str,
    #[serde(rename = "$schema")]
    schema: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    automation_details: Named<'static>,
    invocations: [Invocation<'a>; 1],
    results: Vec<Row<'a>>,
    column_kind: &'static str,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<RuleRow>,
    notifications: [Descriptor; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleRow {
    id: &'static str,
    short_description: Text,
    full_description: Text,
    help: Text,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

/// What GitHub sorts by: a number between 0 and 10, as text.
#[derive(Serialize)]
struct RuleProperties {
    #[serde(rename = "security-severity")]
    security_severity: &'static str,
    tags: [&'static str; 3],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    short_description: Text,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Text {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<String>,
}

impl Text {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), markdown: None }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    end_time_utc: String,
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    descriptor: Named<'a>,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    rule_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    fingerprints: Fingerprints,
    partial_fingerprints: PartialFingerprints,
    properties: RowProperties,
}

#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "pgseal/v1")]
    pgseal: String,
}

/// The one that GitHub compares.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartialFingerprints {
    primary_location_line_hash: String,
}

#[derive(Serialize)]
struct RowProperties {
    severity: &'static str,
    target: String,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
    logical_locations: [Logical; 1],
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Clone, Serialize)]
struct Artifact {
    uri: String,
}

/// A server has no lines; readers that ask for one get the first.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
    kind: &'static str,
}

pub(super) fn text(document: &Document) -> Result<String> {
    let catalogue: Vec<Rule> = rules().collect();
    json::text(&Log {
        version: "2.1.0",
        schema: SCHEMA,
        runs: [Run {
            tool: Tool { driver: driver(&catalogue) },
            automation_details: Named {
                id: if document.verb == "scan" { "pgseal/scan/" } else { "pgseal/doctor/" },
            },
            invocations: [invocation(document)],
            results: document.subjects.iter().flat_map(|subject| of(document, subject, &catalogue)).collect(),
            column_kind: "utf16CodeUnits",
        }],
    })
}

fn driver(catalogue: &[Rule]) -> Driver {
    Driver {
        name: "pgseal",
        version: env!("CARGO_PKG_VERSION"),
        semantic_version: env!("CARGO_PKG_VERSION"),
        rules: catalogue.iter().map(rule).collect(),
        notifications: [
            Descriptor { id: UNTOLD, short_description: Text::plain("a server could not be looked at") },
            Descriptor {
                id: UNSEEN,
                short_description: Text::plain("a part of a server could not be looked at"),
            },
        ],
    }
}

fn rule(rule: &Rule) -> RuleRow {
    let title = rule.name.replace('-', " ");
    RuleRow {
        id: rule.name,
        short_description: Text::plain(title),
        full_description: Text::plain(rule.why),
        help: Text {
            text: format!("{}. What mends it: {}", rule.why, rule.mend),
            markdown: Some(super::markdown::help(rule)),
        },
        default_configuration: Configuration { level: level(rule.severity) },
        properties: RuleProperties {
            security_severity: match rule.severity {
                Severity::Critical => "9.5",
                Severity::High => "8.0",
                Severity::Medium => "5.5",
                Severity::Low => "3.0",
                Severity::Info => "0.0",
            },
            tags: ["security", "postgresql", "tls"],
        },
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

fn invocation(document: &Document) -> Invocation<'_> {
    let mut notifications = Vec::new();
    for subject in &document.subjects {
        let note = |id, level, text: &str| Notification {
            descriptor: Named { id },
            level,
            message: Text::plain(for_terminal(text)),
            locations: [location(document, subject)],
        };
        notifications.extend(subject.untold.iter().map(|why| note(UNTOLD, "error", why)));
        notifications.extend(
            subject
                .unseen
                .iter()
                .map(|gap| note(UNSEEN, "warning", &format!("{}: {} ({})", gap.what, gap.why, gap.access))),
        );
    }
    Invocation {
        execution_successful: document.subjects.iter().all(|subject| subject.untold.is_none()),
        end_time_utc: document.when(),
        tool_execution_notifications: notifications,
    }
}

fn of<'a>(document: &Document, subject: &'a Subject, catalogue: &[Rule]) -> Vec<Row<'a>> {
    subject
        .numbered()
        .map(|(finding, number)| {
            let fingerprint = fingerprint(&document.identity(subject), finding.name, number);
            Row {
                rule_id: finding.name,
                rule_index: catalogue.iter().position(|rule| rule.name == finding.name),
                level: level(finding.severity),
                message: Text::plain(message(finding)),
                locations: [location(document, subject)],
                partial_fingerprints: PartialFingerprints {
                    primary_location_line_hash: format!("{}:1", &fingerprint[..16]),
                },
                fingerprints: Fingerprints { pgseal: fingerprint },
                properties: RowProperties {
                    severity: finding.severity.word(),
                    target: for_terminal(&subject.target),
                },
            }
        })
        .collect()
}

fn message(finding: &Finding) -> String {
    for_terminal(&format!("{}; {}. What mends it: {}", finding.evidence, finding.why, finding.mend))
}

/// The same from run to run, whatever the evidence says of days and counts.
fn fingerprint(identity: &str, name: &str, number: usize) -> String {
    let sum = digest(&SHA256, format!("{identity}\0{name}\0{number}").as_bytes());
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn location(document: &Document, subject: &Subject) -> Location {
    Location {
        physical_location: Physical {
            artifact_location: Artifact { uri: uri(&subject.target) },
            region: Region { start_line: 1 },
        },
        logical_locations: [Logical {
            fully_qualified_name: for_terminal(&document.identity(subject)),
            kind: "resource",
        }],
    }
}

/// A target as a relative reference, since readers take absolute ones for files of their own: nothing but unreserved
/// characters and `/` (RFC 3986, 2.3) stays as it is.
fn uri(target: &str) -> String {
    let mut uri = String::with_capacity(target.len());
    for byte in target.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::samples::document;
    use super::*;
    use crate::report::escape::dangerous;

    #[test]
    fn every_result_names_a_rule_and_its_fingerprint_outlives_its_evidence() {
        let whole: Value = serde_json::from_str(&text(&document()).unwrap()).unwrap();
        let run = &whole["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        for result in results {
            let place = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][place]["id"], result["ruleId"]);
        }
        let prints = |value: &Value| -> Vec<String> {
            let each = value["runs"][0]["results"].as_array().unwrap().iter();
            each.map(|result| result["fingerprints"]["pgseal/v1"].as_str().unwrap().to_owned()).collect()
        };
        let mut later = document();
        later.subjects[0].findings[1].evidence = "in 8 days".to_owned();
        let later: Value = serde_json::from_str(&text(&later).unwrap()).unwrap();
        assert_eq!(prints(&later), prints(&whole));
        let mut distinct = prints(&whole);
        distinct.dedup();
        assert_eq!(distinct.len(), 3);
    }

    #[test]
    fn nothing_that_is_shown_moves_a_cursor_and_no_reference_leaves_the_repository() {
        let shown = text(&document()).unwrap();
        assert!(shown.chars().all(|c| c == '\n' || !dangerous(c)));
        let whole: Value = serde_json::from_str(&shown).unwrap();
        let said = whole["runs"][0]["results"][0]["message"]["text"].as_str().unwrap();
        assert!(said.contains("ZXZpbA==") && said.chars().all(|c| !dangerous(c)), "{said}");
        for target in ["db:5432", "[::1]:5432", "/var/lib/a b", "//evil.example.org/x", "a\u{202e}\n"] {
            let uri = uri(target);
            assert!(!uri.starts_with('/') && !uri.contains(':'), "{uri}");
            assert!(
                uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)),
                "{uri}"
            );
        }
    }
}

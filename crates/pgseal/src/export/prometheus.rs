//! Metrics in Prometheus' text format, version 0.0.4, as the textfile collector of its node exporter reads them. Evidence
//! is no label: what changes from run to run would begin a new series each time.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Document, Subject};
use crate::findings::Severity;
use crate::report::escape::for_terminal;

const SEVERITIES: [Severity; 5] =
    [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

/// A metric: its name, what it says, and its samples of one server.
struct Metric {
    name: &'static str,
    help: &'static str,
    samples: fn(&Subject) -> Vec<Sample>,
}

/// Labels beside those that every sample has, and the value.
struct Sample {
    labels: Vec<(&'static str, &'static str)>,
    value: String,
}

impl Sample {
    fn of(value: &impl ToString) -> Self {
        Self { labels: Vec::new(), value: value.to_string() }
    }
}

const METRICS: [Metric; 7] = [
    Metric {
        name: "pgseal_up",
        help: "Whether the server could be looked at: 1 or 0.",
        samples: |subject| vec![Sample::of(&u8::from(subject.untold.is_none()))],
    },
    Metric {
        name: "pgseal_duration_seconds",
        help: "How long it took to look.",
        samples: |subject| vec![Sample::of(&subject.took.as_secs_f64())],
    },
    Metric {
        name: "pgseal_finding",
        help: "How often a finding was made, by its stable name.",
        samples: by_name,
    },
    Metric {
        name: "pgseal_findings",
        help: "How many findings of a severity there are.",
        samples: by_severity,
    },
    Metric {
        name: "pgseal_grade",
        help: "1 for the grade that a scan gave, A the best and F the worst.",
        samples: |subject| {
            let labels = subject.grade.map(|(grade, _)| vec![("grade", grade.letter())]);
            labels.into_iter().map(|labels| Sample { labels, value: "1".to_owned() }).collect()
        },
    },
    Metric {
        name: "pgseal_certificate_not_before_seconds",
        help: "From when on the server's certificate is valid, in seconds since 1970.",
        samples: |subject| subject.certificate.iter().map(|dates| instant(dates.not_before)).collect(),
    },
    Metric {
        name: "pgseal_certificate_not_after_seconds",
        help: "When the server's certificate expires, in seconds since 1970.",
        samples: |subject| subject.certificate.iter().map(|dates| instant(dates.not_after)).collect(),
    },
];

pub(super) fn text(document: &Document) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{}\n", lines.join("\n")));
        }
    };
    for Metric { name, help, samples } in METRICS {
        let of = |subject: &Subject| {
            let known = known(document, subject);
            let line = |sample: Sample| {
                let more: String =
                    sample.labels.iter().map(|(name, value)| format!(",{name}=\"{value}\"")).collect();
                format!("{name}{{{known}{more}}} {}", sample.value)
            };
            samples(subject).into_iter().map(line).collect::<Vec<_>>()
        };
        metric(name, help, document.subjects.iter().flat_map(of).collect());
    }
    let verb = document.verb;
    metric(
        "pgseal_looked_at_timestamp_seconds",
        "When the last server had been looked at, in seconds since 1970.",
        vec![format!(
            "pgseal_looked_at_timestamp_seconds{{verb=\"{verb}\"}} {}",
            document.at.unix_timestamp()
        )],
    );
    metric(
        "pgseal_build_info",
        "1, of the version that looked.",
        vec![format!("pgseal_build_info{{verb=\"{verb}\",version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))],
    );
    text
}

/// The labels that every sample has. A scan and a doctor of one server are told apart, so that their files can lie in
/// one directory.
fn known(document: &Document, subject: &Subject) -> String {
    let mut known = format!("verb=\"{}\",target=\"{}\"", document.verb, label(&subject.target));
    if let Some(address) = subject.address.as_ref().filter(|_| document.is_ambiguous(subject)) {
        known.push_str(&format!(",address=\"{}\"", label(address)));
    }
    known
}

/// A label's value, with what would end it escaped.
fn label(text: &str) -> String {
    for_terminal(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn instant(time: OffsetDateTime) -> Sample {
    Sample::of(&time.unix_timestamp())
}

fn by_name(subject: &Subject) -> Vec<Sample> {
    let mut counts: BTreeMap<(&str, Severity), u32> = BTreeMap::new();
    for finding in &subject.findings {
        *counts.entry((finding.name, finding.severity)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((name, severity), count)| Sample {
            labels: vec![("name", name), ("severity", severity.word())],
            value: count.to_string(),
        })
        .collect()
}

/// Zero as well: an alert ends when a number falls, and not when a series does.
fn by_severity(subject: &Subject) -> Vec<Sample> {
    if subject.untold.is_some() {
        return Vec::new();
    }
    SEVERITIES
        .into_iter()
        .map(|severity| Sample {
            labels: vec![("severity", severity.word())],
            value: subject.findings.iter().filter(|found| found.severity == severity).count().to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::document;
    use super::*;

    #[test]
    fn a_label_ends_where_we_end_it() {
        assert_eq!(label("a\"} 1\n\\"), r#"a\"} 1\\n\\"#);
        let text = text(&document());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let quotes = line.replace(r"\\", "").replace(r#"\""#, "").matches('"').count();
            assert_eq!(quotes % 2, 0, "{line}");
            assert!(line.rsplit_once("} ").is_some_and(|(_, value)| value.parse::<f64>().is_ok()), "{line}");
        }
    }

    #[test]
    fn what_is_said_twice_is_counted() {
        let text = text(&document());
        assert!(
            text.contains(r#"name="certificate-expiring",severity="medium"} 2"#)
                && text.contains(r#"pgseal_up{verb="scan",target="away:5432"} 0"#)
                && text.contains(r#"pgseal_findings{verb="scan",target="well:5432",severity="high"} 0"#)
                && text.contains("} 1796256000\n"),
            "{text}"
        );
        assert_eq!(text.matches("# TYPE pgseal_finding gauge").count(), 1);
    }
}

//! JUnit's XML, as GitLab and Jenkins read it: a server is a suite, a finding a case. A case fails from the severity
//! on that was asked for; a server that could not be looked at is an error, a part of one that could not is skipped.

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{Document, Subject};
use crate::failure::{Failure, Result};
use crate::findings::Finding;
use crate::report::escape::for_terminal;

pub(super) fn text(document: &Document) -> Result<String> {
    let mut report = Report::new(format!("pgseal {}", document.verb));
    report.set_time(document.subjects.iter().map(|subject| subject.took).sum());
    report.add_test_suites(document.subjects.iter().map(|subject| suite(document, subject)));
    report.to_string().map_err(|error| Failure::new(format!("could not write the result as XML: {error}")))
}

fn suite(document: &Document, subject: &Subject) -> TestSuite {
    let name = xml(&document.identity(subject));
    let mut suite = TestSuite::new(name.clone());
    suite.set_time(subject.took);
    suite.extra.insert("timestamp".into(), document.when().into());
    let mut property = |name: &str, value: &str| {
        suite.add_property(Property::new(name, xml(value)));
    };
    if let Some(what) = &subject.what {
        property("server", what);
    }
    if let Some(address) = &subject.address {
        property("address", address);
    }
    if let Some((grade, set_by)) = subject.grade {
        property("grade", grade.letter());
        if let Some(set_by) = set_by {
            property("grade set by", set_by);
        }
    }
    let mut cases = vec![looked_at(subject)];
    cases.extend(subject.numbered().map(|(finding, number)| case(document, finding, number)));
    cases.extend(subject.unseen.iter().map(|gap| {
        let mut skipped = TestCaseStatus::skipped();
        skipped.set_message(xml(&format!("{} ({})", gap.why, gap.access)));
        TestCase::new(xml(&gap.what), skipped)
    }));
    for mut case in cases {
        case.set_classname(format!("{} {}", document.verb, name.as_str()));
        suite.add_test_case(case);
    }
    suite
}

/// A server without a finding has one case, which passes.
fn looked_at(subject: &Subject) -> TestCase {
    let status = match &subject.untold {
        None => TestCaseStatus::success(),
        Some(why) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("not looked at").set_message(xml(why));
            status
        }
    };
    let mut case = TestCase::new("looked at", status);
    case.set_time(subject.took);
    case
}

fn case(document: &Document, finding: &Finding, number: usize) -> TestCase {
    // CI compares cases by their names.
    let name = if number == 1 { finding.name.to_owned() } else { format!("{} {number}", finding.name) };
    let lines = [
        format!("severity: {}", finding.severity.word()),
        format!("seen: {}", for_terminal(&finding.evidence)),
        format!("why it matters: {}", finding.why),
        format!("what mends it: {}", for_terminal(&finding.mend)),
    ];
    let lines = XmlString::new(lines.join("\n"));
    if document.fails(finding) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type(finding.severity.word()).set_message(xml(&finding.evidence)).set_description(lines);
        return TestCase::new(name, status);
    }
    let mut case = TestCase::new(name, TestCaseStatus::success());
    case.set_system_out(lines);
    case
}

/// On one line, and of nothing but characters that XML 1.0 has (section 2.2).
fn xml(text: &str) -> XmlString {
    XmlString::new(for_terminal(text))
}

#[cfg(test)]
mod tests {
    use super::super::samples::document;
    use super::*;
    use crate::findings::Severity;

    #[test]
    fn what_fails_is_what_was_asked_for() {
        let counts = |fail_on: Option<Severity>| {
            let text = text(&Document { fail_on, ..document() }).unwrap();
            let head = text.lines().find(|line| line.starts_with("<testsuites")).unwrap().to_owned();
            assert!(head.contains(r#"tests="7" skipped="1""#) && head.contains(r#"errors="1""#), "{head}");
            text.matches("<failure").count()
        };
        assert_eq!(counts(Some(Severity::High)), 1);
        assert_eq!(counts(Some(Severity::Medium)), 3);
        assert_eq!(counts(None), 0);
    }

    #[test]
    fn nothing_is_dropped_and_nothing_breaks_out() {
        let text = text(&document()).unwrap();
        assert!(
            text.contains("ZXZpbA==") && text.contains("\\u{1b}") && text.contains("\\u{fffe}"),
            "{text}"
        );
        assert!(!text.contains("</script>") && !text.contains("<img"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !crate::report::escape::dangerous(c)), "{text}");
    }
}

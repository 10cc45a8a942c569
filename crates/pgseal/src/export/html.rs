//! One page for people with a browser: on a phone, on paper, in light and in dark. It loads nothing, runs nothing, and
//! lets a browser do neither: its policy names its one style sheet by digest. What is not ours goes in through maud,
//! which escapes it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Document, Gap, Subject};
use crate::findings::{Finding, Grade, Severity};
use crate::report::escape::for_terminal;
use crate::report::fact::Fact;
use crate::report::screen::{Mark, Screen};

const STYLE: &str = include_str!("page.css");

pub(super) fn text(document: &Document) -> String {
    let digest = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title(document)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "pgseal " (document.verb) }
                    p.soft { (document.summary()) }
                }
                main {
                    @if document.subjects.len() > 1 { (overview(document)) }
                    @for (place, subject) in document.subjects.iter().enumerate() {
                        (section(document, place, subject))
                    }
                }
                footer {
                    p { "pgseal " (env!("CARGO_PKG_VERSION")) ", " (document.when()) "." }
                }
            }
        }
    };
    format!("{}\n", page.into_string())
}

fn title(document: &Document) -> String {
    match document.subjects.as_slice() {
        [one] => format!("pgseal {}: {}", document.verb, for_terminal(&one.target)),
        all => format!("pgseal {}: {} servers", document.verb, all.len()),
    }
}

/// What is not ours, as it is: what a terminal would obey, or what turns text around, can be seen.
fn foreign(text: &str) -> Markup {
    html! { code { (for_terminal(text)) } }
}

fn overview(document: &Document) -> Markup {
    let graded = document.subjects.iter().any(|subject| subject.grade.is_some());
    html! {
        table {
            thead { tr { th scope="col" { "server" } @if graded { th scope="col" { "grade" } } th scope="col" { "findings" } } }
            tbody {
                @for (place, subject) in document.subjects.iter().enumerate() {
                    tr {
                        td { a href=(format!("#server-{}", place + 1)) { (foreign(&document.identity(subject))) } }
                        @if graded { td { @if let Some((grade, _)) = subject.grade { b class=(of_grade(grade)) { (grade.letter()) } } } }
                        td { (counted(subject)) }
                    }
                }
            }
        }
    }
}

/// `1 high, 2 medium`.
fn counted(subject: &Subject) -> String {
    if subject.untold.is_some() {
        return "not looked at".to_owned();
    }
    let count = |severity: Severity| {
        let number = subject.findings.iter().filter(|finding| finding.severity == severity).count();
        (number > 0).then(|| format!("{number} {}", severity.word()))
    };
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    let each: Vec<String> = severities.into_iter().filter_map(count).collect();
    if each.is_empty() { "none".to_owned() } else { each.join(", ") }
}

fn section(document: &Document, place: usize, subject: &Subject) -> Markup {
    html! {
        section id=(format!("server-{}", place + 1)) {
            div.head {
                div {
                    h2 { (foreign(&document.identity(subject))) }
                    @if let Some(what) = &subject.what { p { (for_terminal(what)) } }
                    @if let Some(address) = &subject.address { p.soft { "at " (foreign(address)) } }
                    @if let Some((_, Some(rule))) = subject.grade { p.soft { "grade set by " (foreign(rule)) } }
                }
                @if let Some((grade, _)) = subject.grade {
                    p class=(format!("grade {}", of_grade(grade))) { small { "grade" } (grade.letter()) }
                }
            }
            @if let Some(why) = &subject.untold {
                p.bad { b { "Not looked at: " } (foreign(why)) }
            } @else {
                @if !subject.facts.is_empty() { ul.facts { @for fact in &subject.facts { (seen(fact)) } } }
                (findings(document, subject))
                @if !subject.unseen.is_empty() { (unseen(&subject.unseen)) }
            }
        }
    }
}

fn seen(fact: &Fact) -> Markup {
    let (class, meaning) = match fact.mark {
        Mark::Holds => ("good", "holds"),
        Mark::HoldsNot => ("bad", "does not hold"),
        Mark::CannotTell => ("mind", "could not tell"),
        Mark::Mind => ("mind", "mind this"),
    };
    html! {
        li {
            span class=(format!("mark {class}")) role="img" aria-label=(meaning) title=(meaning) { (Screen::of_a_page().mark(fact.mark)) }
            span { b { (for_terminal(&fact.title)) } }
            span { (for_terminal(&fact.text)) }
        }
    }
}

fn findings(document: &Document, subject: &Subject) -> Markup {
    html! {
        h3 { "Findings" }
        @if subject.findings.is_empty() { p.good { "None." } }
        @for finding in &subject.findings { (found(document, finding)) }
        @if subject.known_before > 0 {
            p.soft { (subject.known_before) " more that the baseline has as well." }
        }
    }
}

fn found(document: &Document, finding: &Finding) -> Markup {
    let class = of_severity(finding.severity);
    html! {
        article class=(format!("finding {class}")) {
            h4 {
                (finding.name)
                span class=(format!("severity {class}")) { (finding.severity.word()) }
                @if document.fails(finding) { span.soft { "fails" } }
            }
            dl {
                dt { "seen" } dd { (foreign(&finding.evidence)) }
                dt { "why it matters" } dd { (finding.why) }
                dt { "what mends it" } dd { (foreign(&finding.mend)) }
            }
        }
    }
}

fn unseen(gaps: &[Gap]) -> Markup {
    html! {
        h3 { "Not looked at" }
        ul {
            @for gap in gaps {
                li { b { (for_terminal(&gap.what)) } ": " (foreign(&gap.why)) " (" (for_terminal(&gap.access)) ")" }
            }
        }
    }
}

const fn of_grade(grade: Grade) -> &'static str {
    match grade {
        Grade::A | Grade::B => "good",
        Grade::C | Grade::D => "mind",
        Grade::E | Grade::F => "bad",
    }
}

const fn of_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "bad",
        Severity::Medium => "mind",
        Severity::Low | Severity::Info => "soft",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::document;
    use super::*;
    use crate::report::escape::dangerous;

    #[test]
    fn a_page_holds_no_element_that_is_not_ours_and_nothing_invisible() {
        let page = text(&document());
        assert!(page.contains("ZXZpbA==") && page.contains("&lt;/script&gt;&lt;img"), "{page}");
        assert!(!page.contains("<img") && !page.contains("<script") && !page.contains("</script"), "{page}");
        assert!(page.chars().all(|c| c == '\n' || !dangerous(c)), "{page}");
    }

    #[test]
    fn the_policy_names_the_style_sheet_that_is_there() {
        let page = text(&document());
        let inside = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert_eq!(inside, STYLE);
        assert!(
            !STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"),
            "it loads nothing"
        );
        assert!(page.contains(&STANDARD.encode(digest(&SHA256, inside.as_bytes()))));
    }
}

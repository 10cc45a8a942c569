//! GitHub flavoured Markdown, for issues, wikis and the summaries of CI jobs.
//!
//! What is not ours stands in code, where no markup, no link and no mention is made of it: in backticks where that is
//! enough, or else in an element with every other character as a reference. A cell of a table is one line without a
//! bare bar, wherever it stands (GitHub Flavored Markdown, 4.10).

use super::{Document, Subject};
use crate::findings::{Finding, Rule};
use crate::report::escape::for_terminal;
use crate::report::screen::Screen;

pub(super) fn text(document: &Document) -> String {
    let mut parts = vec![format!("# pgseal {}", document.verb), document.summary()];
    for subject in &document.subjects {
        parts.extend(section(document, subject));
    }
    format!("{}\n", parts.join("\n\n"))
}

/// What a rule is about, for readers that show it.
pub(super) fn help(rule: &Rule) -> String {
    format!("Why it matters: {}.\n\nWhat mends it: {}", words(rule.why), code(&rule.mend))
}

fn section(document: &Document, subject: &Subject) -> Vec<String> {
    let grade = subject.grade.map(|(grade, _)| format!(", grade {}", grade.letter())).unwrap_or_default();
    let mut parts = vec![format!("## {}{grade}", code(&document.identity(subject)))];
    let set_by = subject.grade.and_then(|(_, rule)| rule).map(|rule| format!("grade set by {}", code(rule)));
    let address = subject.address.as_ref().map(|address| code(address));
    let about: Vec<String> =
        [subject.what.as_deref().map(words), address, set_by].into_iter().flatten().collect();
    if !about.is_empty() {
        parts.push(about.join(", "));
    }
    if let Some(why) = &subject.untold {
        parts.push(format!("Not looked at: {}", code(why)));
        return parts;
    }
    if !subject.facts.is_empty() {
        let rows = subject.facts.iter().map(|fact| {
            let mark = Screen::of_a_page().mark(fact.mark);
            vec![mark, words(&fact.title), said(&fact.text)]
        });
        parts.push(table(&["", "what", "seen"], rows));
    }
    if subject.findings.is_empty() {
        parts.push("No findings.".to_owned());
    } else {
        let header = ["severity", "finding", "seen", "why it matters", "what mends it"];
        parts.push(table(&header, subject.findings.iter().map(|finding| row(document, finding))));
    }
    if subject.known_before > 0 {
        parts.push(format!("{} more that the baseline has as well.", subject.known_before));
    }
    if !subject.unseen.is_empty() {
        let rows =
            subject.unseen.iter().map(|gap| vec![words(&gap.what), code(&gap.why), words(&gap.access)]);
        parts.push(table(&["not looked at", "because", "what would show it"], rows));
    }
    parts
}

fn row(document: &Document, finding: &Finding) -> Vec<String> {
    let severity = finding.severity.word();
    let severity = if document.fails(finding) { format!("**{severity}**") } else { severity.to_owned() };
    vec![severity, code(finding.name), code(&finding.evidence), words(finding.why), code(&finding.mend)]
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines =
        vec![format!("| {} |", header.join(" | ")), format!("|{}", " --- |".repeat(header.len()))];
    lines.extend(rows.map(|cells| format!("| {} |", cells.join(" | "))));
    lines.join("\n")
}

/// Foreign text, as it is and on one line.
fn code(text: &str) -> String {
    let text = for_terminal(text);
    let bare = !text.contains(['`', '|', '\\']) && text.trim() == text && !text.is_empty();
    if bare {
        format!("`{text}`")
    } else {
        format!("<code>{}</code>", references(&text, |c| !c.is_alphanumeric()))
    }
}

/// What was seen, as words where nobody would be called and no issue be meant by them: readers look for those in what
/// is shown, however it was written.
fn said(text: &str) -> String {
    if text.contains(['@', '#']) { code(text) } else { words(text) }
}

/// Words of a sentence, which mean nothing but themselves.
fn words(text: &str) -> String {
    let text = for_terminal(text);
    let inside = |before: Option<char>, after: Option<char>| {
        before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)
    };
    let mut all = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let markup = match c {
            '_' => !inside(before, rest.peek().copied()),
            // Links are made of addresses without any markup around them.
            ':' => rest.peek() == Some(&'/'),
            '.' => all.to_ascii_lowercase().ends_with("www"),
            _ => "`*[]<>&|\\~@#!^$".contains(c),
        };
        if markup {
            all.push_str(&reference(c));
        } else {
            all.push(c);
        }
        before = Some(c);
    }
    all
}

fn references(text: &str, which: impl Fn(char) -> bool) -> String {
    text.chars().map(|c| if which(c) && c != ' ' { reference(c) } else { c.to_string() }).collect()
}

fn reference(c: char) -> String {
    format!("&#{};", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{HOSTILE, document};
    use super::*;

    #[test]
    fn a_table_keeps_its_columns_whatever_stands_in_it() {
        let text = text(&document());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        for row in &rows {
            let bars = row.matches('|').count();
            assert!([4, 6].contains(&bars), "{row}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 4, "{text}");
    }

    #[test]
    fn foreign_words_are_shown_as_they_are() {
        assert_eq!(code("CN=db, O=x"), "`CN=db, O=x`");
        assert_eq!(code("a|b`"), "<code>a&#124;b&#96;</code>");
        assert_eq!(code(""), "<code></code>");
        assert_eq!(
            words("in pg_hba.conf <b> http://x www.x"),
            "in pg_hba.conf &#60;b&#62; http&#58;//x www&#46;x"
        );
        assert!(code(HOSTILE).contains("ZXZpbA"));
    }
}

//! A certificate and a role may be called anything. In each form that a scan or a doctor is printed in, a real reader of
//! that form finds the words where they belong, whole, and nothing that they would have begun, ended or turned around.

use rcgen::DnType;
use serde_json::Value;

use crate::harness::{
    Account, Browser, Element, Forge, Install, Living, Ran, TlsServer, is_sarif, leaf_params, markdown,
    metrics, record, this_year, versions, xml,
};

const PROMISE: &str = "a hostile word breaks out of no form";

/// Writes to the clipboard, runs, loads, turns text around, ends labels, cells and code, calls people, begins lines.
const HOSTILE: &str = "db\u{1b}]52;c;ZXZpbA==\u{7}</script><img src=x onerror=alert(1)>&amp;\u{202e}gpj\"} 1 | `x` \\| \
                       @all #1 https://example.org ]]><!--\n# heading\u{fffe}";
/// The same, as long as a role's name may be.
const ROLE: &str = "</dd><img src=x>&lt;\u{202e}\"} 1 | `x` \\| @all ]]>\n# h\u{1b}[2J";

/// Something that was found: its name and what was seen.
struct Found {
    name: String,
    severity: String,
    seen: String,
}

/// As a form shows it: what a terminal would obey is spelled.
fn spelled(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|c| if obeyed(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// The findings of the JSON, which holds every byte.
fn found(row: &Value) -> Vec<Found> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let one = |finding: &Value| Found {
        name: text(&finding["name"]),
        severity: text(&finding["severity"]),
        seen: spelled(&text(&finding["evidence"])),
    };
    row["findings"].as_array().expect("a list").iter().map(one).collect()
}

/// Holds each form against what was found.
#[track_caller]
fn each_form_holds(target: &str, found: &[Found], print: &dyn Fn(&str) -> Ran) {
    let printed = |format: &str| {
        let ran = print(format);
        ran.harmless();
        record(PROMISE, 1);
        ran.stdout().to_owned()
    };
    in_sarif(&printed("sarif"), found);
    in_junit(&printed("junit"), target, found);
    in_markdown(&printed("markdown"), target, found);
    in_metrics(&printed("prometheus"), target, found);
    in_a_page(&printed("html"), target, found);
}

fn in_sarif(document: &str, found: &[Found]) {
    is_sarif(document);
    let whole: Value = serde_json::from_str(document).expect("it is JSON");
    let results = whole["runs"][0]["results"].as_array().expect("a list");
    assert_eq!(results.len(), found.len());
    for (result, found) in results.iter().zip(found) {
        assert_eq!(result["ruleId"], found.name.as_str());
        let said = result["message"]["text"].as_str().expect("a text");
        assert!(said.starts_with(&found.seen), "{said}");
    }
}

fn in_junit(document: &str, target: &str, found: &[Found]) {
    let root = xml(document);
    let suites = root.all("testsuite");
    assert_eq!((suites.len(), suites[0].attribute("name")), (1, target));
    let cases = suites[0].all("testcase");
    for found in found {
        let own = |case: &&Element| {
            let name = case.attribute("name");
            let said = case.whole_text();
            name.split(' ').next() == Some(&found.name)
                && said.lines().any(|line| line == format!("seen: {}", found.seen))
        };
        assert!(cases.iter().any(|case| own(&case)), "{} {} in\n{document}", found.name, found.seen);
    }
    let tests: usize = suites[0].attribute("tests").parse().expect("a number");
    assert_eq!(tests, cases.len());
}

fn in_markdown(document: &str, target: &str, found: &[Found]) {
    let root = markdown(document);
    let headings: Vec<String> = root.all("heading").iter().map(words_of).collect();
    assert_eq!(headings.len(), 2, "{headings:?}");
    assert!(headings[1].starts_with(target), "{headings:?}");
    for unwanted in ["link", "image", "html_block", "list", "code_block"] {
        assert!(root.all(unwanted).is_empty(), "{unwanted} in\n{document}");
    }
    for inline in root.all("html_inline") {
        assert!(["<code>", "</code>"].contains(&inline.text()), "{inline:?}");
    }
    let tables = root.all("table");
    for table in &tables {
        let columns = table.all("table_header")[0].all("table_cell").len();
        for row in table.all("table_row") {
            assert_eq!(row.all("table_cell").len(), columns, "{row:?}");
        }
    }
    let rows: Vec<Vec<String>> = tables
        .iter()
        .flat_map(|table| table.all("table_row"))
        .map(|row| row.all("table_cell").iter().map(words_of).collect())
        .collect();
    for found in found {
        let own = |row: &&Vec<String>| row.get(1) == Some(&found.name) && row.get(2) == Some(&found.seen);
        let row =
            rows.iter().find(own).unwrap_or_else(|| panic!("{} {} in\n{document}", found.name, found.seen));
        assert_eq!(row[0], found.severity);
    }
}

/// The words of an element, without the tags that stand among them.
fn words_of(element: &Element) -> String {
    let own = if element.name() == "html_inline" { "" } else { element.text() };
    // The tree is printed with its elements on lines of their own.
    let own = if own.trim().is_empty() && own.contains('\n') { "" } else { own };
    let inside: String = element.children().iter().map(words_of).collect();
    format!("{own}{inside}")
}

fn in_metrics(document: &str, target: &str, found_all: &[Found]) {
    let samples = metrics(document);
    let up: Vec<_> = samples.iter().filter(|(name, ..)| name == "pgseal_up").collect();
    assert_eq!((up.len(), up[0].2), (1, 1.0));
    assert_eq!(up[0].1["target"], target);
    for found in found_all {
        let same =
            found_all.iter().filter(|other| (&other.name, &other.severity) == (&found.name, &found.severity));
        let count = f64::from(u32::try_from(same.count()).expect("few"));
        let labels = [("name", &found.name), ("severity", &found.severity)];
        let own = |(name, has, _): &&(String, Value, f64)| {
            name == "pgseal_finding" && labels.iter().all(|(label, value)| has[*label] == value.as_str())
        };
        assert_eq!(samples.iter().find(own).map(|(.., value)| *value), Some(count), "{}", found.name);
    }
}

fn in_a_page(document: &str, target: &str, found: &[Found]) {
    let mut browser = Browser::start();
    let sandbox = crate::harness::Sandbox::new();
    let file = sandbox.file_of(&Account::current(), "page.html", 0o644, document);
    let aside = browser.open(&file);
    assert!(aside.said.is_empty() && aside.asked_for.is_empty(), "{aside:?}");
    let unwanted =
        "document.querySelectorAll('img, script, iframe, object, embed, form, link, svg, base').length";
    assert_eq!(browser.value(unwanted), 0);
    assert!(browser.value("document.title").as_str().is_some_and(|title| title.ends_with(target)));
    let seen =
        browser.value("[...document.querySelectorAll('.finding dd:first-of-type')].map(e => e.textContent)");
    let expected: Vec<&str> = found.iter().map(|found| found.seen.as_str()).collect();
    assert_eq!(seen, serde_json::json!(expected));
}

#[test]
fn a_hostile_certificate_is_reported_as_it_is_in_every_form() {
    let forge = Forge::new("another");
    let (from, until) = this_year();
    let mut params = leaf_params(&[] as &[&str], from, until);
    params.distinguished_name.push(DnType::CommonName, HOSTILE);
    let leaf = forge.sign(&params);
    for version in versions() {
        let server = TlsServer::showing(&Install::of(*version), &leaf, |setup| setup);
        let target = format!("localhost:{}", server.port());
        let found = found(&server.scanned(&["--quick"]));
        let hostile = spelled(HOSTILE);
        assert!(found.iter().any(|found| found.seen.contains(&hostile)), "the certificate's name is seen");
        each_form_holds(&target, &found, &|format| {
            server.scan(&["--quick", "--fail-on", "never", "--format", format]).succeeded()
        });
    }
}

#[test]
fn a_hostile_role_is_reported_as_it_is_in_every_form() {
    let living = Living::of(18);
    living.sql(&format!(
        "SET password_encryption = 'md5';\nCREATE ROLE \"{}\" LOGIN PASSWORD 'x';",
        ROLE.replace('"', "\"\"")
    ));
    let by = Account::current();
    let doctor =
        |format: &str| living.verb("doctor", &["--fail-on", "critical", "--format", format], &by).run();
    let found = found(&doctor("json").succeeded().json());
    assert!(found.iter().any(|found| found.seen.contains(&spelled(ROLE))), "the role's name is seen");
    each_form_holds(&living.target().display().to_string(), &found, &|format| doctor(format).succeeded());
}

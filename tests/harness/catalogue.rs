//! What the scenarios have seen of each finding of the catalogue: a page, put together anew from what every scenario has
//! left, whichever of them runs last. Knows names, not servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process;

use super::install::project;

/// The longest evidence that is shown.
const LONGEST: usize = 160;

/// That `doctor` named a finding where it was brought about, with what evidence, and did not name it on the healthy
/// counterpart: the same server before and after.
pub(crate) fn named_and_gone(name: &str, version: u32, evidence: &str) {
    named_and_gone_on(name, &format!("PostgreSQL {version}"), evidence);
}

/// The same of something else than a server of a version, or by another verb than `doctor`: what that was, in words.
pub(crate) fn named_and_gone_on(name: &str, on: &str, evidence: &str) {
    let pages = names();
    assert!(pages.contains(&name.to_owned()), "docs/findings.md has no page on {name}");
    let folder = project().join("target/catalogue");
    fs::create_dir_all(&folder).expect("the results have a place");
    let evidence: String = evidence.chars().take(LONGEST).collect();
    let line = format!("{}\t{on}\n", evidence.replace(['\t', '\n', '|'], " "));
    write(&folder.join(format!("{name}.tsv")), &line);
    write(&folder.join("README.md"), &page(&folder, &pages));
}

/// The whole catalogue, with both results of each finding as far as scenarios have run.
fn page(folder: &Path, names: &[String]) -> String {
    let seen: BTreeMap<&str, String> = names
        .iter()
        .filter_map(|name| {
            Some((name.as_str(), fs::read_to_string(folder.join(format!("{name}.tsv"))).ok()?))
        })
        .collect();
    let rows: Vec<String> = names
        .iter()
        .map(|name| match seen.get(name.as_str()).and_then(|line| line.trim_end().split_once('\t')) {
            Some((evidence, on)) => format!("| {name} | named: {evidence} | not named | {on} |"),
            None => format!("| {name} | – | – | no scenario of this run |"),
        })
        .collect();
    format!(
        "# The catalogue, as the scenarios saw it\n\n{} of {} findings.\n\n| finding | where it is | where it is not | on |\n\
         |---|---|---|---|\n{}\n",
        seen.len(),
        names.len(),
        rows.join("\n")
    )
}

/// Every name of the catalogue.
fn names() -> Vec<String> {
    let text = fs::read_to_string(project().join("docs/findings.md")).expect("docs/findings.md is there");
    text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect()
}

/// Whole, by one rename: scenarios run at the same time.
fn write(path: &Path, text: &str) {
    let new = path.with_extension(process::id().to_string());
    fs::write(&new, text).and_then(|()| fs::rename(&new, path)).expect("the results can be written");
}

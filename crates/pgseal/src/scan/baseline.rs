//! An earlier scan, from its JSON: what is not new since is not said again.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::report::Report;
use crate::failure::{Failure, Result};
use crate::findings::Severity;
use crate::privilege::files;

/// The JSON of a fleet of ten thousand.
const LIMIT: u64 = 256 << 20;

/// The findings of an earlier scan, by target.
pub(crate) struct Baseline(BTreeMap<Key, Vec<(String, Severity)>>);

/// A target, and the address that was scanned.
type Key = (String, Option<String>);

impl Baseline {
    /// From a file that `--format json` or `jsonl` wrote.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_named(path, LIMIT).map_err(|error| {
            Failure::io("read the baseline", path, &error).hint("pgseal scan --format json")
        })?;
        Self::parse(&bytes).map_err(|why| {
            Failure::new(format!("{} is no JSON of pgseal scan: {why}", path.display()))
                .hint("pgseal scan … --format json > FILE")
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let rows: Vec<Value> = match serde_json::from_str::<Value>(text) {
            Ok(whole) => match whole.get("targets").and_then(Value::as_array) {
                Some(rows) => rows.clone(),
                None => vec![whole],
            },
            // One object a line.
            Err(_) => text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(serde_json::from_str)
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?,
        };
        let mut known = BTreeMap::new();
        for row in rows {
            let target = row.get("target").and_then(Value::as_str).ok_or("an entry names no target")?;
            let address = row.get("address").and_then(Value::as_str).map(str::to_owned);
            let findings = row.get("findings").and_then(Value::as_array).ok_or("an entry has no findings")?;
            let each = findings.iter().filter_map(|finding| {
                let name = finding.get("name")?.as_str()?.to_owned();
                let severity = serde_json::from_value(finding.get("severity")?.clone()).ok()?;
                Some((name, severity))
            });
            known.insert((target.to_owned(), address), each.collect());
        }
        Ok(Self(known))
    }

    /// Takes out what was as bad before. A target that was not scanned before keeps everything.
    pub(crate) fn apply(&self, report: &mut Report) {
        let label = &report.scanned.target.label;
        let address = report.scanned.address.map(|address| address.to_string());
        let before = self
            .0
            .get(&(label.clone(), address))
            .or_else(|| self.0.iter().find(|((target, _), _)| target == label).map(|(_, findings)| findings));
        let Some(before) = before else {
            return;
        };
        let count = report.findings.len();
        report.findings.retain(|finding| {
            !before.iter().any(|(name, severity)| name == finding.name && *severity >= finding.severity)
        });
        report.known_before = count - report.findings.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_json_are_read_and_nothing_else() {
        let row = r#"{"target":"db:5432","address":"::1","findings":[{"name":"tls-off","severity":"high"}]}"#;
        for text in [row.to_owned(), format!(r#"{{"targets":[{row}]}}"#), format!("{row}\n\n{row}\n")] {
            let baseline = Baseline::parse(text.as_bytes()).unwrap();
            let key = ("db:5432".to_owned(), Some("::1".to_owned()));
            assert_eq!(baseline.0[&key], [("tls-off".to_owned(), Severity::High)], "{text}");
        }
        for text in ["", "[]", "{", r#"{"target":"a"}"#, "\u{ff}x"] {
            assert!(Baseline::parse(text.as_bytes()).is_err() || text.is_empty(), "{text}");
        }
    }
}

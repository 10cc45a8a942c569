//! Those who read what pgseal writes for other programs: SARIF's JSON Schema, an XML parser, GitHub's Markdown, promtool
//! and Prometheus' parser. They know formats, not what stands in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::install::cache;
use super::process::{Ran, run};

const PATIENCE: Duration = Duration::from_secs(60);

/// Faults of a document by a schema of draft 7, a line each.
const SCHEMA: &str = "
import json, sys
from jsonschema import Draft7Validator, FormatChecker
schema = json.load(open(sys.argv[1]))
Draft7Validator.check_schema(schema)
for fault in Draft7Validator(schema, format_checker=FormatChecker()).iter_errors(json.load(sys.stdin)):
    print('/'.join(map(str, fault.absolute_path)), fault.message[:300])
";

/// An element is its name, its attributes, its text and its children.
const XML: &str = "
import json, sys
from xml.etree import ElementTree
def tree(element):
    name = element.tag.rsplit('}', 1)[-1]
    return [name, element.attrib, element.text or '', [tree(child) for child in element]]
print(json.dumps(tree(ElementTree.fromstring(sys.stdin.buffer.read()))))
";

/// A sample is its name, its labels and its value.
const METRICS: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families as families
text = sys.stdin.buffer.read().decode()
print(json.dumps([[s.name, s.labels, s.value] for family in families(text) for s in family.samples]))
";

/// An element of XML.
#[derive(Clone, Debug)]
pub(crate) struct Element(Value);

impl Element {
    pub(crate) fn name(&self) -> &str {
        self.0[0].as_str().expect("an element has a name")
    }

    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.0[1][name].as_str().unwrap_or_else(|| panic!("{} has no {name}: {}", self.name(), self.0))
    }

    pub(crate) fn text(&self) -> &str {
        self.0[2].as_str().expect("an element has text")
    }

    pub(crate) fn children(&self) -> Vec<Self> {
        self.0[3].as_array().expect("a list").iter().cloned().map(Self).collect()
    }

    /// Those of that name, at any depth.
    pub(crate) fn all(&self, name: &str) -> Vec<Self> {
        let own = (self.name() == name).then(|| self.clone());
        own.into_iter().chain(self.children().iter().flat_map(|child| child.all(name))).collect()
    }

    /// All text that stands in it.
    pub(crate) fn whole_text(&self) -> String {
        let inside: String = self.children().iter().map(Self::whole_text).collect();
        format!("{}{inside}", self.text())
    }
}

/// Fails unless it is SARIF 2.1.0.
#[track_caller]
pub(crate) fn is_sarif(document: &str) {
    let schema = brought("sarif.json");
    let faults = python(SCHEMA, &[&schema], document);
    assert_eq!(faults.stdout(), "", "no SARIF:\n{document}");
}

/// Fails unless it is XML, with everything in its place.
#[track_caller]
pub(crate) fn xml(document: &str) -> Element {
    Element(python(XML, &[], document).json())
}

/// What GitHub's Markdown makes of it: the tree of the document, as XML.
#[track_caller]
pub(crate) fn markdown(document: &str) -> Element {
    let mut cmark = Command::new("cmark-gfm");
    cmark.args(["-t", "xml", "-e", "table", "-e", "autolink", "-e", "strikethrough", "-e", "tagfilter"]);
    xml(run(cmark, document.as_bytes(), PATIENCE).succeeded().stdout())
}

/// Fails unless promtool finds nothing to say of the metrics. The samples: name, labels, value.
#[track_caller]
pub(crate) fn metrics(document: &str) -> Vec<(String, Value, f64)> {
    let mut promtool = Command::new(brought("promtool"));
    promtool.args(["check", "metrics"]);
    let judged = run(promtool, document.as_bytes(), PATIENCE).succeeded();
    assert_eq!((judged.stdout(), judged.stderr()), ("", ""), "{document}");
    let samples = python(METRICS, &[], document).json();
    let sample = |row: &Value| {
        (row[0].as_str().expect("a name").to_owned(), row[1].clone(), row[2].as_f64().expect("a value"))
    };
    samples.as_array().expect("a list").iter().map(sample).collect()
}

#[track_caller]
fn python(program: &str, args: &[&Path], stdin: &str) -> Ran {
    let python = std::fs::read_to_string(brought("python")).expect("a path is text");
    let mut command = Command::new(python.trim());
    command.env("PYTHONPATH", brought("packages")).env("PYTHONIOENCODING", "utf-8");
    command.arg("-c").arg(program).args(args);
    run(command, stdin.as_bytes(), PATIENCE).succeeded()
}

#[track_caller]
fn brought(name: &str) -> PathBuf {
    let path = cache().join("judges").join(name);
    assert!(
        path.exists(),
        "{} is not there: run `PGSEAL_TEST_CACHE={} tests/provision/judges.sh`",
        path.display(),
        cache().display()
    );
    path
}

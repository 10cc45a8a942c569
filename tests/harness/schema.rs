//! The part of JSON Schema that docs/schema/ uses: type, required, properties, items, enum, const, minimum, maximum,
//! pattern-free strings and local references. A keyword that is not known here fails, so that none is passed over.

use std::fs;

use serde_json::Value;

use super::install::project;

/// A schema of docs/schema/.
pub(crate) struct Schema {
    name: String,
    root: Value,
}

impl Schema {
    /// `up` is docs/schema/up.json.
    #[track_caller]
    pub(crate) fn of(name: &str) -> Self {
        let path = project().join("docs/schema").join(format!("{name}.json"));
        let text = fs::read(&path).unwrap_or_else(|e| panic!("could not read {}: {e}", path.display()));
        let root = serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { name: name.to_owned(), root }
    }

    /// A schema that is no file.
    pub(crate) fn from(root: Value) -> Self {
        Self { name: "a schema".to_owned(), root }
    }

    /// Fails unless the value is as the schema has it, and holds nothing that the schema does not name.
    #[track_caller]
    pub(crate) fn admits(&self, value: &Value) {
        let faults = self.faults(value);
        assert!(faults.is_empty(), "not as {} has it:\n{}\n{value:#}", self.name, faults.join("\n"));
    }

    /// What is wrong with the value, a line each.
    pub(crate) fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.root, value, "$", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let rules = schema.as_object().unwrap_or_else(|| panic!("{at}: a schema is an object: {schema}"));
        for (keyword, rule) in rules {
            let fault = match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" | "additionalProperties" => None,
                "$ref" => {
                    self.check(self.referred(rule), value, at, faults);
                    None
                }
                "type" => (!is_of(rule, value)).then(|| format!("is no {rule}")),
                "const" => (rule != value).then(|| format!("is not {rule}")),
                "enum" => (!list(rule).contains(value)).then(|| format!("is none of {rule}")),
                "minimum" => below(value, rule).then(|| format!("is below {rule}")),
                "maximum" => below(rule, value).then(|| format!("is above {rule}")),
                "required" => missing(list(rule), value),
                "properties" => {
                    self.properties(rule, value, at, faults);
                    None
                }
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}[{n}]"), faults);
                    }
                    None
                }
                other => panic!("{}: the keyword {other} at {at} is not known to the tests", self.name),
            };
            faults.extend(fault.map(|fault| format!("{at} {fault}")));
        }
    }

    /// Each that is there as its schema has it. One without a schema is a field that nobody documented.
    fn properties(&self, rules: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        for (name, found) in value.as_object().into_iter().flatten() {
            match rules.get(name) {
                Some(rule) => self.check(rule, found, &format!("{at}.{name}"), faults),
                None => faults.push(format!("{at}.{name} is not documented")),
            }
        }
    }

    fn referred(&self, reference: &Value) -> &Value {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let found = pointer.and_then(|pointer| self.root.pointer(pointer));
        found.unwrap_or_else(|| panic!("{}: {reference} leads nowhere", self.name))
    }
}

fn is_of(rule: &Value, value: &Value) -> bool {
    let names = if rule.is_array() { list(rule).iter().collect() } else { vec![rule] };
    names.into_iter().any(|name| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        _ => panic!("the type {name} is not known to the tests"),
    })
}

fn below(value: &Value, limit: &Value) -> bool {
    value.as_i64().zip(limit.as_i64()).is_some_and(|(value, limit)| value < limit)
}

/// Only an object can lack something.
fn missing(names: &[Value], value: &Value) -> Option<String> {
    value.as_object()?;
    let absent: Vec<&str> =
        names.iter().filter_map(Value::as_str).filter(|name| value.get(name).is_none()).collect();
    (!absent.is_empty()).then(|| format!("lacks {}", absent.join(", ")))
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().unwrap_or_else(|| panic!("a list was expected: {rule}"))
}

//! A project as compose itself reads it: variables put in, files laid over each other, anchors and extensions
//! resolved. What it holds may be secret; nothing of it is shown but what is asked for by name.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Map, Value};

use super::client::Compose;
use super::file::ComposeFile;
use super::words::texts;
use super::yaml::{Document, Node, Style, What};
use crate::failure::{Failure, Result};
use crate::place::call::Said;
use crate::server::said::last_lines;

/// Aliases stand for what they name; a file that grows by them beyond this is none of a project's.
const MOST_VALUES: usize = 500_000;

/// A project, read.
pub(crate) struct Reading {
    /// What stands before every verb of compose's.
    pub(crate) words: Vec<String>,
    services: Map<String, Value>,
}

/// A port of a service that the host has, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// `None`: every address.
    pub(crate) address: Option<String>,
    pub(crate) port: String,
    pub(crate) inner: String,
}

impl Reading {
    /// Has compose read it. `service`: one that has to be among the services, whatever its profiles.
    pub(crate) async fn of(compose: &Compose, file: &ComposeFile, service: Option<&str>) -> Result<Self> {
        let mut words = file.words();
        for profile in service.map(|service| file.profiles_of(service)).unwrap_or_default() {
            words.extend(["--profile".to_owned(), profile]);
        }
        let said = compose.read(file.folder(), &words, None, &[]).await?;
        let services = services(compose, file, &said)?;
        Ok(Self { words, services })
    }

    /// The same project with another text in the place of the file; nothing is written.
    pub(crate) async fn with_text(&self, compose: &Compose, file: &ComposeFile, text: &str) -> Result<Self> {
        let said = compose.read(file.folder(), &self.words, Some(text), &[]).await?;
        Ok(Self { words: self.words.clone(), services: services(compose, file, &said)? })
    }

    /// The same project with its variables as they are written.
    pub(crate) async fn with_variables(&self, compose: &Compose, file: &ComposeFile) -> Result<Self> {
        let said = compose.read(file.folder(), &self.words, None, &["--no-interpolate"]).await?;
        Ok(Self { words: self.words.clone(), services: services(compose, file, &said)? })
    }

    /// The words of `command:` of a project with its variables as they are written.
    pub(crate) fn command_as_written(&self, service: &str) -> Vec<String> {
        match self.of_service(service, "command") {
            Some(Value::String(text)) => texts(text).unwrap_or_default(),
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether compose reads the one as the other, and is told of both in the same words.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.words == other.words && self.services == other.services
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// Everything about the services but these keys of one of them, for comparing.
    pub(crate) fn all_but(&self, service: &str, keys: &[&str]) -> Map<String, Value> {
        let mut all = self.services.clone();
        if let Some(Value::Object(service)) = all.get_mut(service) {
            service.retain(|name, _| !keys.contains(&name.as_str()));
        }
        all
    }

    pub(crate) fn image(&self, service: &str) -> Option<&str> {
        self.of_service(service, "image")?.as_str()
    }

    /// The words of `command:`; `None` where there is none, and the image's own holds.
    pub(crate) fn command(&self, service: &str) -> Option<Vec<String>> {
        match self.of_service(service, "command")? {
            Value::String(text) => texts(&plain(text)),
            Value::Array(words) => Some(words.iter().filter_map(Value::as_str).map(plain).collect()),
            _ => None,
        }
    }

    /// The value of a variable of its environment, as far as it is text.
    pub(crate) fn variable(&self, service: &str, name: &str) -> Option<String> {
        match self.of_service(service, "environment")? {
            Value::Object(all) => all.get(name)?.as_str().map(plain),
            Value::Array(all) => all
                .iter()
                .filter_map(Value::as_str)
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(plain),
            _ => None,
        }
    }

    /// The names of its environment's variables.
    pub(crate) fn variables(&self, service: &str) -> Vec<String> {
        match self.of_service(service, "environment") {
            Some(Value::Object(all)) => all.keys().cloned().collect(),
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .map(|line| line.split('=').next().unwrap_or(line).to_owned())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Its ports on the host.
    pub(crate) fn published(&self, service: &str) -> Vec<Published> {
        let Some(Value::Array(ports)) = self.of_service(service, "ports") else { return Vec::new() };
        ports.iter().filter_map(published).collect()
    }

    fn of_service(&self, service: &str, key: &str) -> Option<&Value> {
        self.services.get(service)?.get(key)
    }
}

/// `$$` is how a `$` is written that is no variable's.
fn plain(text: &str) -> String {
    text.replace("$$", "$")
}

/// In words (v2), or in one text (v1): `127.0.0.1:5433:5432/tcp`.
fn published(port: &Value) -> Option<Published> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if let Value::Object(port) = port {
        let address = port.get("host_ip").and_then(text).filter(|address| !address.is_empty());
        return Some(Published {
            address,
            port: port.get("published").and_then(text)?,
            inner: port.get("target").and_then(text)?,
        });
    }
    let whole = text(port)?;
    let whole = whole.split('/').next().unwrap_or_default();
    let (outer, inner) = whole.rsplit_once(':')?;
    let (address, port) = match outer.rsplit_once(':') {
        Some((address, port)) => (Some(address.trim_matches(['[', ']']).to_owned()), port),
        None => (None, outer),
    };
    Some(Published { address, port: port.to_owned(), inner: inner.to_owned() })
}

fn services(compose: &Compose, file: &ComposeFile, said: &Said) -> Result<Map<String, Value>> {
    let path = file.path.display();
    if !said.well {
        return Err(Failure::new(format!("{} does not read {path}", compose.words()))
            .because_all(last_lines(said.err.as_bytes(), 6))
            .because("nothing was changed")
            .hint(format!("{} config, until it prints the project", compose.words())));
    }
    let strange = |why: String| {
        Failure::new(format!("{} config printed something else for {path}: {why}", compose.words()))
    };
    let text = std::str::from_utf8(&said.out).map_err(|error| strange(error.to_string()))?;
    let mut whole: Value = if compose.prints_json() {
        serde_json::from_str(text).map_err(|error| strange(format!("line {}", error.line())))?
    } else {
        let document = Document::read(text).map_err(|wrong| strange(wrong.why))?;
        let mut left = MOST_VALUES;
        value(&document, &document.root, &mut left).ok_or_else(|| strange("it is too large".to_owned()))?
    };
    match whole.get_mut("services").map(Value::take) {
        Some(Value::Object(services)) if !services.is_empty() => Ok(services),
        _ => Err(Failure::new(format!("{path} has no services, or only those of profiles"))
            .because("nothing was changed")
            .hint(format!("{path}#SERVICE for one of a profile"))),
    }
}

/// The tree as JSON has it. Scalars are texts, but for null.
fn value(document: &Document, node: &Node, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    Some(match &document.led(node).what {
        What::Scalar { text, style: Style::Plain } if matches!(text.as_str(), "" | "null" | "~") => {
            Value::Null
        }
        What::Scalar { text, .. } => Value::String(text.clone()),
        What::List(items) => {
            Value::Array(items.iter().map(|item| value(document, item, left)).collect::<Option<_>>()?)
        }
        What::Map(entries) => {
            let mut all = Map::new();
            for (key, entry) in entries {
                all.insert(key.text()?.to_owned(), value(document, entry, left)?);
            }
            Value::Object(all)
        }
        What::Alias(_) => Value::Null,
    })
}

impl Compose {
    /// The project as compose reads it, with another text in the place of the file where one is given.
    async fn read(
        &self,
        folder: &Path,
        words: &[String],
        text: Option<&str>,
        further: &[&str],
    ) -> Result<Said> {
        let mut all: Vec<OsString> = Vec::new();
        match (text, words.first().map(String::as_str)) {
            (Some(_), Some("--file")) => {
                all.extend(["--file", "-"].map(OsString::from));
                all.extend(words.iter().skip(2).map(OsString::from));
            }
            (Some(_), _) => {
                all.extend(["--file", "-"].map(OsString::from));
                for laid_over in super::file::overrides(folder) {
                    all.extend([OsString::from("--file"), laid_over.into_os_string()]);
                }
                all.extend(words.iter().map(OsString::from));
            }
            (None, _) => all.extend(words.iter().map(OsString::from)),
        }
        all.push("config".into());
        all.extend(further.iter().map(OsString::from));
        if self.prints_json() {
            all.extend(["--format", "json"].map(OsString::from));
        }
        self.run_as_asked(folder, &all, text.unwrap_or_default().as_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_port_is_read_in_both_ways_of_writing_it() {
        let of = |address: Option<&str>| {
            Some(Published {
                address: address.map(str::to_owned),
                port: "5433".to_owned(),
                inner: "5432".to_owned(),
            })
        };
        for (port, expected) in [
            (json!("127.0.0.1:5433:5432/tcp"), of(Some("127.0.0.1"))),
            (json!("5433:5432"), of(None)),
            (json!("::1:5433:5432/tcp"), of(Some("::1"))),
            (json!({"published": 5433, "target": 5432}), of(None)),
            (json!({"host_ip": "127.0.0.1", "published": "5433", "target": 5432}), of(Some("127.0.0.1"))),
            (json!({"target": 5432}), None),
            (json!("5432"), None),
        ] {
            assert_eq!(published(&port), expected, "{port}");
        }
    }
}

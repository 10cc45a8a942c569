//! What a project says of its PostgreSQL service, put in plain values: judged elsewhere.

use serde_json::Value;

use super::find::Found;
use super::mend::{PASSWORD, PORT};
use super::reading::Published;
use crate::place::ServiceFacts;

/// Variables that the official image's entrypoint reads for an empty data directory alone, and that people change in the
/// belief that it will matter.
const INIT_ONLY: [&str; 3] = ["POSTGRES_HOST_AUTH_METHOD", "POSTGRES_INITDB_ARGS", "POSTGRES_INITDB_WALDIR"];

impl Found {
    /// The plain values. `container`: what docker knows of the container that is there.
    pub(crate) fn facts(&self) -> ServiceFacts {
        let (reading, service) = (&self.reading, self.service.as_str());
        let words = reading.command(service).unwrap_or_default();
        let published = reading.published(service);
        let published = published.iter().filter(|port| is_everywhere(port));
        let variables = reading.variables(service);
        let misplaced = variables.iter().find(|name| {
            let value = reading.variable(service, name).unwrap_or_default();
            name.eq_ignore_ascii_case("command") || value.trim_start().starts_with("-c ssl")
        });
        ServiceFacts {
            version_line: self.version_line(),
            published_everywhere: published.map(|port| format!("{}:{}", port.port, port.inner)).collect(),
            password_in_environment: variables.iter().any(|name| name == PASSWORD),
            init_only: INIT_ONLY
                .into_iter()
                .filter(|name| variables.iter().any(|there| there == name))
                .collect(),
            command_in_environment: misplaced.cloned(),
            dbname: reading.variable(service, "POSTGRES_DB").filter(|name| !name.is_empty()),
            outdated: self.made_otherwise(&words),
            command: behind_the_program(&words).to_vec(),
        }
    }

    fn version_line(&self) -> Option<usize> {
        let (key, _) = self.file.document.entry(&self.file.document.root, "version")?;
        let before = self.file.text.get(..key.span.start)?;
        Some(before.matches('\n').count() + 1)
    }

    /// Whether the container that is there was made with another command or of another image than the file says.
    fn made_otherwise(&self, words: &[String]) -> Option<String> {
        let facts = self.container_facts.as_ref()?;
        let made: Vec<&str> = facts
            .pointer("/Config/Cmd")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        // Without a command of the service's own the image's holds, which is not known here.
        if !words.is_empty() && made != words {
            return Some("its command is not the one that the file has now".to_owned());
        }
        let image = facts.pointer("/Config/Image").and_then(Value::as_str)?;
        let wanted = self.reading.image(&self.service)?;
        (image != wanted).then(|| format!("it was made of {image}, and the file says {wanted}"))
    }
}

/// Whether every address of the host has the server's port.
pub(crate) fn is_everywhere(port: &Published) -> bool {
    let address = port.address.as_deref();
    port.inner == PORT && address.is_none_or(|address| matches!(address, "" | "0.0.0.0" | "::"))
}

/// The words that the server gets: the program in front is not one of them.
pub(crate) fn behind_the_program(words: &[String]) -> &[String] {
    match words.split_first() {
        Some((first, rest)) if first == "postgres" => rest,
        _ => words,
    }
}

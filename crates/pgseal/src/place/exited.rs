//! A container that has ended, or does nothing but start again: what docker knows of it, and its last words.

use std::ffi::OsString;

use serde_json::Value;

use super::call::Input;
use super::container::inspect;
use super::docker::Docker;
use crate::failure::Result;
use crate::server::said::last_lines;

/// Lines of what it printed that are looked at.
const LAST_LINES: &str = "200";

/// Why no server answers in a container.
pub(crate) struct Exited {
    /// `exited`, `restarting`, `created` …
    pub(crate) state: String,
    /// PostgreSQL's, where the image says so.
    pub(crate) version: Option<String>,
    /// What it printed last.
    pub(crate) lines: Vec<String>,
}

impl Exited {
    /// The container of that name; `None`: it runs.
    pub(crate) async fn find(name: &str) -> Result<Option<Self>> {
        let docker = Docker::find().await?;
        let (id, facts) = inspect(&docker, name).await?;
        let state = facts.pointer("/State/Status").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        if state == "running" {
            return Ok(None);
        }
        let variables = facts.pointer("/Config/Env").and_then(Value::as_array).into_iter().flatten();
        let version = variables.filter_map(Value::as_str).find_map(|line| line.strip_prefix("PG_VERSION="));
        let version = version.and_then(|said| said.split('-').next()).map(str::to_owned);
        let words = ["logs", "--tail", LAST_LINES, id.as_str()];
        let said = docker.run(&words.map(OsString::from), Input::Nothing).await?;
        let mut lines = last_lines(&said.out, usize::MAX);
        lines.extend(last_lines(said.err.as_bytes(), usize::MAX));
        Ok(Some(Self { state, version, lines }))
    }
}

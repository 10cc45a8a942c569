//! Compose as it is here: docker's plugin (v2), or the program docker-compose (v1).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::place::call::{Call, Input, Said};
use crate::place::docker::{Docker, in_path};
use crate::privilege::trusted;
use crate::server::said::last_lines;

/// Compose makes networks, volumes and containers; it pulls nothing for us.
const PATIENCE: Duration = Duration::from_secs(180);

/// How compose is called here.
pub(crate) struct Compose {
    program: PathBuf,
    first: &'static [&'static str],
    version: String,
}

impl Compose {
    /// The plugin where there is one, as people are told to have it; otherwise the older program.
    pub(crate) async fn find(docker: &Docker) -> Result<Self> {
        let plugin =
            Self { program: docker.program().to_owned(), first: &["compose"], version: String::new() };
        if let Some(found) = plugin.answering().await? {
            return Ok(found);
        }
        let absent = || {
            Failure::new("there is no docker compose here: neither the plugin nor docker-compose in PATH")
                .hint("install docker-compose-plugin, or docker-compose")
        };
        let program = trusted::program(&in_path("docker-compose").ok_or_else(absent)?)?;
        let program = Self { program, first: &[], version: String::new() };
        program.answering().await?.ok_or_else(absent)
    }

    async fn answering(mut self) -> Result<Option<Self>> {
        let said = self.run(Path::new("/"), &["version", "--short"]).await?;
        let version = String::from_utf8_lossy(&said.out).trim().to_owned();
        let looks_so = version.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
        self.version = version;
        Ok((said.well && looks_so).then_some(self))
    }

    /// How a person calls it.
    pub(crate) fn words(&self) -> &'static str {
        if self.first.is_empty() { "docker-compose" } else { "docker compose" }
    }

    /// For a person to read.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Runs it in the folder of a project, which is found there as a person's own call would find it. What the
    /// environment says of other projects is left out.
    pub(crate) async fn run(&self, folder: &Path, words: &[&str]) -> Result<Said> {
        let words: Vec<OsString> = self.first.iter().chain(words).map(OsString::from).collect();
        let call = Call {
            program: &self.program,
            words: &words,
            input: Input::Nothing,
            patience: PATIENCE,
            folder: Some(folder.to_owned()),
            without: &["PG", "COMPOSE_"],
            with: &[],
        };
        call.run().await
    }

    /// Whether `config` knows JSON: since the plugin.
    pub(super) fn prints_json(&self) -> bool {
        !self.first.is_empty()
    }

    /// Runs it with the environment of the person, whose variables may stand in the project: for projects that are
    /// not ours. Nothing is fetched from elsewhere.
    pub(crate) async fn run_as_asked(&self, folder: &Path, words: &[OsString], input: &[u8]) -> Result<Said> {
        let first = self.first.iter().map(OsString::from);
        let words: Vec<OsString> = first.chain(words.iter().cloned()).collect();
        let call = Call {
            program: &self.program,
            words: &words,
            input: Input::Whole(input),
            patience: PATIENCE,
            folder: Some(folder.to_owned()),
            without: &["COMPOSE_FILE", "COMPOSE_EXPERIMENTAL"],
            with: &[
                ("COMPOSE_EXPERIMENTAL_GIT_REMOTE", "false"),
                ("COMPOSE_EXPERIMENTAL_OCI_REMOTE", "false"),
            ],
        };
        call.run().await
    }

    /// The same, where it has to end well.
    pub(crate) async fn carry_out(&self, folder: &Path, words: &[&str]) -> Result<()> {
        let said = self.run(folder, words).await?;
        if said.well {
            return Ok(());
        }
        let told = last_lines(said.err.as_bytes(), 8);
        Err(Failure::new(format!(
            "{} {} did not succeed in {}",
            self.words(),
            words.join(" "),
            folder.display()
        ))
        .because_all(told))
    }
}

//! What docker has of one compose project: found by the labels that every compose puts on what it makes, whichever
//! version it is.

use std::ffi::OsString;

use serde_json::Value;

use super::daemon::{ask, failed, feed};
use crate::failure::{Failure, Result};
use crate::faults;
use crate::place::call::Input;
use crate::place::docker::{Docker, knows_none};

/// As compose names it in its labels.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const VOLUME: &str = "com.docker.compose.volume";
/// Lines of a container's log that are shown.
const LOG_LINES: usize = 12;
/// A server that shuts down writes a checkpoint, in seconds.
const STOP_SECONDS: &str = "50";

/// A project of that name on the client's daemon.
pub(crate) struct Project<'d> {
    docker: &'d Docker,
    name: String,
}

/// A container, as docker described it a moment ago.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `created`, `running`, `exited` and so on.
    pub(crate) status: String,
    pub(crate) exit_code: i64,
    pub(crate) restarts: u64,
    /// When it started, in docker's words.
    pub(crate) started: String,
    /// `healthy`, `starting` and so on, where the container has a healthcheck.
    pub(crate) health: Option<String>,
    /// The kernel's out-of-memory killer ended it.
    pub(crate) out_of_memory: bool,
}

impl Service {
    pub(crate) fn runs(&self) -> bool {
        self.status == "running"
    }
}

impl<'d> Project<'d> {
    pub(crate) fn named(docker: &'d Docker, name: &str) -> Self {
        Self { docker, name: name.to_owned() }
    }

    /// The one container of a service, whatever state it is in.
    pub(crate) async fn service(&self, service: &str) -> Result<Option<Service>> {
        let ids = self.containers(Some(service)).await?;
        match ids.as_slice() {
            [] => Ok(None),
            [id] => self.look(id).await,
            more => Err(Failure::new(format!(
                "service {service} of project {} has {} containers, and a data directory has one server",
                self.name,
                more.len()
            ))
            .because_all(more.iter().map(|id| format!("container {id}")))
            .hint(format!("docker ps --all --filter label={PROJECT}={}", self.name))),
        }
    }

    /// What docker knows of a container; `None`: it is gone.
    pub(crate) async fn look(&self, id: &str) -> Result<Option<Service>> {
        let words = ["inspect", "--type", "container", id].map(OsString::from);
        let said = self.docker.run(&words, Input::Nothing).await?;
        if !said.well {
            return if knows_none(&said) {
                Ok(None)
            } else {
                Err(failed(&format!("look at container {id}"), &said))
            };
        }
        let facts: Value = serde_json::from_slice(&said.out).map_err(|error| {
            Failure::new(format!("docker's answer about container {id} is no JSON: {error}"))
        })?;
        Ok(facts.get(0).map(|facts| service(id, facts)))
    }

    async fn containers(&self, service: Option<&str>) -> Result<Vec<String>> {
        let project = format!("label={PROJECT}={}", self.name);
        let of = service.map(|service| format!("label={SERVICE}={service}"));
        let mut words = vec!["ps", "--all", "--quiet", "--no-trunc", "--filter", &project];
        if let Some(of) = &of {
            words.extend(["--filter", of]);
        }
        self.list("the containers", &words).await
    }

    /// The volume of that key of the compose file, by its name on the daemon.
    pub(crate) async fn volume(&self, key: &str) -> Result<Option<String>> {
        let (project, of) = (format!("label={PROJECT}={}", self.name), format!("label={VOLUME}={key}"));
        let words = ["volume", "ls", "--quiet", "--filter", &project, "--filter", &of];
        Ok(self.list("the volumes", &words).await?.into_iter().next())
    }

    /// Identifiers, one a line; what does not look like one is none.
    async fn list(&self, what: &str, words: &[&str]) -> Result<Vec<String>> {
        let said = ask(self.docker, &format!("list {what} of project {}", self.name), words).await?;
        let id = |line: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            !line.is_empty() && !line.starts_with('-') && line.chars().all(plain)
        };
        let text = String::from_utf8_lossy(&said.out);
        Ok(text.lines().map(str::trim).filter(|line| id(line)).map(str::to_owned).collect())
    }

    /// Unpacks a tar stream at the container's root, volumes being where they belong. It need not run.
    pub(crate) async fn unpack(&self, id: &str, stream: &[u8]) -> Result<()> {
        faults::step("before the stream");
        let place = format!("{id}:/");
        let words = ["cp", "-", &place];
        feed(self.docker, &format!("put files into container {id}"), &words, Input::Whole(stream)).await?;
        faults::step("after the stream");
        Ok(())
    }

    pub(crate) async fn start(&self, id: &str) -> Result<()> {
        faults::step("before the start");
        ask(self.docker, &format!("start container {id}"), &["start", id]).await?;
        faults::step("after the start");
        Ok(())
    }

    pub(crate) async fn restart(&self, id: &str) -> Result<()> {
        let words = ["restart", "--time", STOP_SECONDS, id];
        ask(self.docker, &format!("restart container {id}"), &words).await.map(drop)
    }

    pub(crate) async fn stop(&self, id: &str) -> Result<()> {
        ask(self.docker, &format!("stop container {id}"), &["stop", "--time", STOP_SECONDS, id])
            .await
            .map(drop)
    }

    /// Stops and removes one container, and the project's networks that nothing else is on. Volumes stay.
    pub(crate) async fn take_down(&self, id: &str) -> Result<()> {
        self.stop(id).await?;
        self.each(&["rm"], &[id.to_owned()]).await?;
        for network in self.networks().await? {
            let words = ["network", "rm", &network].map(OsString::from);
            // One with other containers on it is theirs.
            self.docker.run(&words, Input::Nothing).await?;
        }
        Ok(())
    }

    async fn networks(&self) -> Result<Vec<String>> {
        let label = format!("label={PROJECT}={}", self.name);
        self.list("the networks", &["network", "ls", "--quiet", "--filter", &label]).await
    }

    /// Runs a script in the container as this uid; what it printed.
    pub(crate) async fn sh(
        &self,
        id: &str,
        owner: (u32, u32),
        script: &str,
        words: &[&str],
    ) -> Result<String> {
        let user = format!("{}:{}", owner.0, owner.1);
        let mut all = vec!["exec", "--user", &user, id, "sh", "-c", script, "sh"];
        all.extend(words);
        let said = ask(self.docker, &format!("work in container {id}"), &all).await?;
        Ok(String::from_utf8_lossy(&said.out).into_owned())
    }

    /// The last lines that it printed.
    pub(crate) async fn last_words(&self, id: &str) -> Vec<String> {
        self.docker.last_words(id, LOG_LINES).await
    }

    /// Removes all of it, volumes included: for what has never held anybody's data, or is to be deleted.
    pub(crate) async fn remove(&self) -> Result<()> {
        let containers = self.containers(None).await?;
        self.each(&["rm", "--force", "--volumes"], &containers).await?;
        self.each(&["network", "rm"], &self.networks().await?).await?;
        let label = format!("label={PROJECT}={}", self.name);
        let volumes = self.list("the volumes", &["volume", "ls", "--quiet", "--filter", &label]).await?;
        self.each(&["volume", "rm"], &volumes).await
    }

    async fn each(&self, words: &[&str], ids: &[String]) -> Result<()> {
        for id in ids {
            let all: Vec<OsString> = words.iter().copied().chain([id.as_str()]).map(OsString::from).collect();
            let said = self.docker.run(&all, Input::Nothing).await?;
            // Somebody else may have been quicker.
            if !said.well && !knows_none(&said) {
                return Err(failed(&format!("remove {id} of project {}", self.name), &said));
            }
        }
        Ok(())
    }
}

fn service(id: &str, facts: &Value) -> Service {
    let text = |at: &str| facts.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    Service {
        id: id.to_owned(),
        name: text("/Name").trim_start_matches('/').to_owned(),
        status: text("/State/Status"),
        exit_code: facts.pointer("/State/ExitCode").and_then(Value::as_i64).unwrap_or(-1),
        restarts: facts.pointer("/RestartCount").and_then(Value::as_u64).unwrap_or(0),
        started: text("/State/StartedAt"),
        health: Some(text("/State/Health/Status")).filter(|health| !health.is_empty()),
        out_of_memory: facts.pointer("/State/OOMKilled") == Some(&Value::Bool(true)),
    }
}

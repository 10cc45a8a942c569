//! The PostgreSQL service of a project, and its container: by what the containers and images say, never by a guess.

use std::ffi::OsString;

use serde_json::Value;

use super::client::Compose;
use super::daemon;
use super::file::ComposeFile;
use super::reading::Reading;
use crate::failure::{Failure, Result};
use crate::place::call::Input;
use crate::place::docker::Docker;
use crate::server::said::last_lines;

/// More containers of one project are not looked at.
const MOST: usize = 1000;

/// A service that runs PostgreSQL, with everything that there is to know around it.
pub(crate) struct Found {
    pub(crate) docker: Docker,
    pub(crate) compose: Compose,
    pub(crate) file: ComposeFile,
    pub(crate) reading: Reading,
    pub(crate) service: String,
    /// The container's id, where one was made.
    pub(crate) container: Option<String>,
    /// What docker knows of it.
    pub(crate) container_facts: Option<Value>,
}

/// A container of the project, as docker describes it.
struct Seen {
    id: String,
    service: String,
    facts: Value,
}

impl Found {
    /// Reads the project and finds its one PostgreSQL service, or the one that is named.
    pub(crate) async fn of(file: ComposeFile, service: Option<&str>) -> Result<Self> {
        let docker = daemon::answering().await?;
        let compose = Compose::find(&docker).await?;
        let reading = Reading::of(&compose, &file, service).await?;
        let path = file.path.display().to_string();
        if let Some(service) = service.filter(|service| !reading.has(service)) {
            let all: Vec<&str> = reading.services().collect();
            return Err(Failure::usage(format!("{path} has no service {service}"))
                .because(format!("its services: {}", all.join(", ")))
                .hint(format!("{path}#SERVICE with one of them")));
        }
        let seen = containers(&docker, &compose, &file, &reading).await?;
        let service = match service {
            Some(service) => {
                if !runs_postgresql(&docker, &reading, &seen, service).await? {
                    return Err(no_server(&reading, service, &path));
                }
                service.to_owned()
            }
            None => the_only_one(&docker, &reading, &seen, &path).await?,
        };
        let its = seen.into_iter().find(|seen| seen.service == service);
        let (container, container_facts) = its.map(|seen| (seen.id, seen.facts)).unzip();
        Ok(Self { docker, compose, file, reading, service, container, container_facts })
    }

    /// `running`, `exited` and so on.
    pub(crate) fn state(&self) -> Option<String> {
        Some(self.container_facts.as_ref()?.pointer("/State/Status")?.as_str()?.to_owned())
    }

    pub(crate) fn exit_code(&self) -> Option<i64> {
        self.container_facts.as_ref()?.pointer("/State/ExitCode")?.as_i64()
    }

    /// So often docker has restarted it by itself.
    pub(crate) fn restarts(&self) -> u64 {
        let count = self.container_facts.as_ref().and_then(|facts| facts.pointer("/RestartCount")?.as_u64());
        count.unwrap_or(0)
    }

    /// The container, which has to be there.
    pub(crate) fn made(&self) -> Result<&str> {
        self.container.as_deref().ok_or_else(|| {
            let (words, service) = (self.compose.words(), &self.service);
            Failure::new(format!("service {service} of {} has no container yet", self.file.path.display()))
                .because("nothing was changed")
                .hint(format!("{words} up --detach {service}, then again"))
        })
    }
}

fn no_server(reading: &Reading, service: &str, path: &str) -> Failure {
    let image = reading.image(service).unwrap_or("none");
    Failure::usage(format!("service {service} of {path} is no PostgreSQL"))
        .because(format!("its image is {image}, and neither that nor a container of it sets PGDATA"))
        .hint("container:NAME where it is one all the same")
}

async fn the_only_one(docker: &Docker, reading: &Reading, seen: &[Seen], path: &str) -> Result<String> {
    let mut servers = Vec::new();
    for service in reading.services() {
        if runs_postgresql(docker, reading, seen, service).await? {
            servers.push(service.to_owned());
        }
    }
    match <[String; 1]>::try_from(servers) {
        Ok([one]) => Ok(one),
        Err(none) if none.is_empty() => {
            let all: Vec<&str> = reading.services().collect();
            Err(Failure::usage(format!("no service of {path} is a PostgreSQL"))
                .because(format!(
                    "its services: {}; none of their images or containers sets PGDATA",
                    all.join(", ")
                ))
                .hint(format!("{path}#SERVICE, or container:NAME")))
        }
        Err(several) => {
            let words: Vec<String> = several.iter().map(|service| format!("{path}#{service}")).collect();
            Err(Failure::usage(format!("{path} has {} PostgreSQL services", several.len()))
                .because("which of them is meant is not to be guessed; nothing was changed")
                .hint(words.join(" or ")))
        }
    }
}

/// Images of PostgreSQL servers set PGDATA, and those made from them do. A service that never had a container is
/// judged by its image, where docker has that.
async fn runs_postgresql(docker: &Docker, reading: &Reading, seen: &[Seen], service: &str) -> Result<bool> {
    if let Some(seen) = seen.iter().find(|seen| seen.service == service) {
        return Ok(sets_pgdata(&seen.facts));
    }
    let Some(image) = reading.image(service).filter(|image| !image.starts_with('-')) else {
        return Ok(false);
    };
    let words = ["image", "inspect", image].map(OsString::from);
    let said = docker.run(&words, Input::Nothing).await?;
    let facts: Value = serde_json::from_slice(&said.out).unwrap_or(Value::Null);
    Ok(said.well && facts.get(0).is_some_and(sets_pgdata))
}

fn sets_pgdata(facts: &Value) -> bool {
    let variables = facts.pointer("/Config/Env").and_then(Value::as_array).into_iter().flatten();
    variables.filter_map(Value::as_str).any(|line| line.starts_with("PGDATA="))
}

/// All containers of the project, whatever state they are in.
async fn containers(
    docker: &Docker,
    compose: &Compose,
    file: &ComposeFile,
    reading: &Reading,
) -> Result<Vec<Seen>> {
    let mut words: Vec<OsString> = reading.words.iter().map(OsString::from).collect();
    words.extend(["ps", "--all", "--quiet"].map(OsString::from));
    let said = compose.run_as_asked(file.folder(), &words, b"").await?;
    if !said.well {
        return Err(Failure::new(format!(
            "{} ps did not succeed for {}",
            compose.words(),
            file.path.display()
        ))
        .because_all(last_lines(said.err.as_bytes(), 4)));
    }
    let text = String::from_utf8_lossy(&said.out);
    let is_id = |line: &&str| line.len() >= 12 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    let ids: Vec<&str> = text.lines().map(str::trim).filter(is_id).take(MOST).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut words = vec!["inspect", "--type", "container"];
    words.extend(&ids);
    let said = daemon::ask(docker, "look at the project's containers", &words).await?;
    let facts: Vec<Value> = serde_json::from_slice(&said.out)
        .map_err(|error| Failure::new(format!("docker's answer about containers is no JSON: {error}")))?;
    let seen = facts.into_iter().filter_map(|facts| {
        let label = facts.pointer("/Config/Labels/com.docker.compose.service")?.as_str()?.to_owned();
        // One-off containers of `run` are no servers of the project.
        let once = facts.pointer("/Config/Labels/com.docker.compose.oneoff").and_then(Value::as_str);
        let id = facts.get("Id")?.as_str()?.to_owned();
        let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        (plain && !once.is_some_and(|once| once.eq_ignore_ascii_case("true"))).then_some(Seen {
            id,
            service: label,
            facts,
        })
    });
    let seen: Vec<Seen> = seen.collect();
    for (at, one) in seen.iter().enumerate() {
        if seen.iter().skip(at + 1).any(|other| other.service == one.service) && sets_pgdata(&one.facts) {
            return Err(Failure::new(format!("service {} has several containers", one.service))
                .because("a data directory has one server, and which of them is meant is not to be guessed")
                .hint("container:NAME with one of docker ps"));
        }
    }
    Ok(seen)
}

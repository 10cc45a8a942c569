//! Whether there is a docker to work with, and what is in the way where there is none.

use std::ffi::OsString;

use crate::failure::{Failure, Result};
use crate::place::call::{Input, Said};
use crate::place::docker::Docker;
use crate::privilege::user::SystemUser;
use crate::server::said::last_lines;

/// The client, with a daemon that answers it.
pub(crate) async fn answering() -> Result<Docker> {
    let docker = Docker::find().await?;
    let words = ["version", "--format", "{{.Server.Version}}"];
    let said = docker.run(&words.map(OsString::from), Input::Nothing).await?;
    if said.well {
        return Ok(docker);
    }
    Err(no_daemon(&docker, &said.err))
}

fn no_daemon(docker: &Docker, words: &str) -> Failure {
    let endpoint = docker.endpoint();
    let lower = words.to_ascii_lowercase();
    if lower.contains("permission denied") {
        let me = SystemUser::current().map_or_else(|_| "you".to_owned(), |user| user.name);
        return Failure::new(format!("the docker at {endpoint} does not let {me} in"))
            .because_all(last_lines(words.as_bytes(), 3))
            .hint(format!(
                "usermod --append --groups docker {me} and a new login, a rootless docker, or pgseal as root"
            ));
    }
    let failure = Failure::new(format!("no docker daemon answers at {endpoint}"))
        .because_all(last_lines(words.as_bytes(), 3));
    if docker.remote().is_some() {
        failure.hint("docker context ls; docker context use with one that answers")
    } else {
        failure.hint("start it (systemctl start docker), or lead the client to another: docker context ls")
    }
}

/// A sentence about a command of docker's that failed, with what it said last.
pub(crate) fn failed(what: &str, said: &Said) -> Failure {
    let mut lines = last_lines(said.err.as_bytes(), 8);
    if lines.is_empty() {
        lines = last_lines(&said.out, 8);
    }
    Failure::new(format!("could not {what}")).because_all(lines)
}

/// Runs the client; what it says on an ill end becomes the failure.
pub(crate) async fn ask(docker: &Docker, what: &str, words: &[&str]) -> Result<Said> {
    feed(docker, what, words, Input::Nothing).await
}

/// The same with something to read.
pub(crate) async fn feed(docker: &Docker, what: &str, words: &[&str], input: Input<'_>) -> Result<Said> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let said = docker.run(&words, input).await?;
    if said.well { Ok(said) } else { Err(failed(what, &said)) }
}

//! The container of a service made anew from its project, and a wait until its server lets somebody in, or has ended.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::compose::client::Compose;
use crate::compose::file::ComposeFile;
use crate::compose::find::Found;
use crate::failure::{Failure, Result};
use crate::faults;
use crate::place::Place;
use crate::place::docker::Docker;
use crate::server::said::last_lines;
use crate::target::Target;

/// Recovery after a crash takes its time.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Lines of a container's log that are shown.
const LINES: usize = 10;

/// Has compose make and start what the project says now. Nothing else of the project is touched.
pub(super) async fn up(compose: &Compose, folder: &Path, words: &[String], service: &str) -> Result<()> {
    faults::step("before the container is made anew");
    carry_out(compose, folder, words, &["up", "--detach", "--no-deps", "--no-build", service]).await?;
    faults::step("after the container is made anew");
    Ok(())
}

/// Has compose make what the project says, and not start it.
pub(super) async fn make(compose: &Compose, folder: &Path, words: &[String], service: &str) -> Result<()> {
    carry_out(compose, folder, words, &["stop", service]).await?;
    carry_out(compose, folder, words, &["up", "--no-start", "--no-deps", "--no-build", service]).await
}

async fn carry_out(compose: &Compose, folder: &Path, words: &[String], verb: &[&str]) -> Result<()> {
    let all: Vec<OsString> =
        words.iter().map(OsString::from).chain(verb.iter().map(OsString::from)).collect();
    let said = compose.run_as_asked(folder, &all, b"").await?;
    if said.well {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} {} did not succeed in {}",
        compose.words(),
        verb.join(" "),
        folder.display()
    ))
    .because_all(last_lines(said.err.as_bytes(), LINES)))
}

/// The place of the service's container once its server is ready.
pub(super) async fn ready(word: &str, file: &Path, service: &str) -> Result<Place> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = Found::of(ComposeFile::read(file)?, Some(service)).await?;
        let id = found.made()?.to_owned();
        // Looked at before it is worked in: in one that ends a moment later nothing can be run.
        let runs = found.state().as_deref() == Some("running");
        if runs
            && let Ok(mut place) = Target::place(word).await
            && matches!(place.server().await, Ok(Some(server)) if server.ready)
        {
            return Ok(place);
        }
        let crashed = found.exit_code() != Some(0) || found.restarts() > 0;
        if matches!(found.state().as_deref(), Some("exited" | "dead" | "restarting")) && crashed {
            return Err(Failure::new(format!("the container of {service} does not stay up"))
                .because_all(words_of(&found.docker, &id).await));
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "the server of {service} has not let anybody in within {} s",
                PATIENCE.as_secs()
            ))
            .because_all(words_of(&found.docker, &id).await));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// What a container said last.
pub(super) async fn words_of(docker: &Docker, id: &str) -> Vec<String> {
    docker.last_words(id, LINES).await
}

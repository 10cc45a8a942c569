//! What `up` says at its end.

use serde::Serialize;

use super::run::Done;
use super::wish::Engine;
use crate::failure::Result;
use crate::folder::client_files;
use crate::report::escape::for_terminal;
use crate::report::json::SCHEMA_VERSION;
use crate::report::proof::{self, ClaimRow, LeftOutRow};
use crate::report::screen::{Mark, Screen};

/// The JSON of `pgseal up` (docs/schema/up.json).
#[derive(Debug, Serialize)]
pub(crate) struct UpRow<'a> {
    schema_version: u32,
    /// `created`, `started` or `running`; `stopped` when a first proof failed.
    state: &'static str,
    proved: bool,
    dir: String,
    host: String,
    port: u16,
    pid: Option<i32>,
    /// `native` or `compose`.
    engine: &'static str,
    /// The container's name, and the image that it was made of.
    container: Option<&'a str>,
    image: Option<&'a str>,
    pg_version: &'a str,
    bindir: String,
    run_as: &'a str,
    ca_file: String,
    uri: String,
    passfile: String,
    service_file: String,
    /// Null in a container, whose log docker keeps.
    log_file: Option<String>,
    claims: Vec<ClaimRow<'a>>,
    left_out: Vec<LeftOutRow<'a>>,
}

pub(crate) fn row(done: &Done) -> Result<UpRow<'_>> {
    let Done { folder, settings, .. } = done;
    Ok(UpRow {
        schema_version: SCHEMA_VERSION,
        state: done.state.as_str(),
        proved: done.proof.complete(),
        dir: folder.root().display().to_string(),
        host: settings.host(),
        port: settings.server.port,
        pid: done.pid,
        engine: if settings.compose.is_some() { Engine::Compose } else { Engine::Native }.as_str(),
        container: done.container.as_deref(),
        image: settings.compose.as_ref().map(|compose| compose.image.as_str()),
        pg_version: &settings.server.version,
        bindir: settings.server.bindir.display().to_string(),
        run_as: &settings.server.run_as,
        ca_file: folder.client_ca().display().to_string(),
        uri: client_files::uri(folder, settings)?,
        passfile: folder.passfile().display().to_string(),
        service_file: folder.service_file().display().to_string(),
        log_file: settings.compose.is_none().then(|| folder.log().display().to_string()),
        claims: proof::claim_rows(&done.proof),
        left_out: proof::left_out_rows(&done.proof),
    })
}

pub(crate) fn human(done: &Done, screen: Screen) -> Result<String> {
    let Done { folder, settings, facts, .. } = done;
    let server = &settings.server;
    let from = settings.compose.as_ref().map(|compose| compose.image.clone());
    let mut lines = vec![for_terminal(&format!(
        "PostgreSQL {} ({}) in {}, as user {}",
        server.version,
        from.unwrap_or_else(|| server.bindir.display().to_string()),
        folder.root().display(),
        server.run_as
    ))];
    for (title, text) in facts {
        lines.push(screen.line(Mark::Holds, title, &for_terminal(text)));
    }
    for warning in &done.warnings {
        lines.push(screen.line(Mark::Mind, "mind", warning));
    }
    lines.push(String::new());
    lines.push(proof::human(&done.proof, screen));
    if done.state.runs() {
        lines.push("Connect".to_owned());
        lines.extend(
            client_files::connect_lines(folder, settings)?
                .into_iter()
                .map(|line| format!("  {}", for_terminal(&line))),
        );
    } else {
        let log = match &done.container {
            Some(name) => format!("docker logs {name}"),
            None => folder.log().display().to_string(),
        };
        lines.push(for_terminal(&format!(
            "The proof is not complete, so the server was stopped. Everything is kept in {} for study: {log}",
            folder.root().display(),
        )));
    }
    Ok(lines.join("\n"))
}

//! A container beside one that does not run: of the same image, with the same volumes and without a network. It only
//! sleeps; what is looked at and changed in it is what the other one finds when it starts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::call::Input;
use super::docker::Docker;
use crate::failure::{Failure, Result};

/// Whose it is, by the other container's id.
const LABEL: &str = "pgseal.helper";
/// Seconds after which one ends that nobody could remove.
const LONGEST: &str = "1800";

/// Removed when it is dropped; its volumes are the other one's, and stay.
pub(crate) struct Sleeper {
    program: PathBuf,
    id: String,
}

impl Sleeper {
    /// Starts one. Refused where somebody else works on the same volumes.
    pub(super) async fn beside(docker: &Docker, id: &str, facts: &Value) -> Result<Self> {
        let text = |at: &str| facts.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let name = text("/Name").trim_start_matches('/').to_owned();
        remove_old(docker, id).await?;
        nobody_else_is_there(docker, &name, facts).await?;
        let image = text("/Image");
        let label = format!("{LABEL}={id}");
        if image.is_empty() || image.starts_with('-') {
            return Err(Failure::new(format!("docker names no image of container {name}")));
        }
        let words = [
            "run",
            "--detach",
            "--network",
            "none",
            "--security-opt",
            "no-new-privileges",
            "--label",
            &label,
            "--volumes-from",
            id,
            "--entrypoint",
            "sleep",
            image,
            LONGEST,
        ];
        let said = docker.run(&words.map(OsString::from), Input::Nothing).await?;
        let printed = String::from_utf8_lossy(&said.out);
        let helper = printed.trim();
        if !said.well || helper.is_empty() || !helper.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::new(format!(
                "could not start a helper with the volumes of container {name}"
            ))
            .because(said.err.trim().to_owned())
            .because("nothing was changed"));
        }
        Ok(Self { program: docker.program().to_owned(), id: helper.to_owned() })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It ends by itself where this does not work.
        let _ = Command::new(&self.program)
            .args(["rm", "--force", &self.id])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Those that a killed run left, once they have ended.
async fn remove_old(docker: &Docker, id: &str) -> Result<()> {
    let filter = format!("label={LABEL}={id}");
    let words = ["ps", "--all", "--quiet", "--filter", &filter, "--filter", "status=exited"];
    let said = docker.run(&words.map(OsString::from), Input::Nothing).await?;
    for old in String::from_utf8_lossy(&said.out).split_whitespace().filter(|old| !old.starts_with('-')) {
        docker.run(&["rm", old].map(OsString::from), Input::Nothing).await?;
    }
    Ok(())
}

/// A server in another container, with the same data, would not know what happens to it.
async fn nobody_else_is_there(docker: &Docker, name: &str, facts: &Value) -> Result<()> {
    let mounts = facts.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    for mount in mounts {
        let text = |key: &str| mount.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let source = if text("Type") == Some("volume") { text("Name") } else { text("Source") };
        // What is only read by all may be shared.
        let Some(source) = source.filter(|_| mount.get("RW") == Some(&Value::Bool(true))) else { continue };
        let filter = format!("volume={source}");
        let words = ["ps", "--format", "{{.Names}} {{.Label \"pgseal.helper\"}}", "--filter", &filter];
        let said = docker.run(&words.map(OsString::from), Input::Nothing).await?;
        let text = String::from_utf8_lossy(&said.out).into_owned();
        // Another helper is no server; the lock keeps two of us apart.
        if let Some(other) = text.lines().find(|line| line.ends_with(' ')) {
            return Err(Failure::new(format!(
                "container {name} does not run, and another has its volume {source}"
            ))
            .because(format!("it is {}", other.trim()))
            .because("nothing was changed")
            .hint(format!(
                "container:{} where that is the server, or docker stop {}",
                other.trim(),
                other.trim()
            )));
        }
    }
    Ok(())
}

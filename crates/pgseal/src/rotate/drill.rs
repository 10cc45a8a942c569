//! A rehearsal: a temporary server of the same version with a copy of the TLS settings and a throw-away key is rotated
//! as the real one would be, and removed. Of the real one, files and settings are read, and nothing else.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pgseal_conf::settings::quote;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::contained;
use crate::failure::{Failure, Result};
use crate::interrupt::{Shield, interruptible};
use crate::journal::fresh_id;
use crate::place::Place;
use crate::place::call::Input;
use crate::place::docker::Docker;
use crate::privilege::secret::Secret;
use crate::privilege::user::running_as_root;
use crate::privilege::{files, trusted};
use crate::secure::facts::Facts;
use crate::secure::observe::{in_data, observe, server_file};
use crate::server::said::last_lines;
use crate::target::{Asked, Target, login};

/// For each of the runs that a rehearsal is made of: an initdb is among them.
const PATIENCE: Duration = Duration::from_secs(300);
/// A reload takes a moment.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);
const LINES: usize = 12;
/// Everybody may pass, the server's user among them, and nobody may look.
const PASSABLE: u32 = 0o711;
/// What decides about TLS beside key and certificate, by value.
const BY_VALUE: [&str; 7] = [
    "ssl_ciphers",
    "ssl_tls13_ciphers",
    "ssl_groups",
    "ssl_ecdh_curve",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "ssl_prefer_server_ciphers",
];
/// And by the file that it names.
const BY_FILE: [&str; 3] = ["ssl_ca_file", "ssl_crl_file", "ssl_dh_params_file"];
/// What has no part in it.
const LEFT_OUT: [&str; 2] = ["ssl_crl_dir", "ssl_passphrase_command"];

/// What was rehearsed.
pub(crate) struct Drilled {
    pub(crate) word: String,
    pub(crate) version: String,
    /// The settings that were copied.
    pub(crate) settings: Vec<(String, String)>,
    /// Settings that were not.
    pub(crate) left_out: Vec<String>,
    /// What `rotate` said of the temporary server (docs/schema/rotate.json).
    pub(crate) rotation: Value,
}

/// Settings and the files that they name.
struct Copied {
    settings: Vec<(String, String)>,
    files: Vec<(String, Zeroizing<Vec<u8>>)>,
    left_out: Vec<String>,
}

/// Where the temporary server stands.
struct Stand {
    /// Everything of it: journal, CA, and where it is a folder of ours, the server.
    folder: PathBuf,
    /// A container, and docker.
    container: Option<(String, Docker)>,
    target: String,
    /// The superuser of a container.
    password: Option<Secret>,
}

pub(crate) async fn drill(word: &str, asked: &Asked) -> Result<Drilled> {
    let mut place = Target::place(word).await?;
    let server = place.running().await?;
    let who = login(&place, &server, asked)?;
    let held = place.session(&server, &who).await?;
    let facts = observe(&mut place, &server, &held, &who).await?;
    held.close().await;
    let copied = copied(&mut place, &facts).await?;
    let mut stand = Stand::prepare(&place).await?;
    let shield = Shield::default();
    let rehearsed = interruptible(&shield, rehearse(&mut stand, &mut place, server.pid, &copied)).await;
    let gone = stand.remove().await;
    let unharmed = |failure: Failure| failure.because(format!("nothing of {word} was touched"));
    let rotation = match (rehearsed, gone) {
        (Ok(rotation), Ok(())) => rotation,
        (Err(failure), Ok(())) | (Ok(_), Err(failure)) => return Err(unharmed(failure)),
        (Err(failure), Err(left)) => return Err(unharmed(failure).because(left.sentence())),
    };
    Ok(Drilled {
        word: word.to_owned(),
        version: facts.version_text,
        settings: copied.settings,
        left_out: copied.left_out,
        rotation,
    })
}

async fn copied(place: &mut Place, facts: &Facts) -> Result<Copied> {
    let set = |name: &&str| facts.settings.get(*name).is_some_and(|setting| setting.source != "default");
    let mut settings: Vec<(String, String)> = BY_VALUE
        .into_iter()
        .filter(set)
        .map(|name| (name.to_owned(), facts.setting(name).to_owned()))
        .collect();
    let mut files = Vec::new();
    for name in BY_FILE.into_iter().filter(|name| !facts.setting(name).is_empty()) {
        let file = server_file(place, &in_data(place, facts.setting(name))).await?;
        let copy = format!("drill-{name}");
        settings.push((name.to_owned(), copy.clone()));
        files.push((copy, Zeroizing::new(file.bytes)));
    }
    let left_out = LEFT_OUT.into_iter().filter(|name| !facts.setting(name).is_empty()).map(str::to_owned);
    Ok(Copied { settings, files, left_out: left_out.collect() })
}

async fn rehearse(stand: &mut Stand, place: &mut Place, pid: i32, copied: &Copied) -> Result<Value> {
    if place.is_contained() {
        stand.start_container(place).await?;
    } else {
        stand.start_here(place, pid).await?;
    }
    let mut there = Target::place(&stand.target).await?;
    let conf = there.data.join("postgresql.conf");
    for (name, bytes) in &copied.files {
        there.put(&there.data.join(name).clone(), 0o600, bytes).await?;
    }
    let before = server_file(&mut there, &conf).await?;
    let mut text = before.bytes;
    for (name, value) in &copied.settings {
        let value = quote(value).ok_or_else(|| Failure::new(format!("no setting can hold {value:?}")))?;
        text.extend(format!("\n{name} = {value}\n").into_bytes());
    }
    there.put(&before.real, before.status.mode, &text).await?;
    drop(there);
    let said = stand.pgseal(&["rotate", &stand.target, "--format", "json"]).await?;
    serde_json::from_slice(&said)
        .map_err(|error| Failure::new(format!("the rehearsal said nothing that can be read: {error}")))
}

impl Stand {
    async fn prepare(place: &Place) -> Result<Self> {
        let parent = std::env::temp_dir();
        let parent = fs::canonicalize(&parent).map_err(|error| Failure::io("find", &parent, &error))?;
        trusted::parent_for_root(&parent)?;
        let folder = parent.join(format!("pgseal-drill-{}", fresh_id()?));
        files::make_folder(&folder, PASSABLE)
            .map_err(|error| Failure::io("make the folder", &folder, &error))?;
        let container = if place.is_contained() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Some((name, Docker::find().await?))
        } else {
            None
        };
        let target = match &container {
            Some((name, _)) => format!("container:{name}"),
            None => format!("dir:{}", folder.join("server").display()),
        };
        Ok(Self { folder, container, target, password: None })
    }

    /// `pgseal up` with the programs of the running server, in the name of its user.
    async fn start_here(&self, place: &mut Place, pid: i32) -> Result<()> {
        let exe = PathBuf::from(format!("/proc/{pid}/exe"));
        let program = place.hands.look(&exe).await?.map(|(real, _)| real);
        let programs = program.as_deref().and_then(Path::parent).map(Path::to_owned);
        let programs = programs.ok_or_else(|| {
            Failure::new(format!("the server's programs could not be found: {} leads nowhere", exe.display()))
        })?;
        let server = self.folder.join("server").display().to_string();
        let programs = programs.display().to_string();
        let mut words = vec!["up", &server, "-p", "0", "--bindir", &programs, "--format", "json"];
        let user = place.hands.user().name.clone();
        if running_as_root() {
            words.extend(["--run-as", &user]);
        }
        self.pgseal(&words).await.map(drop)
    }

    /// A container of the same image, and TLS turned on in it.
    async fn start_container(&mut self, place: &Place) -> Result<()> {
        let image =
            place.image().ok_or_else(|| Failure::new("docker does not tell the container's image"))?;
        let Some((name, docker)) = &self.container else { return Ok(()) };
        self.password = Some(contained::start(docker, name, image, &self.target).await?);
        self.until_it_lets_us_in().await?;
        let ca = self.folder.join("ca").display().to_string();
        self.pgseal(&["secure", &self.target, "--yes", "--new-ca", &ca]).await.map(drop)
    }

    /// Its rules count for whoever comes after the reload, which nobody announces.
    async fn until_it_lets_us_in(&self) -> Result<()> {
        let end = Instant::now() + READY_WITHIN;
        loop {
            let looked = self.pgseal(&["sessions", &self.target, "--format", "json"]).await;
            match looked {
                Ok(_) => return Ok(()),
                Err(failure) if Instant::now() >= end => return Err(failure),
                Err(_) => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
            }
        }
    }

    /// This program once more, with a journal of its own and nothing of ours in its environment.
    async fn pgseal(&self, words: &[&str]) -> Result<Vec<u8>> {
        let mut command = Command::new("/proc/self/exe");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        command.env("PGSEAL_STATE_DIR", self.folder.join("state"));
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(password) = &self.password {
            command.env("PGUSER", contained::SUPERUSER).env("PGPASSFILE", contained::PASSFILE);
            command.stdin(contained::passfile(password)?);
        }
        command.process_group(0).kill_on_drop(true);
        let failed =
            |error: std::io::Error| Failure::new(format!("could not run this program once more: {error}"));
        let ran = tokio::time::timeout(PATIENCE, command.output()).await;
        let ran = ran.map_err(|_| {
            Failure::new(format!("{} did not end within {} s", words.join(" "), PATIENCE.as_secs()))
        })?;
        let ran = ran.map_err(failed)?;
        if ran.status.success() {
            return Ok(ran.stdout);
        }
        let verb = words.first().copied().unwrap_or_default();
        Err(Failure::stopped(format!(
            "the rehearsal failed: {verb} on the temporary server did not go through"
        ))
        .because_all(last_lines(&ran.stderr, LINES)))
    }

    /// Stops and removes all of it.
    async fn remove(&self) -> Result<()> {
        if let Some((name, docker)) = &self.container {
            let words = ["rm", "--force", "--volumes", name].map(OsString::from);
            let said = docker.run(&words, Input::Nothing).await?;
            // Where it could not be made, there is none.
            if !said.well && !said.err.contains("No such container") {
                return Err(Failure::new(format!(
                    "docker could not remove the container {name}: {}",
                    said.err.trim()
                ))
                .hint(format!("docker rm --force --volumes {name}")));
            }
        } else if self.folder.join("server").exists() {
            let server = self.folder.join("server").display().to_string();
            self.pgseal(&["down", &server, "--remove", "--yes"]).await?;
        }
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))
            .and_then(|()| fs::remove_dir_all(&self.folder))
            .map_err(|error| Failure::io("remove", &self.folder, &error))
    }
}

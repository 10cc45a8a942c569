//! What `up` would write and run, for `--dry-run`: shown, and nothing of it done. Keys and passwords are made by the
//! real run alone.

use std::path::Path;

use pgseal_conf::block::{self, Block, Place};
use serde::Serialize;
use time::OffsetDateTime;

use super::compose;
use super::make::{PUBLIC, SECRET, initdb_arguments};
use super::observe::observe;
use super::plan::plan;
use super::wish::{Engine, Wish};
use crate::delegate::Delegate;
use crate::failure::Result;
use crate::folder::layout::Folder;
use crate::folder::state::{self, State};
use crate::folder::{client_files, configuration};
use crate::privilege::user::server_user;
use crate::report::escape::for_terminal;
use crate::report::json::SCHEMA_VERSION;

/// The JSON of `pgseal up --dry-run` (docs/schema/up-plan.json).
#[derive(Debug, Serialize)]
pub(crate) struct UpPlanned {
    schema_version: u32,
    dir: String,
    pub(super) engine: &'static str,
    pub(super) files: Vec<PlannedFile>,
    /// Command lines, in order; `CONTAINER` and the like stand for what is known only then.
    pub(super) commands: Vec<String>,
}

/// One file.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedFile {
    pub(super) path: String,
    /// In octal.
    pub(super) mode: String,
    /// Null for keys, certificates and passwords.
    pub(super) text: Option<String>,
}

impl PlannedFile {
    pub(super) fn open(path: impl Into<String>, mode: u32, text: impl Into<String>) -> Self {
        Self { path: path.into(), mode: format!("{mode:04o}"), text: Some(text.into()) }
    }

    pub(super) fn secret(path: impl Into<String>, mode: u32) -> Self {
        Self { path: path.into(), mode: format!("{mode:04o}"), text: None }
    }
}

/// Looks as `up` does, and stops before the first byte.
pub(crate) async fn dry_run(folder: &Folder, wish: &Wish) -> Result<UpPlanned> {
    let folder_is_there = match state::observe(folder)? {
        State::Made(settings) => {
            super::run::differs(folder, &settings, wish)?;
            let start = match &settings.compose {
                Some(compose) => format!("docker start CONTAINER    (of project {})", compose.project),
                None => {
                    format!("{}/postgres -D {}", settings.server.bindir.display(), folder.data().display())
                }
            };
            let engine = if settings.compose.is_some() { Engine::Compose } else { Engine::Native };
            let commands = vec![format!("{start}    (unless it runs)")];
            return Ok(UpPlanned::of(folder, engine, Vec::new(), commands));
        }
        State::Absent => false,
        State::Empty | State::Unfinished => true,
    };
    match super::run::engine(wish)? {
        Engine::Compose => compose::dry_run::dry_run(folder, folder_is_there, wish).await,
        Engine::Native => native(folder, folder_is_there, wish).await,
    }
}

async fn native(folder: &Folder, folder_is_there: bool, wish: &Wish) -> Result<UpPlanned> {
    let user = server_user(wish.run_as.as_deref())?;
    let mut delegate = Delegate::start(&user).await?;
    let facts = observe(wish, folder, folder_is_there, &mut delegate).await?;
    let plan = plan(&facts, wish, OffsetDateTime::now_utc())?;
    let settings = &plan.settings;
    let mut files = vec![PlannedFile::open(shown(&folder.settings()), PUBLIC, settings.to_text()?)];
    files.extend(of_every_folder(folder, settings)?);
    files.push(PlannedFile::secret(shown(&folder.pem()), SECRET));
    files.push(PlannedFile::secret(shown(&folder.public_certificate()), PUBLIC));
    let block = Block::new(&plan.change, super::make::NOTE, configuration::settings_lines(folder, settings))
        .and_then(|block| block::insert(b"", Place::End, &block))
        .map_err(|error| crate::failure::Failure::new(error.to_string()))?;
    let data = |name: &str| shown(&folder.data().join(name));
    let admins: Vec<&str> = plan.local_admins.iter().map(String::as_str).collect();
    files.push(PlannedFile::open(
        format!("{} (at its end)", data("postgresql.conf")),
        SECRET,
        String::from_utf8_lossy(&block),
    ));
    files.push(PlannedFile::open(data("pg_hba.conf"), SECRET, configuration::hba_text(settings)));
    files.push(PlannedFile::open(
        data("pg_ident.conf"),
        SECRET,
        configuration::ident_text(settings, &admins),
    ));
    let initdb = facts.binaries.initdb.display().to_string();
    let mut words = vec![initdb];
    words.extend(initdb_arguments(&folder.data(), settings));
    let commands = vec![
        format!("{}    (as user {})", words.join(" "), user.name),
        format!(
            "{} -D {}    (as user {})",
            facts.binaries.postgres.display(),
            shown(&folder.data()),
            user.name
        ),
        format!("CREATE DATABASE \"{}\"", settings.server.dbname.replace('"', "\"\"")),
    ];
    Ok(UpPlanned::of(folder, Engine::Native, files, commands))
}

/// What both engines write: the CA's and the clients' files.
pub(super) fn of_every_folder(
    folder: &Folder,
    settings: &crate::folder::settings::Settings,
) -> Result<Vec<PlannedFile>> {
    Ok(vec![
        PlannedFile::secret(shown(&folder.authority_key()), SECRET),
        PlannedFile::secret(shown(&folder.authority_certificate()), PUBLIC),
        PlannedFile::secret(shown(&folder.issued()), PUBLIC),
        PlannedFile::secret(shown(&folder.client_ca()), PUBLIC),
        PlannedFile::secret(shown(&folder.passfile()), SECRET),
        PlannedFile::open(
            shown(&folder.service_file()),
            PUBLIC,
            client_files::service_text(folder, settings)?,
        ),
        PlannedFile::open(
            shown(&folder.connection_text()),
            PUBLIC,
            client_files::connection_text(folder, settings)?,
        ),
    ])
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

impl UpPlanned {
    pub(super) fn of(
        folder: &Folder,
        engine: Engine,
        files: Vec<PlannedFile>,
        commands: Vec<String>,
    ) -> Self {
        let dir = folder.root().display().to_string();
        Self { schema_version: SCHEMA_VERSION, dir, engine: engine.as_str(), files, commands }
    }

    pub(crate) fn human(&self) -> String {
        let mut lines = Vec::new();
        if self.files.is_empty() {
            lines.push(format!("{} is made already: nothing would be written", for_terminal(&self.dir)));
        } else {
            lines.push("Would write".to_owned());
        }
        for file in &self.files {
            lines.push(format!("  {}  {}", file.mode, for_terminal(&file.path)));
            let text = file.text.iter().flat_map(|text| text.lines());
            lines.extend(text.map(|line| format!("      | {}", for_terminal(line)).trim_end().to_owned()));
        }
        lines.push("Would run".to_owned());
        lines.extend(self.commands.iter().map(|line| format!("  {}", for_terminal(line))));
        lines.push("Nothing was written and nothing was started.".to_owned());
        lines.join("\n")
    }
}

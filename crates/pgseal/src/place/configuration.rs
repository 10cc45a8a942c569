//! What a server's configuration files say, without asking the server: for one that is down, and for
//! everything that SQL does not tell.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use pgseal_conf::files::FileFault;
use pgseal_conf::settings::{CommandLine, ErrorLimit, Settings, postmaster_opts};
use pgseal_conf::{ByteString, PgVersion};

use super::{Layout, Place, cluster};
use crate::failure::{Failure, Result};
use crate::hba::snapshot::Snapshot;

/// PG_VERSION is one short line; postmaster.opts is one line.
const LIMIT: u64 = 1 << 20;

impl Place {
    /// The major version of the data directory.
    pub(crate) async fn version(&mut self) -> Result<PgVersion> {
        let path = self.data.join("PG_VERSION");
        let bytes = self.hands.read(&path, LIMIT).await?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        text.parse().map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    }

    /// What the files and the command line of the last start say. A file that did not come through is an error,
    /// in the system's words: PostgreSQL's own are only that it could not be opened, and of one that need not
    /// be there it says nothing at all.
    pub(crate) async fn settings(&mut self, config_file: &Path, version: PgVersion) -> Result<Settings> {
        let (config_file, data) = (bytes_of(config_file), bytes_of(&self.data));
        let (settings, files) = Snapshot::of(&mut self.hands, |files| {
            Settings::load(&config_file, Some(&data), files, version, ErrorLimit::Hundred)
        })
        .await;
        let broken = !settings.errors.is_empty();
        let counts = |why: &FileFault| match why {
            FileFault::Other(_) => true,
            // The server's user is denied it, too: where it need not be there, PostgreSQL goes on without it.
            FileFault::Denied => broken,
            _ => false,
        };
        if let Some((path, why)) = files.refused(counts) {
            return Err(Failure::new(format!("could not read {path}: {why}")));
        }
        Ok(settings.with_command_line(self.command_line().await?))
    }

    /// The main configuration file, as the last start had it.
    pub(crate) async fn main_file(&mut self) -> Result<PathBuf> {
        let command_line = self.command_line().await?;
        let named = command_line.get("config_file");
        Ok(match (named, &self.layout) {
            (Some(value), _) => self.data.join(OsStr::from_bytes(value.as_bytes())),
            (None, Layout::Cluster { version, name }) => {
                cluster::configuration(version, name).join("postgresql.conf")
            }
            (None, _) => self.data.join("postgresql.conf"),
        })
    }

    /// Where the rules lie, as the files say it.
    pub(crate) async fn hba_file(&mut self, version: PgVersion) -> Result<PathBuf> {
        let config_file = self.main_file().await?;
        let settings = self.settings(&config_file, version).await?;
        let named = settings.effective("hba_file");
        Ok(named.map_or_else(|| self.data.join("pg_hba.conf"), |value| self.in_data(value.value())))
    }

    fn in_data(&self, path: &ByteString) -> PathBuf {
        self.data.join(OsStr::from_bytes(path.as_bytes()))
    }

    /// The server program of the last start; `None` where it was never started.
    pub(crate) async fn program(&mut self) -> Result<Option<PathBuf>> {
        let arguments = self.last_start().await?;
        let program = arguments.first().map(|program| PathBuf::from(OsStr::from_bytes(program.as_bytes())));
        Ok(program.filter(|program| program.is_absolute()))
    }

    /// What that program was given, as far as it is text.
    pub(crate) async fn words_of_the_last_start(&mut self) -> Result<Vec<String>> {
        let arguments = self.last_start().await?;
        let text = |word: &ByteString| String::from_utf8(word.as_bytes().to_vec()).ok();
        Ok(arguments.iter().skip(1).filter_map(text).collect())
    }

    async fn command_line(&mut self) -> Result<CommandLine> {
        let arguments = self.last_start().await?;
        let given: Vec<&[u8]> = arguments.iter().skip(1).map(ByteString::as_bytes).collect();
        Ok(CommandLine::parse(&given))
    }

    /// Program and arguments; none where the server was never started.
    async fn last_start(&mut self) -> Result<Vec<ByteString>> {
        if let Some(words) = &self.start {
            return Ok(["postgres"]
                .into_iter()
                .chain(words.iter().map(String::as_str))
                .map(Into::into)
                .collect());
        }
        if let Some(known) = &self.last_start {
            return Ok(known.clone());
        }
        let path = self.data.join("postmaster.opts");
        let found = match self.hands.look(&path).await? {
            Some(_) => postmaster_opts(&self.hands.read(&path, LIMIT).await?),
            None => Vec::new(),
        };
        self.last_start = Some(found.clone());
        Ok(found)
    }
}

fn bytes_of(path: &Path) -> ByteString {
    path.as_os_str().as_bytes().into()
}

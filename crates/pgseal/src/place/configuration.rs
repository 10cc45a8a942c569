//! What a server's configuration files say, without asking the server: for one that is down, and for
//! everything that SQL does not tell.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

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

    /// What the files and the command line of the last start say.
    pub(crate) async fn settings(&mut self, config_file: &Path, version: PgVersion) -> Settings {
        let (config_file, data) = (bytes_of(config_file), bytes_of(&self.data));
        let (settings, _) = Snapshot::of(&mut self.hands, |files| {
            Settings::load(&config_file, Some(&data), files, version, ErrorLimit::Hundred)
        })
        .await;
        settings.with_command_line(self.command_line().await)
    }

    /// Where the rules lie, as the files say it.
    pub(crate) async fn hba_file(&mut self, version: PgVersion) -> PathBuf {
        let command_line = self.command_line().await;
        let named =
            |name| command_line.get(name).map(|value| self.data.join(OsStr::from_bytes(value.as_bytes())));
        let config_file = named("config_file").unwrap_or_else(|| match &self.layout {
            Layout::Cluster { version, name } => {
                cluster::configuration(version, name).join("postgresql.conf")
            }
            _ => self.data.join("postgresql.conf"),
        });
        let settings = self.settings(&config_file, version).await;
        settings.effective("hba_file").map_or_else(
            || self.data.join("pg_hba.conf"),
            |value| self.data.join(OsStr::from_bytes(value.value().as_bytes())),
        )
    }

    async fn command_line(&mut self) -> CommandLine {
        let text = self.hands.read(&self.data.join("postmaster.opts"), LIMIT).await;
        let arguments = text.map(|text| postmaster_opts(&text)).unwrap_or_default();
        let given: Vec<&[u8]> = arguments.iter().skip(1).map(ByteString::as_bytes).collect();
        CommandLine::parse(&given)
    }
}

fn bytes_of(path: &Path) -> ByteString {
    path.as_os_str().as_bytes().into()
}

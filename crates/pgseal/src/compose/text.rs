//! The compose file of a sealed server, as a person would have written it. Values in, text out.

use std::net::IpAddr;
use std::path::Path;

use super::scalar::{quoted, scalar};
use crate::place::UP_TLS;

/// Where the volume with key, certificate and settings shows in the container.
pub(crate) const TLS: &str = UP_TLS;
/// Its name, and that of the folder in the stream which fills it.
pub(crate) const TLS_VOLUME: &str = "tls";
pub(crate) const DATA_VOLUME: &str = "data";
/// The service, and so the name by which other containers of the project reach it.
pub(crate) const SERVICE: &str = "postgres";
/// The port inside.
pub(crate) const PORT: u16 = 5432;

/// What there is to say about one server.
pub(crate) struct ComposeFile<'f> {
    pub(crate) image: &'f str,
    pub(crate) major: u16,
    pub(crate) container_name: Option<&'f str>,
    pub(crate) username: &'f str,
    pub(crate) dbname: &'f str,
    pub(crate) listen: &'f [IpAddr],
    pub(crate) port: u16,
    /// Where the data volume shows.
    pub(crate) mount: &'f Path,
}

impl ComposeFile<'_> {
    pub(crate) fn to_text(&self) -> String {
        let container_name = self
            .container_name
            .map_or_else(String::new, |name| format!("    container_name: {}\n", scalar(name)));
        format!(
            "# PostgreSQL that speaks only TLS. Made by pgseal up; prove it at any time: pgseal verify .
services:
  {SERVICE}:
    image: {image}
{container_name}    restart: unless-stopped
    environment:
      POSTGRES_USER: {username}
      POSTGRES_DB: {dbname}
      # Read once, for the empty database; pgseal empties the file after that. Clients have it in client/pgpass.
      POSTGRES_PASSWORD_FILE: {TLS}/password
{initdb}    # TLS from the first packet: this file turns it on, names key and certificate, and has pg_hba.conf beside it
    # refuse whoever comes without. The rest is in the data directory's own postgresql.conf, as always.
    command: [\"-c\", \"config_file={TLS}/postgresql.conf\"]
    volumes:
      - {DATA_VOLUME}:{mount}
      # Key, certificate and settings. A volume, not a folder of the host: there the key keeps an owner and a mode
      # that PostgreSQL accepts, and a renewed certificate takes the old one's place by a rename.
      - {TLS_VOLUME}:{TLS}
    ports:
{ports}    healthcheck:
      # A query that is answered, by a server that listens to others: the one that only sets the database up does not.
      test: [\"CMD-SHELL\", \"PGUSER=$$POSTGRES_USER PGDATABASE=$$POSTGRES_DB psql -XwAtc 'SHOW listen_addresses' | grep -q .\"]
      interval: 10s
      timeout: 5s
      retries: 3
      start_period: 60s

volumes:
  {DATA_VOLUME}:
  {TLS_VOLUME}:
",
            image = scalar(self.image),
            username = scalar(self.username),
            dbname = scalar(self.dbname),
            initdb = self.initdb(),
            mount = self.mount.display(),
            ports = self.ports(),
        )
    }

    /// Until 13, initdb makes the first password's hash by the method that it is told to ask for.
    fn initdb(&self) -> String {
        if self.major >= 14 {
            return String::new();
        }
        "      # The password's hash is for SCRAM; without this PostgreSQL before 14 would make one for md5.
      POSTGRES_INITDB_ARGS: --auth-host=scram-sha-256\n"
            .to_owned()
    }

    fn ports(&self) -> String {
        let port = self.port;
        let local = self.listen.iter().all(IpAddr::is_loopback);
        let note = if local {
            format!(
                "      # For this machine alone. For others too: \"{port}:{PORT}\"; the certificate has to bear the name they use.\n"
            )
        } else {
            String::new()
        };
        let lines: String = self
            .listen
            .iter()
            .map(|ip| match ip {
                IpAddr::V4(ip) => format!("{ip}:{port}:{PORT}"),
                IpAddr::V6(ip) => format!("[{ip}]:{port}:{PORT}"),
            })
            .map(|line| format!("      - {}\n", quoted(&line)))
            .collect();
        note + &lines
    }
}

/// `.env`, which compose reads beside the file: the project's name, so that two folders of one name never share
/// a volume.
pub(crate) fn env_text(project: &str) -> String {
    format!(
        "# The name of this compose project, and so of its containers and volumes. Changed, they are not found any more.\nCOMPOSE_PROJECT_NAME={project}\n"
    )
}

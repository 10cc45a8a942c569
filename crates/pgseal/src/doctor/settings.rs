//! The TLS settings: what is odd about them, and each with where it comes from.

use std::collections::BTreeMap;

use pgseal_conf::PgVersion;
use pgseal_wire::Session;
use serde::Serialize;

use super::Notes;
use crate::secure::facts::Setting;
use crate::sql::rows_of;

/// One setting as the server has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: String,
    /// `default`, `configuration file`, `command line` …
    pub(crate) source: String,
    /// The file and its line, where it comes from one.
    pub(crate) place: Option<String>,
    /// What holds when nothing sets it, in this version.
    pub(crate) default: String,
    /// Whether the files say something else, which only a restart brings about.
    pub(crate) pending_restart: bool,
    /// What the wire shows of it; none where it shows nothing, or was not looked at.
    pub(crate) served: Option<String>,
}

/// Every setting that has to do with TLS and logins.
pub(crate) async fn rows(session: &Session) -> Result<Vec<Row>, String> {
    const ROWS: &str = "SELECT name, coalesce(setting, ''), source, sourcefile || ':' || sourceline, \
         coalesce(boot_val, ''), pending_restart FROM pg_settings WHERE name LIKE 'ssl%' OR name IN \
         ('password_encryption', 'listen_addresses', 'hba_file', 'log_connections', 'krb_server_keyfile') ORDER BY name";
    let rows = rows_of(session, ROWS, &[]).await?;
    let read = |row: &tokio_postgres::Row| -> Result<Row, tokio_postgres::Error> {
        Ok(Row {
            name: row.try_get(0)?,
            value: row.try_get(1)?,
            source: row.try_get(2)?,
            place: row.try_get(3)?,
            default: row.try_get(4)?,
            pending_restart: row.try_get(5)?,
            served: None,
        })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

pub(super) fn judge(settings: &BTreeMap<String, Setting>, version: PgVersion, notes: &mut Notes<'_>) {
    let value = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    let on = |name: &str| value(name) == "on";
    if !value("ssl_passphrase_command").is_empty() && !on("ssl_passphrase_command_supports_reload") {
        notes.find("key-without-reload", "ssl_passphrase_command_supports_reload = off");
    }
    let (least, most) = (value("ssl_min_protocol_version"), value("ssl_max_protocol_version"));
    // TLSv1 < TLSv1.1 < TLSv1.2 < TLSv1.3, also as texts. From 13 on the server refuses to load such a pair.
    if !most.is_empty() && least > most {
        notes.find("minimum-above-maximum", format!("{least} and {most}"));
    }
    let curve = value("ssl_ecdh_curve");
    if version < PgVersion::V18 && curve.contains([':', ',']) {
        notes.find("curve-list-unsupported", format!("ssl_ecdh_curve = '{curve}'"));
    }
    let groups = value("ssl_groups");
    if version >= PgVersion::V18 && !groups.to_ascii_uppercase().contains("MLKEM") {
        notes.find("no-post-quantum-group", format!("ssl_groups = '{groups}'"));
    }
    let listened = value("listen_addresses");
    if listens_everywhere(listened) {
        notes.find("listens-everywhere", format!("listen_addresses = '{listened}'"));
    }
}

/// Whether `listen_addresses` names every address of the machine.
pub(super) fn listens_everywhere(listen_addresses: &str) -> bool {
    listen_addresses.split(',').any(|word| matches!(word.trim(), "*" | "0.0.0.0" | "::"))
}

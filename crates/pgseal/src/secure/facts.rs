//! What is true of a server before it is changed. Plain values.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use pgseal_conf::PgVersion;
use pgseal_conf::hba::Roles;
use pgseal_conf::settings::Settings;
use pgseal_pki::{Certificate, SubjectAltName};

use super::fixed::FixedPair;
use crate::hba::source::Source;
use crate::journal::View;
use crate::privilege::files::Status;
use crate::sessions::Seen;
use crate::sessions::client::Client;
use crate::sessions::ledger::Times;

pub(crate) struct Facts {
    pub(crate) version: PgVersion,
    /// As the server prints it; of a stopped one the major version.
    pub(crate) version_text: String,
    /// `pg_control`'s, the same in the file and over SQL.
    pub(crate) identifier: u64,
    /// Whether no server runs, and the files alone were looked at.
    pub(crate) stopped: bool,
    /// `pg_postmaster_start_time()`; empty of a stopped server.
    pub(crate) started: String,
    pub(crate) in_recovery: bool,
    /// `pg_settings`, as far as TLS and logins go.
    pub(crate) settings: BTreeMap<String, Setting>,
    /// What the configuration files say now.
    pub(crate) files: Settings,
    /// The main configuration file.
    pub(crate) main: ServerFile,
    /// Hybrid key exchange groups that the server's OpenSSL is known to have.
    pub(crate) hybrid_groups: Vec<&'static str>,
    /// `postgresql.auto.conf`.
    pub(crate) auto: Option<ServerFile>,
    pub(crate) hba: ServerFile,
    /// What a start would refuse of the configuration already, beside the files of TLS.
    pub(crate) start_refused: Vec<String>,
    /// The same with all that it includes.
    pub(crate) rules: Source,
    /// What it is to hold instead, where its place is taken by a file that goes.
    pub(crate) rules_moved: Option<Vec<u8>>,
    pub(crate) certificate: Result<Present, String>,
    /// Where key and certificate lie, where the command line says so; why that cannot be told.
    pub(crate) fixed: Option<Result<FixedPair, String>>,
    /// What `ssl_ca_file` names.
    pub(crate) client_authorities: Option<ServerFile>,
    pub(crate) tls_folder: PathBuf,
    pub(crate) tls_folder_is_there: bool,
    /// What lies where our key and certificate go.
    pub(crate) own: OwnFiles,
    /// Where it can be reached from here.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) port: u16,
    /// Every address that it listens on is among the names of a certificate made for it.
    pub(crate) listens_on: Vec<IpAddr>,
    pub(crate) host_name: Option<SubjectAltName>,
    /// What clients in a network of its own call it.
    pub(crate) own_names: Vec<SubjectAltName>,
    pub(crate) sessions: Vec<Seen>,
    /// Who was recorded in the ledger of `pgseal sessions`, where there is one.
    pub(crate) recorded: BTreeMap<Client, Times>,
    pub(crate) roles: Option<Roles>,
    /// Roles that may log in and have no SCRAM verifier.
    pub(crate) without_scram: Vec<String>,
    /// Those of them that have another kind of password.
    pub(crate) md5_roles: Vec<String>,
    /// The file that the present certificate was taken from, where it holds another one by now.
    pub(crate) newer_source: Option<PathBuf>,
    pub(crate) view: View,
    /// Files of the data directory that pg_upgradecluster would have the settings name; `None`: it is no cluster of
    /// postgresql-common.
    pub(crate) taken_by_upgrade: Option<Vec<PathBuf>>,
    /// The chain that the wire showed, the leaf first; empty: no TLS.
    pub(crate) served: Vec<Certificate>,
}

/// One row of `pg_settings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) value: String,
    /// `default`, `configuration file`, `command line` …
    pub(crate) source: String,
    /// What holds when nothing sets it.
    pub(crate) boot: String,
}

/// A file of the server's, as it is.
#[derive(Clone, Debug)]
pub(crate) struct ServerFile {
    /// As the server calls it.
    pub(crate) named: PathBuf,
    /// Where that leads.
    pub(crate) real: PathBuf,
    pub(crate) status: Status,
    pub(crate) bytes: Vec<u8>,
}

/// The certificate that the settings name.
pub(crate) struct Present {
    pub(crate) leaf: Certificate,
    pub(crate) others: Vec<Certificate>,
    /// Why the key does not serve, if so.
    pub(crate) key: Result<(), String>,
    /// Whether the key is behind a passphrase.
    pub(crate) encrypted: bool,
}

impl Present {
    /// The leaf first.
    pub(crate) fn chain(&self) -> Vec<Certificate> {
        std::iter::once(&self.leaf).chain(&self.others).cloned().collect()
    }
}

/// Our own files, where there are some.
#[derive(Default)]
pub(crate) struct OwnFiles {
    pub(crate) pem: Option<(Status, String)>,
    pub(crate) certificate: Option<ServerFile>,
    pub(crate) authority: Option<ServerFile>,
    /// The CA beside the certificate that is named, where that lies in another folder of ours: a cluster's of before
    /// an upgrade.
    pub(crate) authority_beside: Option<ServerFile>,
    /// CAs of clients.
    pub(crate) client_authorities: Option<ServerFile>,
}

impl Facts {
    pub(crate) fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", |setting| &setting.value)
    }

    /// Whether TLS is on as far as the wire shows.
    pub(crate) const fn offers_tls(&self) -> bool {
        self.view.certificate.is_some()
    }
}

//! Where each thing lies in a pgseal folder. Names only; nothing is opened here.

use std::path::{Path, PathBuf};

/// The folder, by its absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What was asked for.
    pub(crate) fn settings(&self) -> PathBuf {
        self.root.join("pgseal.toml")
    }

    /// The compose project, for a server in a container.
    pub(crate) fn compose_file(&self) -> PathBuf {
        self.root.join("compose.yaml")
    }

    /// What compose reads beside it: the project's name.
    pub(crate) fn env_file(&self) -> PathBuf {
        self.root.join(".env")
    }

    /// Present from the first byte until just before the first start: a folder that holds it has
    /// never held anybody's data, and may be made anew.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.root.join(".unfinished")
    }

    /// The authority's own folder, out of the server's reach when root made it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.root.join("ca")
    }

    pub(crate) fn authority_certificate(&self) -> PathBuf {
        self.authority().join("server-ca.crt")
    }

    pub(crate) fn authority_key(&self) -> PathBuf {
        self.authority().join("server-ca.key")
    }

    /// The certificate last issued to this server: what the wire is compared with.
    pub(crate) fn issued(&self) -> PathBuf {
        self.authority().join("server.crt")
    }

    /// PGDATA.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Key and certificate, outside PGDATA so that base backups do not carry the key.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    pub(crate) fn pem(&self) -> PathBuf {
        self.tls().join("server-with-key.pem")
    }

    pub(crate) fn public_certificate(&self) -> PathBuf {
        self.tls().join("server.crt")
    }

    /// The Unix socket's folder.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn log_folder(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.log_folder().join("postgresql.log")
    }

    /// What clients need, and no more.
    pub(crate) fn client(&self) -> PathBuf {
        self.root.join("client")
    }

    pub(crate) fn client_ca(&self) -> PathBuf {
        self.client().join("ca.crt")
    }

    pub(crate) fn passfile(&self) -> PathBuf {
        self.client().join("pgpass")
    }

    pub(crate) fn service_file(&self) -> PathBuf {
        self.client().join("pg_service.conf")
    }

    pub(crate) fn connection_text(&self) -> PathBuf {
        self.client().join("connection.txt")
    }

    /// The folders that belong to the server's user.
    pub(crate) fn of_the_server(&self) -> [PathBuf; 4] {
        [self.data(), self.tls(), self.run(), self.log_folder()]
    }
}

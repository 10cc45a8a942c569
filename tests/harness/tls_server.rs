//! A server with a certificate, and scans of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::account::Account;
use super::forge::{Forge, Forged};
use super::install::Install;
use super::pgseal::Pgseal;
use super::process::{Ran, run};
use super::sandbox::Sandbox;
use super::server::{Server, Setup};

/// A running server that speaks TLS, with a certificate for `localhost` and 127.0.0.1.
pub(crate) struct TlsServer {
    server: Server,
    ca: String,
}

/// What the key of a certificate is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Ecdsa,
    Rsa,
}

impl std::ops::Deref for TlsServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl TlsServer {
    /// With an ECDSA key and initdb's settings.
    #[track_caller]
    pub(crate) fn of(version: u32) -> Self {
        Self::with(&Install::of(version), Key::Ecdsa, |setup| setup)
    }

    #[track_caller]
    pub(crate) fn with(install: &Install, key: Key, further: impl FnOnce(Setup) -> Setup) -> Self {
        let forge = Forge::new("the scanned server's");
        let names = ["localhost", "127.0.0.1"];
        let leaf = match key {
            Key::Ecdsa => forge.leaf(&names),
            Key::Rsa => forge.rsa_leaf(&names),
        };
        let ca = forge.certificate().to_owned();
        Self { server: Self::started(install, &leaf, further), ca }
    }

    /// With that certificate, whoever signed it.
    #[track_caller]
    pub(crate) fn showing(install: &Install, leaf: &Forged, further: impl FnOnce(Setup) -> Setup) -> Self {
        Self { server: Self::started(install, leaf, further), ca: leaf.certificate.clone() }
    }

    #[track_caller]
    fn started(install: &Install, leaf: &Forged, further: impl FnOnce(Setup) -> Setup) -> Server {
        let pem = leaf.one_pem();
        let setup = Server::with(install.clone())
            .conf("ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.pem'")
            .before(move |data| put(&data.join("server.pem"), &pem));
        further(setup).start()
    }

    /// The authority's certificate in a file.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.sandbox().file_of(&Account::current(), "scan-ca.crt", 0o644, &self.ca)
    }

    /// `pgseal scan` of it, with more words.
    pub(crate) fn scan(&self, words: &[&str]) -> Ran {
        let target = format!("localhost:{}", self.port());
        // The name leads to 127.0.0.1 or ::1: either is the server's. Tests are slow, and machines busy.
        Pgseal::new(self.sandbox())
            .args(["scan", &target, "--timeout", "40s", "--target-timeout", "10m"])
            .args(words.iter().copied())
            .limit(Duration::from_secs(600))
            .run()
    }

    /// What a scan says of it in JSON.
    #[track_caller]
    pub(crate) fn scanned(&self, words: &[&str]) -> Value {
        let ran = self.scan(&[&["--format", "json", "--fail-on", "never"], words].concat()).succeeded();
        ran.json()["targets"][0].clone()
    }

    /// openssl's own client.
    pub(crate) fn openssl(&self) -> Openssl {
        Openssl::to(self.port())
    }
}

fn put(path: &Path, pem: &str) {
    fs::write(path, pem)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)))
        .unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
    Account::owner_of(path.parent().expect("a file lies somewhere")).own(path);
}

/// One handshake of `openssl s_client`.
#[derive(Clone, Debug)]
pub(crate) struct Openssl {
    port: u16,
    args: Vec<String>,
    libraries: Option<PathBuf>,
}

/// What `openssl s_client` agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) version: String,
    pub(crate) suite: String,
}

impl Openssl {
    pub(crate) fn to(port: u16) -> Self {
        Self { port, args: Vec::new(), libraries: None }
    }

    /// More words for it.
    pub(crate) fn with(mut self, words: &[&str]) -> Self {
        self.args.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// With the OpenSSL libraries that a PostgreSQL brought along, in the place of the system's.
    pub(crate) fn of(mut self, install: &Install) -> Self {
        self.libraries = install.bin().parent().map(|tree| tree.join("lib"));
        self
    }

    /// What it agrees on; None where the server refuses.
    #[track_caller]
    pub(crate) fn agrees(&self) -> Option<Agreed> {
        let home = Sandbox::new();
        let mut command = Account::current().command("openssl", home.path());
        command.args(["s_client", "-starttls", "postgres", "-brief", "-connect"]);
        command.arg(format!("127.0.0.1:{}", self.port)).args(&self.args);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let ran = run(command, b"", Duration::from_secs(30));
        let said = |title: &str| {
            let line = ran.stderr().lines().find_map(|line| line.strip_prefix(title));
            line.map(|value| value.trim().to_owned())
        };
        let (version, suite) = (said("Protocol version:"), said("Ciphersuite:"));
        Some(Agreed { version: version?, suite: suite? })
    }

    /// Every suite that it knows below TLS 1.3, by OpenSSL's names.
    pub(crate) fn suites() -> Vec<String> {
        let mut command = Command::new("openssl");
        command.args(["ciphers", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
        let ran = run(command, b"", Duration::from_secs(30)).succeeded();
        ran.stdout().trim().split(':').filter(|name| !name.starts_with("TLS_")).map(str::to_owned).collect()
    }
}

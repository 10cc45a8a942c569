//! PostgreSQL's programs, of a chosen version. Knows where provisioning puts them, not how to use them.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::process::run;
use super::shelf::reachable_by_all;

/// The `bin` directory of one PostgreSQL, in a place that every user can reach and only we and root can write.
#[derive(Clone, Debug)]
pub(crate) struct Install {
    bin: PathBuf,
    release: String,
}

impl Install {
    /// The PostgreSQL of that major version.
    pub(crate) fn of(version: u32) -> Self {
        Self::called(&version.to_string())
    }

    /// PostgreSQL 18 with an OpenSSL that has post-quantum groups.
    pub(crate) fn post_quantum() -> Self {
        Self::called("18mlkem")
    }

    /// A PostgreSQL built without SSL.
    pub(crate) fn without_ssl() -> Self {
        Self::called("nossl")
    }

    fn called(name: &str) -> Self {
        static FOUND: Mutex<BTreeMap<String, Install>> = Mutex::new(BTreeMap::new());
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        found.entry(name.to_owned()).or_insert_with(|| Self::find(name)).clone()
    }

    fn find(name: &str) -> Self {
        let places = [cache().join(format!("pg-{name}")), Path::new("/usr/lib/postgresql").join(name)];
        let tree = places
            .iter()
            .find_map(|place| place.canonicalize().ok())
            .unwrap_or_else(|| {
                panic!(
                    "there is no PostgreSQL {name} in {} or {}: run `PGSEAL_TEST_CACHE={} tests/provision/needs.sh {name}`",
                    places[0].display(),
                    places[1].display(),
                    cache().display()
                )
            });
        let bin = reachable_by_all(&tree).join("bin");
        let mut command = Command::new(bin.join("postgres"));
        command.arg("--version");
        let release = run(command, b"", Duration::from_secs(10)).succeeded().stdout().trim().to_owned();
        Self { bin, release }
    }

    /// What to give to `--bindir`.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// As `postgres --version` prints it.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Its psql, or the system's where it comes without.
    pub(crate) fn psql(&self) -> PathBuf {
        let own = self.program("psql");
        if own.exists() { own } else { PathBuf::from("psql") }
    }
}

/// The project's directory.
pub(crate) fn project() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).expect("the crate lies in crates/ of the project").to_owned()
}

/// `PGSEAL_TEST_CACHE`, or `target/servers`; a relative path is one in the project, as `make` has it.
pub(crate) fn cache() -> PathBuf {
    let named = env::var_os("PGSEAL_TEST_CACHE").unwrap_or_else(|| "target/servers".into());
    project().join(named)
}

//! Debian's postgresql-common with clusters of a scenario's own: its folders are mounted over, so that no cluster of the system's
//! is seen or touched. Knows pg_createcluster and its like, not what becomes of a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::Account;
use super::namespace::{among_mounts_of_its_own, in_a_network_of_its_own, mount};
use super::pgseal::Pgseal;
use super::picture::{Kept, Pictured, picture};
use super::port::Port;
use super::process::{Ran, run};
use super::psql::Psql;
use super::sandbox::Sandbox;
use super::template::PASSWORD;

/// The version that Debian's own packages bring.
const VERSION: &str = "15";
const LIMIT: Duration = Duration::from_secs(240);

/// A machine's clusters.
pub(crate) struct Debian {
    sandbox: Sandbox,
    port: Port,
}

impl Debian {
    /// Runs something where there is one cluster, `15/main`, started, with a password for its superuser. The network is
    /// its own, too: an upgrade chooses the new cluster's port by itself.
    #[track_caller]
    pub(crate) fn with_main(options: &[&str], inside: impl FnOnce(&Self) + Send) {
        in_a_network_of_its_own(|| among_mounts_of_its_own(|| Self::made(options, inside)));
    }

    fn made(options: &[&str], inside: impl FnOnce(&Self)) {
        let debian = Self::mounted();
        let port = debian.port.number().to_string();
        debian.tool("pg_createcluster", &[&[VERSION, "main", "-p", &port][..], options].concat()).succeeded();
        debian.start("main");
        let peer = format!("host=/var/run/postgresql port={port} user=postgres dbname=postgres");
        let set = format!("ALTER ROLE postgres PASSWORD '{PASSWORD}'");
        Psql::to(peer).by(&Account::server()).run(&set).succeeded();
        inside(&debian);
    }

    fn mounted() -> Self {
        let sandbox = Sandbox::new();
        let there = Path::new("/usr/bin/pg_createcluster").exists();
        assert!(
            there,
            "there is no pg_createcluster here: run `tests/provision/system.sh postgresql-15`, which brings it"
        );
        for folder in ["/etc/postgresql", "/var/lib/postgresql", "/var/log/postgresql", "/var/run/postgresql"]
        {
            let name = folder.trim_start_matches('/').replace('/', "-");
            let ours = sandbox.dir_of(&Account::server(), &name);
            mount(&["--bind", ours.to_str().expect("a path of the tests is UTF-8"), folder]);
        }
        // Where systemd runs, it would start clusters, and among its own mounts.
        if Path::new("/run/systemd/system").exists() {
            mount(&["-t", "tmpfs", "none", "/run/systemd"]);
        }
        Self { sandbox, port: Port::free() }
    }

    /// One of postgresql-common's programs, by root.
    #[track_caller]
    pub(crate) fn tool(&self, program: &str, words: &[&str]) -> Ran {
        let mut command: Command = Account::current().command(program, self.sandbox.path());
        command.current_dir("/").args(words);
        run(command, b"", LIMIT)
    }

    #[track_caller]
    pub(crate) fn start(&self, name: &str) {
        self.tool("pg_ctlcluster", &[VERSION, name, "start"]).succeeded();
    }

    #[track_caller]
    pub(crate) fn stop(&self, name: &str) {
        self.tool("pg_ctlcluster", &[VERSION, name, "stop", "-m", "fast"]).succeeded();
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// pgseal with a journal of its own, and the superuser's name and password in its environment.
    pub(crate) fn pgseal(&self, by: &Account) -> Pgseal<'_> {
        let journal = self.sandbox.home_of(by).join("journal");
        let pgseal = Pgseal::new(&self.sandbox).by(by).env("PGSEAL_STATE_DIR", journal);
        pgseal.env("PGUSER", "postgres").env("PGPASSWORD", PASSWORD)
    }

    /// `pgseal secure CLUSTER --yes WORD…` with the account's CA, made where it is not there yet.
    pub(crate) fn secure(&self, cluster: &str, words: &[&str], by: &Account) -> Pgseal<'_> {
        let ca = self.sandbox.home_of(by).join("ca");
        let option = if ca.exists() { "--ca" } else { "--new-ca" };
        self.pgseal(by).args(["secure", cluster, "--yes", option]).arg(ca).args(words)
    }

    /// psql as the superuser over TCP; what it trusts is the CA beside `main`'s certificate.
    pub(crate) fn psql(&self, sslmode: &str) -> Psql {
        let ca = "/var/lib/postgresql/tls-15-main/ca.crt";
        let conninfo = format!(
            "host=localhost port={} user=postgres dbname=postgres sslmode={sslmode} sslrootcert={ca}",
            self.port()
        );
        Psql::to(conninfo).env("PGPASSWORD", PASSWORD)
    }

    /// What a change may touch: all configuration, and what lies in and beside the data directories that is not the
    /// server's alone.
    pub(crate) fn kept() -> BTreeMap<PathBuf, Kept> {
        let etc = picture(Path::new("/etc/postgresql"), |_| true);
        let lib = picture(Path::new("/var/lib/postgresql"), |path| !is_of_the_server(path));
        let all = [("etc", etc), ("lib", lib)];
        let of = |(prefix, seen): (&str, BTreeMap<PathBuf, Pictured>)| {
            let prefix = prefix.to_owned();
            seen.into_iter().map(move |(path, found)| (Path::new(&prefix).join(path), found.kept()))
        };
        all.into_iter().flat_map(of).collect()
    }

    /// A file of `/etc/postgresql/15/NAME`, as the server's user has it.
    pub(crate) fn configure(cluster: &str, name: &str, content: &str) {
        let path = Path::new("/etc/postgresql").join(cluster).join(name);
        fs::write(&path, content).unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
        Account::server().own(&path);
    }
}

/// Below a data directory (`15/main/base`), all but configuration and certificates.
fn is_of_the_server(path: &Path) -> bool {
    let inside = path.components().nth(2).is_some() && !path.starts_with("tls-15-main");
    inside && !path.extension().is_some_and(|ending| ending == "conf" || ending == "crt" || ending == "key")
}

impl Drop for Debian {
    fn drop(&mut self) {
        let listed = self.tool("pg_lsclusters", &["-h"]);
        for line in listed.stdout().lines() {
            let mut words = line.split_whitespace();
            if let (Some(version), Some(name)) = (words.next(), words.next()) {
                self.tool("pg_ctlcluster", &[version, name, "stop", "-m", "immediate"]);
            }
        }
    }
}

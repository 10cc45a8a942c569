//! A server as people have it: started by its own user, TLS off, `host all all all scram-sha-256`, an application's role
//! and database. Knows how pgseal is run on it and what its files are, not what becomes of them.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::install::Install;
use super::pgseal::Pgseal;
use super::picture::{Kept, Pictured, picture};
use super::process::{Ran, run};
use super::psql::Psql;
use super::server::{Server, Setup};
use super::template::{PASSWORD, SUPERUSER};

/// The application's role and database, and its password.
pub(crate) const APP: &str = "app";
pub(crate) const APP_PASSWORD: &str = "an app's own";

/// `pg_hba.conf` of countless servers, with the socket open to tests run by anybody.
pub(crate) const USUAL_HBA: &str = "local all all trust\nlocal replication all trust\nhost all all all scram-sha-256\n\
                                    host replication all all scram-sha-256\n";

/// A running server without TLS, and who uses it.
pub(crate) struct Living {
    server: Server,
}

impl Deref for Living {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Living {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Living {
    #[track_caller]
    pub(crate) fn of(version: u32) -> Self {
        Self::set_up(version, |setup| setup)
    }

    /// The same with something else about it.
    #[track_caller]
    pub(crate) fn set_up(version: u32, further: impl FnOnce(Setup) -> Setup) -> Self {
        Self::on(Install::of(version), further)
    }

    /// The same of a PostgreSQL that is chosen by more than its version.
    #[track_caller]
    pub(crate) fn on(install: Install, further: impl FnOnce(Setup) -> Setup) -> Self {
        let usual = Server::with(install).conf("ssl = off").hba(USUAL_HBA);
        let living = Self { server: further(usual).start() };
        if living.sql("SELECT pg_is_in_recovery()") == "f" {
            living.sql(&format!(
                "SET password_encryption = 'scram-sha-256';\nCREATE ROLE {APP} LOGIN PASSWORD '{}';",
                APP_PASSWORD.replace('\'', "''")
            ));
        }
        living
    }

    /// A standby that streams from it over TCP with `sslmode=prefer`; the role `standby` is made for it.
    #[track_caller]
    pub(crate) fn standby(&self) -> Self {
        self.sql(
            "SET password_encryption = 'scram-sha-256';
             CREATE ROLE standby REPLICATION LOGIN PASSWORD 'streams'",
        );
        let program = self.install().program("pg_basebackup");
        let mut backup = self.account().command(program, "/nonexistent".as_ref());
        let primary = format!("host=127.0.0.1 port={} user=standby password=streams", self.port());
        backup.current_dir("/").args(["-X", "stream", "-c", "fast", "--no-sync", "-d", &primary, "-D"]);
        let made = Server::with(self.install().clone()).made_by(move |data| {
            backup.arg(data);
            run(backup, b"", Duration::from_secs(60)).succeeded();
            // As `-R` has it, but in words that the libpq of every walreceiver knows.
            let line = format!("primary_conninfo = '{primary} sslmode=prefer'\n");
            for (name, content) in [("postgresql.auto.conf", line.as_str()), ("standby.signal", "")] {
                let path = data.join(name);
                std::fs::write(&path, content).unwrap_or_else(|e| panic!("could not write {name}: {e}"));
                Account::owner_of(data).own(&path);
            }
        });
        // Where it finds its primary away it asks again at once.
        let standby = Self { server: made.conf("wal_retrieve_retry_interval = 50").start() };
        assert_eq!(standby.sql("SELECT pg_is_in_recovery()"), "t");
        standby
    }

    /// The data directory, as TARGET.
    pub(crate) fn target(&self) -> &Path {
        self.data()
    }

    /// pgseal with a journal of its own in the sandbox, and the superuser's name and password in its environment.
    pub(crate) fn pgseal(&self, by: &Account) -> Pgseal<'_> {
        Pgseal::new(self.sandbox())
            .by(by)
            .env("PGSEAL_STATE_DIR", self.journal_of(by))
            .env("PGUSER", SUPERUSER)
            .env("PGPASSWORD", PASSWORD)
    }

    /// Where that account's journal is, once there is one.
    pub(crate) fn journal_of(&self, by: &Account) -> PathBuf {
        self.sandbox().home_of(by).join("journal")
    }

    /// Where that account's CA is, once there is one.
    pub(crate) fn ca_of(&self, by: &Account) -> PathBuf {
        self.sandbox().home_of(by).join("ca")
    }

    /// `pgseal VERB TARGET WORD…`.
    pub(crate) fn verb(&self, verb: &str, words: &[&str], by: &Account) -> Pgseal<'_> {
        self.pgseal(by).arg(verb).arg(self.target()).args(words)
    }

    /// `pgseal secure TARGET --yes WORD…`, with the account's CA: made where it is not there yet.
    pub(crate) fn secure(&self, words: &[&str], by: &Account) -> Pgseal<'_> {
        let ca = self.ca_of(by);
        let option = if ca.exists() { "--ca" } else { "--new-ca" };
        self.verb("secure", &["--yes", option], by).arg(ca).args(words)
    }

    /// TLS on, proved; plaintext as before.
    #[track_caller]
    pub(crate) fn secured(&self, by: &Account) -> Ran {
        self.secure(&[], by).run().succeeded()
    }

    /// psql as the application over TCP, to `localhost`. The CA is the one that lies beside the server's certificate.
    pub(crate) fn psql(&self, sslmode: &str) -> Psql {
        self.psql_as(APP, APP_PASSWORD, sslmode)
    }

    pub(crate) fn psql_as(&self, user: &str, password: &str, sslmode: &str) -> Psql {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={user} dbname=postgres sslmode={sslmode} sslrootcert='{}'",
            self.port(),
            self.ca_file().display()
        );
        Psql::to(conninfo).of(&Install::of(15)).env("PGPASSWORD", password)
    }

    /// The folder of key and certificate, once pgseal has made it.
    pub(crate) fn tls_folder(&self) -> PathBuf {
        let mut name = self.data().file_name().expect("a data directory has a name").to_owned();
        name.push("-tls");
        self.data().with_file_name(name)
    }

    /// For clients.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.tls_folder().join("ca.crt")
    }

    /// Every file and folder around the server that PostgreSQL itself does not write all the time.
    pub(crate) fn all_files(&self) -> BTreeMap<PathBuf, Pictured> {
        picture(self.sandbox().path(), |path| !is_of_the_server(path))
    }

    /// What an undone change must leave as it was: configuration and the folders beside it, to the byte, with owner and
    /// mode. Journals, homes and CAs are pgseal's user's.
    pub(crate) fn kept_files(&self) -> BTreeMap<PathBuf, Kept> {
        let home = self.data().parent().expect("a data directory lies in a folder");
        let seen = picture(home, |path| !is_of_the_server(path));
        seen.into_iter().map(|(path, pictured)| (path, pictured.kept())).collect()
    }

    /// `pg_postmaster_start_time()`.
    #[track_caller]
    pub(crate) fn started(&self) -> String {
        self.sql("SELECT pg_postmaster_start_time()")
    }
}

/// What a server writes by itself: its log, its sockets, and all below the data directory that is no configuration.
fn is_of_the_server(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let own = ["base", "global", "log", "current_logfiles", "postmaster.pid", "postmaster.opts", ".alive"];
    let prefixed = name.starts_with("pg_") && !name.starts_with("pg_hba") && !name.starts_with("pg_ident");
    own.contains(&name.as_ref()) || prefixed || name.starts_with(".s.PGSQL.")
}

//! A server as people have it in a container: of an official image, TLS off, an application's role. Knows how pgseal is
//! run on it and what its files are, not what becomes of them.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::docker::{Container, Setup, docker, docker_env};
use super::install::Install;
use super::living::{APP, APP_PASSWORD};
use super::pgseal::Pgseal;
use super::process::Ran;
use super::psql::Psql;
use super::sandbox::Sandbox;
use super::template::{PASSWORD, SUPERUSER};

/// How long a server may take to answer inside.
const PATIENCE: Duration = Duration::from_secs(60);

/// What of a container's files an undone change must leave as it was: configuration and what lies beside it, to the byte,
/// with owner and mode. What the server writes by itself is left out, and so are the folders that hold its data.
const PICTURE: &str = r#"
cd "$PGDATA" || exit 1
for path in ./* ./.[!.]* ../* ../.[!.]* ./*/*.conf ./tls/* ./tls/.[!.]* ../*-tls/* ../*-tls/.[!.]*; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    case $path in ./postmaster.* | ./current_logfiles) continue ;; esac
    stat -c '%n %F %u:%g %a' -- "$path"
    [ ! -f "$path" ] || sha256sum "$path"
done"#;

/// A container, and where pgseal is run from.
pub(crate) struct Contained {
    // First: it is gone before the folders that are mounted into it.
    container: Container,
    sandbox: Sandbox,
}

impl Deref for Contained {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.container
    }
}

impl Contained {
    #[track_caller]
    pub(crate) fn of(image: &str) -> Self {
        Self::set_up(image, |setup, _| setup)
    }

    /// The same with something else about it; the sandbox is for what is mounted.
    #[track_caller]
    pub(crate) fn set_up(image: &str, further: impl FnOnce(Setup, &Sandbox) -> Setup) -> Self {
        let sandbox = Sandbox::new();
        let setup = Container::of(image).env("POSTGRES_PASSWORD", PASSWORD);
        let container = further(setup, &sandbox).start();
        Self { container, sandbox }.with_app()
    }

    /// One whose port is not published; it is reached at its own address.
    #[track_caller]
    pub(crate) fn unpublished(image: &str, further: impl FnOnce(Setup) -> Setup) -> Self {
        let setup = Container::of(image).env("POSTGRES_PASSWORD", PASSWORD);
        let container = further(setup).start_unpublished();
        let contained = Self { container, sandbox: Sandbox::new() };
        let end = Instant::now() + PATIENCE;
        // The server that sets up the database does not listen on TCP.
        while contained.exec(&["pg_isready", "-q", "-h", "127.0.0.1"]).code() != Some(0) {
            assert!(Instant::now() < end, "no server within {PATIENCE:?}: {}", contained.logs());
            thread::sleep(Duration::from_millis(20));
        }
        contained.with_app()
    }

    /// Something that runs, and is not looked at before.
    #[track_caller]
    pub(crate) fn whatever(setup: Setup) -> Self {
        Self { container: setup.start_unpublished(), sandbox: Sandbox::new() }
    }

    /// Another container takes the place of this one, under another name; folder and journal stay.
    #[track_caller]
    pub(crate) fn replaced_by(self, image: &str, further: impl FnOnce(Setup) -> Setup) -> Self {
        let Self { container, sandbox } = self;
        drop(container);
        let setup = Container::of(image).env("POSTGRES_PASSWORD", PASSWORD);
        Self { container: further(setup).start(), sandbox }
    }

    #[track_caller]
    fn with_app(self) -> Self {
        let password = APP_PASSWORD.replace('\'', "''");
        let sql = format!(
            "SET password_encryption = 'scram-sha-256';\nCREATE ROLE {APP} LOGIN PASSWORD '{password}';\n\
             ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}';"
        );
        self.psql("postgres", &sql).succeeded();
        self
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// `container:NAME`.
    pub(crate) fn target(&self) -> String {
        format!("container:{}", self.name())
    }

    /// pgseal with the tests' docker, a journal of its own, and the superuser's name and password.
    pub(crate) fn pgseal(&self) -> Pgseal<'_> {
        let pgseal = Pgseal::new(&self.sandbox)
            .env("PGSEAL_STATE_DIR", self.journal())
            .env("PGUSER", SUPERUSER)
            .env("PGPASSWORD", PASSWORD);
        docker_env().into_iter().fold(pgseal, |pgseal, (name, value)| pgseal.env(name, value))
    }

    /// `pgseal VERB container:NAME WORD…`.
    pub(crate) fn verb(&self, verb: &str, words: &[&str]) -> Pgseal<'_> {
        self.pgseal().arg(verb).arg(self.target()).args(words)
    }

    /// `pgseal secure container:NAME --yes WORD…`, with a CA: made where it is not there yet.
    pub(crate) fn secure(&self, words: &[&str]) -> Pgseal<'_> {
        let ca = self.ca();
        let option = if ca.exists() { "--ca" } else { "--new-ca" };
        self.verb("secure", &["--yes", option]).arg(ca).args(words)
    }

    /// Where the CA is, once there is one.
    pub(crate) fn ca(&self) -> PathBuf {
        self.home().join("ca")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.home().join("journal")
    }

    fn home(&self) -> PathBuf {
        self.sandbox.home_of(&Account::current())
    }

    /// psql as the application to that port of 127.0.0.1, under the name of `localhost`; the CA is that of pgseal's user.
    pub(crate) fn client(&self, sslmode: &str) -> Psql {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={APP} dbname=postgres sslmode={sslmode} sslrootcert='{}'",
            self.port(),
            self.ca().join("server-ca.crt").display()
        );
        Psql::to(conninfo).of(&Install::of(15)).env("PGPASSWORD", APP_PASSWORD)
    }

    /// One value, asked inside as the superuser.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.psql("postgres", sql).succeeded().stdout().trim().to_owned()
    }

    /// A shell script inside, as root.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> Ran {
        self.exec(&["sh", "-c", script])
    }

    /// The files of the server that are not its data, and what is beside them.
    #[track_caller]
    pub(crate) fn files(&self) -> String {
        self.sh(PICTURE).succeeded().stdout().to_owned()
    }

    /// When the container started and how often, and when its server did.
    #[track_caller]
    pub(crate) fn started(&self) -> String {
        let format = "{{.State.StartedAt}} {{.RestartCount}} {{.State.Pid}}";
        let container = docker(&["inspect", "--format", format, self.name()]).succeeded();
        format!("{} {}", container.stdout().trim(), self.sql("SELECT pg_postmaster_start_time()"))
    }

    /// How far the last change in the journal has come; `None`: there is none.
    pub(crate) fn phase(&self) -> Option<String> {
        let servers = fs::read_dir(self.journal().join("changes")).ok()?;
        let changes = servers.flatten().filter_map(|server| fs::read_dir(server.path()).ok());
        let last = changes.flatten().flatten().map(|change| change.path()).max()?;
        fs::read_to_string(last.join("phase.json")).ok()
    }
}

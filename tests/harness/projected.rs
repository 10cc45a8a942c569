//! A compose project that somebody has: a file of theirs in a folder of theirs, run by compose itself. Knows how compose
//! and pgseal are called on it, not what becomes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::docker::{Compose, docker, docker_env, place};
use super::pgseal::Pgseal;
use super::port::Port;
use super::process::Ran;
use super::psql::Psql;
use super::sandbox::Sandbox;

/// How long a container may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const LIMIT: Duration = Duration::from_secs(240);
/// What stands for the port on the host, and for the container's name, in a fixture.
const PORT: &str = "@PORT@";
const NAME: &str = "@NAME@";

/// A compose file as people have one, and its name.
pub(crate) const USUAL_FILE: &str = "compose.yaml";
pub(crate) const USUAL_PROJECT: &str = "services:
  postgres:
    image: @IMAGE@
    container_name: @NAME@
    environment:
      POSTGRES_USER: admin
      POSTGRES_PASSWORD: securepassword
      POSTGRES_DB: mydb
    volumes:
      - data:/var/lib/postgresql@DATA@
    ports:
      - \"127.0.0.1:@PORT@:5432\"
volumes:
  data:
";

/// A project of that compose. Dropped, what it made is removed.
pub(crate) struct Projected {
    // First: it needs the folder.
    compose: Compose,
    version: u32,
    port: Port,
    dir: PathBuf,
    sandbox: Sandbox,
}

impl Projected {
    /// An empty folder.
    #[track_caller]
    pub(crate) fn new(version: u32) -> Self {
        let sandbox = Sandbox::new();
        let dir = sandbox.dir_of(&Account::current(), "project");
        let compose = Compose::of(version, &dir);
        let projected = Self { compose, version, port: Port::free(), dir, sandbox };
        projected.file(".env", &format!("COMPOSE_PROJECT_NAME={}\n", projected.name()));
        projected
    }

    /// The project's name, and with `-db` behind it the container's where a fixture names one.
    pub(crate) fn name(&self) -> &str {
        self.compose.name()
    }

    pub(crate) fn container_name(&self) -> String {
        format!("{}-db", self.name())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Writes a file of the folder, `@PORT@` and `@NAME@` being the project's own.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let text = text.replace(PORT, &self.port().to_string()).replace(NAME, &self.container_name());
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
    }

    /// A file of the folder.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        let path = self.dir.join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("could not read {}: {e}", path.display()))
    }

    /// Runs a line of the shell in the folder.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> Ran {
        let mut command = Account::current().command("sh", Path::new("/nonexistent"));
        command.current_dir(&self.dir).args(["-c", line]);
        super::process::run(command, b"", PATIENCE)
    }

    /// Runs compose.
    #[track_caller]
    pub(crate) fn compose(&self, words: &[&str]) -> Ran {
        self.compose.run(words)
    }

    /// `up -d`, as the guide has it; how it ends is looked at afterwards.
    #[track_caller]
    pub(crate) fn up(&self) {
        self.compose(&["up", "-d"]).succeeded();
    }

    /// The project as compose reads it.
    #[track_caller]
    pub(crate) fn config(&self) -> String {
        self.compose(&["config"]).succeeded().stdout().to_owned()
    }

    /// Waits until a server answers over TCP inside: the one that only sets the database up does not.
    #[track_caller]
    pub(crate) fn wait_until_it_answers(&self) {
        self.wait("answer over TCP", || {
            docker(&["exec", &self.container_name(), "pg_isready", "-q", "-h", "127.0.0.1"]).code() == Some(0)
        });
    }

    /// Waits until the container has ended.
    #[track_caller]
    pub(crate) fn wait_until_it_has_ended(&self) {
        self.wait("end", || self.state() == "exited");
    }

    #[track_caller]
    fn wait(&self, what: &str, so: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so() {
            assert!(Instant::now() < end, "{} should {what}: {}", self.container_name(), self.logs());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// `running`, `exited` and so on.
    #[track_caller]
    pub(crate) fn state(&self) -> String {
        self.inspect("{{.State.Status}}")
    }

    /// A fact of docker's about the container.
    #[track_caller]
    pub(crate) fn inspect(&self, format: &str) -> String {
        let ran = docker(&["inspect", "--format", format, &self.container_name()]).succeeded();
        ran.stdout().trim().to_owned()
    }

    pub(crate) fn logs(&self) -> String {
        let ran = docker(&["logs", &self.container_name()]);
        format!("{}{}", ran.stdout(), ran.stderr())
    }

    /// psql inside, over the socket, as the guide has it.
    #[track_caller]
    pub(crate) fn psql_inside(&self, sql: &str) -> Ran {
        docker(&["exec", &self.container_name(), "psql", "-U", "admin", "-d", "mydb", "-XAtc", sql])
    }

    /// A program inside, as root, with something to read.
    #[track_caller]
    pub(crate) fn exec_with(&self, words: &[&str], input: &str) -> Ran {
        let mut command = Account::current().command("docker", Path::new("/nonexistent"));
        command.current_dir("/").envs(docker_env());
        command.args(["exec", "--interactive", &self.container_name()]).args(words);
        super::process::run(command, input.as_bytes(), PATIENCE)
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// psql on the host, by the name of `localhost`; the CA is the one in `ca`.
    pub(crate) fn psql(&self, sslmode: &str) -> Psql {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=admin dbname=mydb sslmode={sslmode} sslrootcert='{}'",
            self.port(),
            self.dir.join("ca/server-ca.crt").display()
        );
        Psql::to(conninfo).env("PGPASSWORD", "securepassword")
    }

    /// pgseal in the folder, with that compose and a journal of its own.
    pub(crate) fn pgseal(&self) -> Pgseal<'_> {
        let pgseal = Pgseal::new(&self.sandbox)
            .current_dir(&self.dir)
            .limit(LIMIT)
            .env("PGSEAL_STATE_DIR", self.journal());
        let pgseal = docker_env().into_iter().fold(pgseal, |pgseal, (name, value)| pgseal.env(name, value));
        if self.version == 2 {
            return pgseal;
        }
        let none = self.sandbox.dir_of(&Account::current(), "docker-config");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", place().join("compose-v1").display());
        pgseal.env("DOCKER_CONFIG", none).env("PATH", path)
    }

    fn journal(&self) -> PathBuf {
        self.sandbox.home_of(&Account::current()).join("journal")
    }

    /// Reads all that pgseal has written down of its changes: the text is nowhere in it.
    #[track_caller]
    pub(crate) fn journal_never_mentions(&self, text: &str) {
        let mut folders = vec![self.journal()];
        let mut records = 0;
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).unwrap_or_else(|e| panic!("could not list {}: {e}", folder.display()));
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes =
                    fs::read(&path).unwrap_or_else(|e| panic!("could not read {}: {e}", path.display()));
                let mentions = bytes.windows(text.len()).any(|part| part == text.as_bytes());
                assert!(!mentions, "{} holds what it must not", path.display());
                records += usize::from(path.ends_with("change.json"));
            }
        }
        assert!(records > 0, "nothing was written down in {}", self.journal().display());
    }

    /// `pgseal VERB FILE WORD…`.
    pub(crate) fn verb(&self, verb: &str, file: &str, words: &[&str]) -> Pgseal<'_> {
        self.pgseal().args([verb, file]).args(words)
    }

    /// `pgseal secure FILE --yes WORD…`, with a CA: made where it is not there yet.
    pub(crate) fn secure(&self, file: &str, words: &[&str]) -> Pgseal<'_> {
        let option = if self.dir.join("ca").exists() { "--ca" } else { "--new-ca" };
        self.verb("secure", file, &["--yes", option, "ca"]).args(words)
    }
}

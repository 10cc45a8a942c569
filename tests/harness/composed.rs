//! A folder of `pgseal up --engine compose`, with its server in a container of the tests' docker. It knows pgseal's layout
//! as a user sees it, and leaves every verdict to the scenario.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::docker::{Claim, clear_project, docker, docker_env, place};
use super::pgseal::Pgseal;
use super::port::Port;
use super::process::Ran;
use super::psql::Psql;
use super::sandbox::Sandbox;

/// Images have to be started, and machines of tests are slow.
const LIMIT: Duration = Duration::from_secs(180);

/// Where a project is made, by whom and with which compose. Dropped, what docker has of it is removed.
pub(crate) struct Composed {
    claim: Claim,
    compose: u32,
    account: Account,
    port: Port,
    dir: PathBuf,
    // Last: it is removed when the containers are gone.
    sandbox: Sandbox,
}

impl Composed {
    /// Nothing is made yet. The account has to be one that docker's socket lets in.
    #[track_caller]
    pub(crate) fn new(compose: u32, account: &Account) -> Self {
        let sandbox = Sandbox::new();
        let claim = Claim::new();
        let dir = Pgseal::new(&sandbox).by(account).work_dir().join(claim.name());
        Self { claim, compose, account: account.clone(), port: Port::free(), dir, sandbox }
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder, as it is called from where pgseal is run.
    pub(crate) fn name(&self) -> &str {
        self.claim.name()
    }

    /// A path in the folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// pgseal with the tests' docker and that compose, in the folder's parent.
    pub(crate) fn pgseal(&self) -> Pgseal<'_> {
        let pgseal = Pgseal::new(&self.sandbox).by(&self.account).limit(LIMIT);
        let pgseal = docker_env().into_iter().fold(pgseal, |pgseal, (name, value)| pgseal.env(name, value));
        match self.compose {
            // A client without the plugin, and the older program in PATH.
            1 => {
                let program = place().join("compose-v1");
                assert!(program.exists(), "there is no compose v1: run tests/provision/docker.sh compose-v1");
                let none = self.sandbox.dir_of(&self.account, "docker-config");
                pgseal.env("DOCKER_CONFIG", none).env("PATH", path_with(&program))
            }
            _ => pgseal,
        }
    }

    /// `pgseal up FOLDER --engine compose -p PORT WORD…`.
    pub(crate) fn up(&self, words: &[&str]) -> Pgseal<'_> {
        let port = self.port().to_string();
        self.pgseal().args(["up", self.name(), "--engine", "compose", "-p", &port]).args(words)
    }

    /// `pgseal VERB FOLDER WORD…`.
    pub(crate) fn verb(&self, verb: &str, words: &[&str]) -> Pgseal<'_> {
        self.pgseal().args([verb, self.name()]).args(words)
    }

    /// The name of the compose project, as its folder has it.
    #[track_caller]
    pub(crate) fn project(&self) -> String {
        let env = fs::read_to_string(self.at(".env")).expect("the folder has an .env");
        let name = env.lines().find_map(|line| line.strip_prefix("COMPOSE_PROJECT_NAME="));
        name.expect(".env names the project").to_owned()
    }

    /// Its containers, all of them, by their ids.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.list(&["ps", "--all", "--no-trunc"], "ID")
    }

    pub(crate) fn volumes(&self) -> Vec<String> {
        self.list(&["volume", "ls"], "Name")
    }

    pub(crate) fn networks(&self) -> Vec<String> {
        self.list(&["network", "ls"], "ID")
    }

    /// What bears the name of a project made from this folder, also where the folder is gone.
    fn list(&self, words: &[&str], id: &str) -> Vec<String> {
        let format = format!("{{{{.{id}}}}} {{{{.Label \"com.docker.compose.project\"}}}}");
        let ran = docker(&[words, &["--format", &format]].concat()).succeeded();
        let all = ran.stdout().lines().filter_map(|line| line.split_once(' '));
        all.filter(|(_, project)| self.is_ours(project)).map(|(id, _)| id.to_owned()).collect()
    }

    fn is_ours(&self, project: &str) -> bool {
        project.strip_prefix(self.name()).is_some_and(|rest| rest.starts_with('-'))
    }

    /// The one container.
    #[track_caller]
    pub(crate) fn container(&self) -> String {
        let all = self.containers();
        assert_eq!(all.len(), 1, "there should be one container: {all:?}");
        all.into_iter().next().unwrap_or_default()
    }

    /// When the container was made and when it started.
    #[track_caller]
    pub(crate) fn times(&self) -> String {
        let words = ["inspect", "--format", "{{.Created}} {{.State.StartedAt}}", &self.container()];
        docker(&words).succeeded().stdout().trim().to_owned()
    }

    /// Runs a program in the container.
    #[track_caller]
    pub(crate) fn exec(&self, words: &[&str]) -> Ran {
        docker(&[&["exec", &self.container()], words].concat())
    }

    /// What the guide has people do: `docker exec CONTAINER psql -U admin -d mydb -c SQL`.
    #[track_caller]
    pub(crate) fn psql_inside(&self, sql: &str) -> Ran {
        self.exec(&["psql", "-U", "admin", "-d", "mydb", "-XAtc", sql])
    }

    /// A psql of the host's to the published port by the name of `localhost`, with the password file.
    pub(crate) fn psql(&self, sslmode: &str) -> Psql {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=admin dbname=mydb sslmode={sslmode} sslrootcert='{}'",
            self.port(),
            self.at("client/ca.crt").display()
        );
        Psql::to(conninfo).by(&self.account).env("PGPASSFILE", self.at("client/pgpass"))
    }

    /// The superuser's password.
    #[track_caller]
    pub(crate) fn password(&self) -> String {
        let text = fs::read_to_string(self.at("client/pgpass")).expect("the password file is there");
        let line = text.lines().next().expect("the password file has a line");
        line.rsplit(':').next().expect("a line has fields").to_owned()
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        clear_project(|project| self.is_ours(project));
    }
}

/// That folder before those where programs are.
fn path_with(folder: &Path) -> String {
    format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", folder.display())
}

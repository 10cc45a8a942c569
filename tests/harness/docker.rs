//! A real docker of the tests' own, and PostgreSQL in containers of it. Knows docker's client and what the official images
//! take, not what pgseal does with a container. All that is made here is gone when it is dropped; what a killed run left
//! is cleared away by the next.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::depth::{is_soak, versions};
use super::install::cache;
use super::knock::{Door, Guest};
use super::port::Port;
use super::process::{Ran, run};
use super::shelf::shelf;

/// How long a container may take to start, or a command of docker's to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The label of what is ours; its value is the name of the claim.
const LABEL: &str = "pgseal.tests.claim";
/// `cannot_connect_now`: a server that is still starting.
const STARTING: &str = "57P03";

/// The images that a scenario is to hold on: both flavours, of PostgreSQL 16 or, from depth `all` on, of every version.
pub(crate) fn images() -> Vec<String> {
    let versions = if versions().contains(&16) { versions() } else { &[16] };
    versions.iter().flat_map(|v| [format!("postgres:{v}-alpine"), format!("postgres:{v}")]).collect()
}

/// For the `nth` of many cases that hold on every image: all images in a soak, and below it one of them, in turn.
pub(crate) fn images_in_turn(nth: usize) -> Vec<String> {
    let images = images();
    if is_soak() { images } else { vec![images[nth % images.len()].clone()] }
}

/// What leads docker's client to the tests' own docker, for whoever calls it: `DOCKER_HOST` and `DOCKER_CONFIG`.
pub(crate) fn docker_env() -> [(&'static str, OsString); 2] {
    let place = place();
    let mut host = OsString::from("unix://");
    host.push(place.join("docker.sock"));
    [("DOCKER_HOST", host), ("DOCKER_CONFIG", place.join("config").into())]
}

/// Who may use the tests' docker: ourselves, and an ordinary user in the group of its socket.
pub(crate) fn docker_users() -> Vec<Account> {
    let mut users = vec![Account::current(), Account::in_group_of(&place().join("docker.sock"))];
    users.dedup();
    users
}

/// Runs docker's client.
#[track_caller]
pub(crate) fn docker(args: &[&str]) -> Ran {
    run(client(args), b"", PATIENCE)
}

/// What a container is started with.
#[must_use]
pub(crate) struct Setup {
    image: String,
    env: Vec<(String, String)>,
    options: Vec<String>,
    args: Vec<String>,
}

impl Setup {
    /// A variable of its environment, such as `POSTGRES_PASSWORD`. Its value stays out of every command line.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Words behind the image: more arguments for the server, or another program.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Something mounted: `/directory/of/the/host:/place`, or the name of a [`Volume`] in front.
    pub(crate) fn volume(self, mount: &str) -> Self {
        self.option("--volume", mount)
    }

    /// Run as that user from the start: a name, a uid, or `uid:gid`.
    pub(crate) fn user(self, user: &str) -> Self {
        self.option("--user", user)
    }

    /// Another option of `docker run`.
    pub(crate) fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push(format!("{name}={value}"));
        self
    }

    /// Starts it with port 5432 published on a free port of 127.0.0.1, and waits until its server answers there. (The
    /// server that is only there for setting a database up does not.) Fails with its log where it ends before.
    #[track_caller]
    pub(crate) fn start(self) -> Container {
        let container = self.begin(true);
        container.wait_until_it_answers();
        container
    }

    /// Starts it with no port published, and does not wait for anything: for what is no server.
    #[track_caller]
    pub(crate) fn start_unpublished(self) -> Container {
        self.begin(false)
    }

    #[track_caller]
    fn begin(self, publish: bool) -> Container {
        let port = Port::free();
        let published = format!("--publish=127.0.0.1:{}:5432", port.number());
        let user = self.env.iter().find(|(name, _)| name == "POSTGRES_USER");
        let user = user.map_or_else(|| "postgres".to_owned(), |(_, value)| value.clone());
        let claim = Claim::new();
        let container = Container { held: Held(claim), port, user };
        let name = container.name().to_owned();
        let options: &[&str] = if publish { &["--detach", &published] } else { &["--detach"] };
        started(run(self.command(&name, options), b"", PATIENCE));
        container
    }

    /// Runs it to its end, and tells what it said.
    #[track_caller]
    pub(crate) fn run_to_its_end(self) -> Ran {
        let held = Held(Claim::new());
        started(run(self.command(&held.0.name, &[]), b"", PATIENCE))
    }

    fn command(&self, name: &str, options: &[&str]) -> Command {
        // Nothing is ever pulled: an image that is not there is one to be made.
        let mut command = client(&["run", "--pull", "never", "--name", name, "--label"]);
        command.arg(format!("{LABEL}={name}")).args(options).args(&self.options);
        for (name, value) in &self.env {
            command.env(name, value).arg("--env").arg(name);
        }
        command.arg(&self.image).args(&self.args);
        command
    }
}

/// A running container. Dropped, it is removed with the volumes that have no name.
pub(crate) struct Container {
    // First: it is removed before its port is given back.
    held: Held,
    port: Port,
    user: String,
}

impl Container {
    /// A container of that image, to be set up further.
    pub(crate) fn of(image: &str) -> Setup {
        Setup { image: image.to_owned(), env: Vec::new(), options: Vec::new(), args: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.held.0.name
    }

    /// Where its server is reached on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// A connection string over TCP to 127.0.0.1, as its superuser, without a password.
    pub(crate) fn conninfo(&self, dbname: &str, sslmode: &str) -> String {
        format!("host=127.0.0.1 port={} user={} dbname={dbname} sslmode={sslmode}", self.port(), self.user)
    }

    /// Runs a program in it, as root.
    #[track_caller]
    pub(crate) fn exec(&self, words: &[&str]) -> Ran {
        docker(&[&["exec", self.name()], words].concat())
    }

    /// Runs SQL by the psql in it, as its superuser over the socket; rows as [`super::psql::Psql::run`] has them.
    #[track_caller]
    pub(crate) fn psql(&self, dbname: &str, sql: &str) -> Ran {
        let words = ["psql", "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"];
        let mut command = client(&["exec", "--interactive", self.name()]);
        command.args(words).args(["-U", &self.user, "-d", dbname]);
        run(command, sql.as_bytes(), PATIENCE)
    }

    /// All that it has said.
    pub(crate) fn logs(&self) -> String {
        let ran = docker(&["logs", self.name()]);
        format!("{}{}", ran.stdout(), ran.stderr())
    }

    /// Stops it as `docker stop` does, and starts it again.
    #[track_caller]
    pub(crate) fn restart(&self) {
        docker(&["restart", self.name()]).succeeded();
        self.wait_until_it_answers();
    }

    #[track_caller]
    fn wait_until_it_answers(&self) {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let guest = Guest {
            from: Some(localhost),
            tls: false,
            user: self.user.clone().into(),
            database: Some(b"postgres".into()),
        };
        let door = Door::of(self.port(), Path::new("/nonexistent"), "");
        let end = Instant::now() + PATIENCE;
        // Until a server listens in the container, docker's proxy takes a connection and closes it.
        while !door.knock(&guest).is_ok_and(|said| !said.refuses_with(STARTING, "")) {
            let state = docker(&["inspect", "--format", "{{.State.Status}}", self.name()]);
            assert!(
                state.stdout().trim() == "running" && Instant::now() < end,
                "container {} is {} and has not answered on port {} within {PATIENCE:?}",
                self.name(),
                state.stdout().trim(),
                self.port()
            );
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if thread::panicking()
            && let Ok(said) = client(&["logs", self.name()]).output()
        {
            let [out, err] = [&said.stdout, &said.stderr].map(|text| String::from_utf8_lossy(text));
            eprintln!("--- log of container {}\n{out}{err}", self.name());
        }
    }
}

/// A network of docker's, on which containers find each other by name. Dropped, it is removed: after the containers on it.
pub(crate) struct Network(Claim);

impl Network {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let claim = Claim::new();
        let label = format!("{LABEL}={}", claim.name);
        docker(&["network", "create", "--label", &label, &claim.name]).succeeded();
        Self(claim)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        gone(client(&["network", "rm", &self.0.name]));
    }
}

/// A volume with a name. Dropped, it is removed: after the containers that use it.
pub(crate) struct Volume(Claim);

impl Volume {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let claim = Claim::new();
        docker(&["volume", "create", "--label", &format!("{LABEL}={}", claim.name), &claim.name]).succeeded();
        Self(claim)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        gone(client(&["volume", "rm", "--force", &self.0.name]));
    }
}

/// A compose project: a directory with a compose file. Dropped, what it made is removed, with its volumes.
pub(crate) struct Compose {
    version: u32,
    dir: PathBuf,
    claim: Claim,
}

impl Compose {
    /// Major version 1 (`docker-compose`) or 2 (`docker compose`) in that directory, under a project name of its own.
    pub(crate) fn of(version: u32, dir: &Path) -> Self {
        Self { version, dir: dir.to_owned(), claim: Claim::new() }
    }

    /// The project's name.
    pub(crate) fn name(&self) -> &str {
        &self.claim.name
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(self.command(args), b"", PATIENCE)
    }

    fn command(&self, args: &[&str]) -> Command {
        let (program, words): (PathBuf, &[&str]) = match self.version {
            1 => (place().join("compose-v1/docker-compose"), &[]),
            2 => ("docker".into(), &["compose"]),
            other => panic!("there is no compose of major version {other}"),
        };
        let plugin = place().join("config/cli-plugins/docker-compose");
        let file = if self.version == 1 { &program } else { &plugin };
        assert!(
            file.exists(),
            "there is no compose v{} in {}: run `{}`",
            self.version,
            place().display(),
            provision(&format!("compose-v{}", self.version))
        );
        let mut command = Account::current().command(program, Path::new("/nonexistent"));
        command.current_dir(&self.dir).envs(docker_env()).env("COMPOSE_PROJECT_NAME", &self.claim.name);
        command.args(words).args(args);
        command
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        gone(self.command(&["down", "--volumes", "--timeout", "2"]));
    }
}

/// A name in docker that is ours while we live: a lock says so, also to the run after one that was killed.
pub(super) struct Claim {
    name: String,
    lock: PathBuf,
    _held: File,
}

impl Claim {
    #[track_caller]
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        here();
        let name = format!("pgseal-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let lock = shelf("docker").join(&name);
        let held = File::create(&lock)
            .and_then(|file| file.try_lock().map(|()| file).map_err(Into::into))
            .unwrap_or_else(|e| panic!("could not lock {}: {e}", lock.display()));
        Self { name, lock, _held: held }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        fs::remove_file(&self.lock).ok();
    }
}

/// A container of that name, whether it runs yet or not. Dropped, it is removed.
struct Held(Claim);

impl Drop for Held {
    fn drop(&mut self) {
        gone(client(&["rm", "--force", "--volumes", &self.0.name]));
    }
}

/// Where provisioning keeps the tests' docker.
pub(super) fn place() -> PathBuf {
    cache().join("docker")
}

/// What to run for something that is missing.
fn provision(name: &str) -> String {
    format!("PGSEAL_TEST_CACHE={} tests/provision/docker.sh {name}", cache().display())
}

/// The tests' docker, found to answer; it is not stopped while we live. What killed runs left in it is removed first.
#[track_caller]
fn here() {
    static USED: OnceLock<File> = OnceLock::new();
    static SWEPT: OnceLock<()> = OnceLock::new();
    USED.get_or_init(|| {
        let users = place().join("users");
        let users = File::open(&users).and_then(|file| file.lock_shared().map(|()| file));
        let version = Account::current()
            .command("docker", Path::new("/nonexistent"))
            .envs(docker_env())
            .args(["version", "--format", "{{.Server.Version}}"])
            .output();
        match (users, version) {
            (Ok(users), Ok(version)) if version.status.success() => users,
            (_, version) => panic!(
                "the tests' docker does not answer ({}): run `{}`, which installs and starts it; it needs root or sudo, and \
                 in a container docker run --privileged",
                version.map_or_else(|e| e.to_string(), |ran| String::from_utf8_lossy(&ran.stderr).trim().to_owned()),
                provision(&images().join(" "))
            ),
        }
    });
    SWEPT.get_or_init(sweep);
}

/// Removes what bears the name of a claim that nobody holds any more.
fn sweep() {
    let forsaken = |claim: &str| {
        // A project of pgseal's is named after its folder, with a number behind it.
        let folder = claim.rsplit_once('-').map_or(claim, |(folder, _)| folder);
        let held = [claim, folder].into_iter().any(|name| {
            let lock = File::open(shelf("docker").join(name));
            lock.is_ok_and(|file| file.try_lock().is_err())
        });
        !held
    };
    for claim in clear(&forsaken) {
        fs::remove_file(shelf("docker").join(claim)).ok();
    }
}

/// Removes what docker has of compose projects with such names.
pub(super) fn clear_project(ours: impl Fn(&str) -> bool) {
    clear(&ours);
}

/// Removes what bears such a name, containers first: they use the others. The names that there were.
fn clear(wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
    let label = format!("\t{{{{.Label \"{LABEL}\"}}}}{{{{.Label \"com.docker.compose.project\"}}}}");
    let kinds: [(&[&str], &str, &[&str]); 3] = [
        (&["ps", "--all"], "{{.ID}}", &["rm", "--force", "--volumes"]),
        (&["network", "ls"], "{{.ID}}", &["network", "rm"]),
        (&["volume", "ls"], "{{.Name}}", &["volume", "rm"]),
    ];
    let mut cleared = Vec::new();
    for (list, id, remove) in kinds {
        let Ok(ran) = client(&[list, &["--format", &format!("{id}{label}")]].concat()).output() else {
            continue;
        };
        for line in String::from_utf8_lossy(&ran.stdout).lines() {
            let Some((id, claim)) = line.split_once('\t').filter(|(_, claim)| !claim.is_empty()) else {
                continue;
            };
            if wanted(claim) {
                // Somebody else may be at it, too.
                client(remove).arg(id).output().ok();
                cleared.push(claim.to_owned());
            }
        }
    }
    cleared
}

/// Docker's client in a clean environment, led to the tests' docker.
fn client(args: &[&str]) -> Command {
    let mut command = Account::current().command("docker", Path::new("/nonexistent"));
    command.current_dir("/").envs(docker_env()).args(args);
    command
}

/// A `docker run` that was one: docker itself ends it with 125 where it could not start anything.
#[track_caller]
fn started(ran: Ran) -> Ran {
    let missing = ran.stderr().contains("No such image") || ran.stderr().contains("Unable to find image");
    assert!(
        !missing,
        "an image is missing in the tests' docker: run `{}`\n{ran}",
        provision(&images().join(" "))
    );
    assert!(ran.code() != Some(125), "docker could not start a container:\n{ran}");
    ran
}

/// Runs what removes something; a failure counts, unless the test has failed already.
fn gone(mut command: Command) {
    if thread::panicking() {
        command.output().ok();
    } else {
        run(command, b"", PATIENCE).succeeded();
    }
}

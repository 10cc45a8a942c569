//! Docker's contexts lead to other daemons, on another socket: a project is made, proved, secured, rotated and removed there
//! as here, for nothing of this machine is mounted. From depth `all` on that is a second dockerd whose containers have users
//! of their own (userns-remap), where files on the host have other owners than inside; in a soak a plain one, too.

use std::ffi::OsString;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::harness::{
    Account, Composed, Pgseal, Ran, all_hold, compose_versions, docker_env, in_a_network_of_its_own, is_soak,
    project, record, run,
};

const IMAGE: &str = "postgres:16-alpine";
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a context leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// To the tests' own docker, on its only socket.
    Ours,
    /// To another dockerd.
    Plain,
    /// To one with `--userns-remap`.
    Mapped,
}

fn kinds() -> &'static [Kind] {
    match (is_soak(), compose_versions().len()) {
        (true, _) => &[Kind::Plain, Kind::Mapped],
        (false, 1) => &[Kind::Ours],
        (false, _) => &[Kind::Mapped],
    }
}

/// A dockerd of our own. Dropped, it is stopped and removed.
struct Daemon(PathBuf);

impl Daemon {
    #[track_caller]
    fn new(composed: &Composed, kind: Kind) -> Option<Self> {
        let verb = match kind {
            Kind::Ours => return None,
            Kind::Plain => "up",
            Kind::Mapped => "up-mapped",
        };
        let daemon = Self(composed.sandbox().dir_of(&Account::current(), "d"));
        daemon.is(verb).succeeded();
        let [(_, ours), _] = docker_env();
        let line = format!(
            "docker --host '{}' save {IMAGE} | docker --host 'unix://{}' load",
            ours.to_string_lossy(),
            daemon.socket().display()
        );
        sh(&line, &[]).succeeded();
        Some(daemon)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("docker.sock")
    }

    fn is(&self, verb: &str) -> Ran {
        let script = project().join("tests/provision/docker-daemon.sh");
        sh(&format!("'{}' '{}' {verb}", script.display(), self.0.display()), &[])
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.is("remove");
    }
}

#[track_caller]
fn sh(line: &str, environment: &[(&str, OsString)]) -> Ran {
    let mut command = Account::current().command("sh", Path::new("/nonexistent"));
    command.current_dir("/").args(["-c", line]).envs(environment.iter().map(|(name, value)| (name, value)));
    run(command, b"", PATIENCE)
}

/// Docker's configuration of a person who has two contexts, the other one in use.
#[track_caller]
fn contexts(composed: &Composed, socket: &str) -> PathBuf {
    let folder = composed.sandbox().dir_of(&Account::current(), "contexts");
    let [_, (name, ours)] = docker_env();
    symlink(Path::new(&ours).join("cli-plugins"), folder.join("cli-plugins"))
        .expect("a new folder takes a link");
    let line = format!("docker context create other --docker host={socket} && docker context use other");
    sh(&line, &[(name, folder.clone().into())]).succeeded();
    folder
}

/// Where a daemon seems to be that is on no machine of ours: documentation's own network.
const ELSEWHERE: &str = "192.0.2.7:2375";

/// Leads every connection to the tests' docker. Its threads end with the test.
#[track_caller]
fn relay() {
    let [(_, ours), _] = docker_env();
    let socket = ours.to_string_lossy().trim_start_matches("unix://").to_owned();
    let listener = TcpListener::bind(ELSEWHERE).expect("every address is this host's");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let daemon = UnixStream::connect(&socket).expect("the tests' docker answers");
            let (mut from, mut to) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
            let (mut back_from, mut back_to) = (daemon, client);
            thread::spawn(move || {
                io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Write).ok();
            });
            thread::spawn(move || {
                io::copy(&mut back_from, &mut back_to).ok();
                back_to.shutdown(Shutdown::Write).ok();
            });
        }
    });
}

#[test]
fn through_docker_exec_where_no_port_can_be_reached() {
    let composed = Composed::new(2, &Account::current());
    let there = |pgseal: Pgseal<'_>| pgseal.env("DOCKER_HOST", format!("tcp://{ELSEWHERE}")).run();
    in_a_network_of_its_own(|| {
        relay();
        all_hold(&there(composed.up(&["--image", IMAGE, "--format", "json"])).succeeded());
        all_hold(&there(composed.verb("verify", &["--format", "json"])).succeeded());
        let rotated = there(composed.verb("rotate", &["--format", "json"])).succeeded();
        assert_eq!(rotated.json()["state"], "rotated", "{rotated}");
        // The same for whoever has a container and no folder of ours.
        let target = format!("container:{}", composed.container());
        let examined = composed.pgseal().args(["verify", &target, "-U", "admin", "-d", "mydb"]);
        let examined = there(examined.env("PGPASSWORD", composed.password()));
        examined.never_mentions(&composed.password()).succeeded();
        there(composed.verb("undo", &[])).succeeded().says("undone");
    });
    // What is published is reached from where the daemon is.
    composed.psql("verify-full").run("SELECT 1").succeeded();
    composed.verb("down", &["--remove", "--yes"]).run().succeeded();
    record("a server whose port cannot be reached is proved through docker exec", 1);
}

#[test]
fn by_a_context_alone() {
    for kind in kinds() {
        by_a_context_that_leads_to(*kind);
    }
}

fn by_a_context_that_leads_to(kind: Kind) {
    let composed = Composed::new(2, &Account::current());
    let daemon = Daemon::new(&composed, kind);
    let [(_, ours), _] = docker_env();
    let ours = ours.to_string_lossy().into_owned();
    let socket = daemon.as_ref().map_or(ours, |daemon| format!("unix://{}", daemon.socket().display()));
    let config = contexts(&composed, &socket);
    let there =
        |pgseal: Pgseal<'_>| -> Ran { pgseal.env("DOCKER_HOST", "").env("DOCKER_CONFIG", &config).run() };
    all_hold(&there(composed.up(&["--image", IMAGE, "--format", "json"])).succeeded());
    assert_eq!(composed.containers().is_empty(), daemon.is_some(), "it runs where the context leads");
    let rotated = there(composed.verb("rotate", &["--format", "json"])).succeeded();
    assert_eq!(rotated.json()["state"], "rotated", "{rotated}");
    all_hold(&there(composed.verb("verify", &["--format", "json"])).succeeded());
    there(composed.verb("status", &[])).succeeded();
    composed.psql("verify-full").run("SELECT 1").succeeded();
    // The same container by its compose file, as somebody's own project.
    let file = format!("{}/compose.yaml", composed.name());
    let planned = composed.pgseal().args(["secure", &file, "--dry-run"]);
    let planned = planned.env("PGPASSWORD", composed.password());
    there(planned).succeeded().never_mentions(&composed.password());
    there(composed.verb("down", &["--remove", "--yes"])).succeeded();
    assert!(!composed.dir().exists());
    if kind == Kind::Mapped {
        a_project_of_somebodys_own(&composed, &config);
    }
    record("a compose project on another daemon is sealed", 1);
}

/// A key on a bind mount has an owner there that no chown of the host gives it: the container does not know that user.
const MOUNTED: &str = "services:
  postgres:
    image: postgres:16-alpine
    environment: { POSTGRES_USER: admin, POSTGRES_PASSWORD: securepassword, POSTGRES_DB: mydb }
    volumes: [ 'data:/var/lib/postgresql/data', './certs:/certs' ]
    ports: [ \"127.0.0.1:@PORT@:5432\" ]
    command: -c ssl=on -c ssl_cert_file=/certs/server.crt -c ssl_key_file=/certs/server.key
volumes: { data: }
";

fn a_project_of_somebodys_own(composed: &Composed, config: &Path) {
    let folder = composed.sandbox().dir_of(&Account::current(), composed.name());
    let text = MOUNTED.replace("@PORT@", &composed.port().to_string());
    let plain: Vec<&str> = text.lines().filter(|line| !line.contains("command:")).collect();
    std::fs::write(folder.join("compose.yaml"), plain.join("\n")).unwrap();
    let shell = |line: &str| {
        let line = format!("cd '{}' && {line}", folder.display());
        sh(&line, &[("DOCKER_CONFIG", config.as_os_str().to_owned())]).succeeded()
    };
    let inside = "docker compose exec -T postgres psql -U admin -d mydb -XAtc";
    shell("docker info --format '{{.SecurityOptions}}'").says("name=userns");
    let key = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=old";
    shell(&format!("mkdir certs && {key} -keyout certs/server.key -out certs/server.crt 2>/dev/null"));
    shell("docker compose up -d");
    let answers = "docker compose exec -T postgres pg_isready -q -h 127.0.0.1";
    shell(&format!("for i in $(seq 300); do {answers} && exit 0; sleep 0.1; done; exit 1"));
    shell(&format!("{inside} 'CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n'"));
    std::fs::write(folder.join("compose.yaml"), &text).unwrap();
    shell("docker compose up -d");
    let pgseal = |words: &[&str]| -> Ran {
        let pgseal = composed.pgseal().current_dir(&folder).args(words);
        let pgseal = pgseal.env("PGSEAL_STATE_DIR", folder.join("journal"));
        pgseal.env("DOCKER_HOST", "").env("DOCKER_CONFIG", config).run()
    };
    let found = pgseal(&["secure", "compose.yaml", "--dry-run", "--new-ca", "ca"]).succeeded();
    found.says("key-bind-mounted").never_mentions("securepassword");
    // Who would come back in plaintext is seen where the server runs.
    let mended = pgseal(&["secure", "compose.yaml", "--yes", "--new-ca", "ca"]).succeeded();
    mended.says("ssl_key_file out of the command of postgres");
    let words = ["secure", "compose.yaml", "--yes", "--enforce", "--ca", "ca", "--allow-unseen"];
    pgseal(&words).succeeded();
    assert_eq!(shell(&format!("{inside} 'SELECT count(*) FROM kept'")).stdout(), "10000\n");
    pgseal(&["rotate", "compose.yaml", "--ca", "ca"]).succeeded().says("on the wire after");
    pgseal(&["verify", "compose.yaml"]).succeeded();
    for _ in 0..3 {
        pgseal(&["undo", "compose.yaml", "--allow-insecure"]).succeeded().says("undone");
    }
    assert_eq!(std::fs::read_to_string(folder.join("compose.yaml")).unwrap(), text);
    shell("docker compose down --volumes --timeout 2");
    record("a project is secured, rotated and undone where docker maps users", 1);
}

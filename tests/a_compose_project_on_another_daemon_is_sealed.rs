//! Docker's contexts lead to other daemons, on another socket: a project is made, proved, secured, rotated and removed there
//! as here, for nothing of this machine is mounted. In a soak that is a second dockerd with everything of its own.

use std::ffi::OsString;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::harness::{
    Account, Composed, Pgseal, Ran, all_hold, docker_env, in_a_network_of_its_own, is_soak, project, record,
    run,
};

const IMAGE: &str = "postgres:16-alpine";
const PATIENCE: Duration = Duration::from_secs(120);

/// A dockerd of our own. Dropped, it is stopped and removed.
struct Daemon(PathBuf);

impl Daemon {
    #[track_caller]
    fn new(composed: &Composed) -> Self {
        let daemon = Self(composed.sandbox().dir_of(&Account::current(), "d"));
        daemon.is("up").succeeded();
        let [(_, ours), _] = docker_env();
        let line = format!(
            "docker --host '{}' save {IMAGE} | docker --host 'unix://{}' load",
            ours.to_string_lossy(),
            daemon.socket().display()
        );
        sh(&line, &[]).succeeded();
        daemon
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
    let composed = Composed::new(2, &Account::current());
    let daemon = is_soak().then(|| Daemon::new(&composed));
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
    record("a compose project on another daemon is sealed", 1);
}

//! `pgseal up --engine compose` without docker, without a daemon, without leave, without compose, without an image, and with
//! images, ports and options of the wrong kind: each time one calm sentence, the next thing to do, and nothing left.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::harness::{Account, Composed, Pgseal, Ran, docker, record};

#[track_caller]
fn refused(composed: &Composed, ran: Ran, code: i32, words: &[&str]) {
    let ran = ran.ended(code);
    for word in words {
        assert!(ran.stderr().contains(word), "should have complained {word:?}:\n{ran}");
    }
    assert!(!composed.dir().exists(), "{ran}");
    assert_eq!(
        (composed.containers().len(), composed.volumes().len(), composed.networks().len()),
        (0, 0, 0),
        "{ran}"
    );
    record("what no container can be made of is said and nothing is left", 1);
}

fn fresh() -> Composed {
    Composed::new(2, &Account::current())
}

#[test]
fn docker_that_is_not_there_or_does_not_answer() {
    let composed = fresh();
    let nothing = composed.sandbox().dir_of(&Account::current(), "empty");
    let up = composed.up(&[]).env("PATH", &nothing).run();
    refused(&composed, up, 3, &["there is no docker client in PATH"]);
    let up = composed.up(&[]).env("DOCKER_HOST", "unix:///nonexistent/docker.sock").run();
    refused(
        &composed,
        up,
        3,
        &["no docker daemon answers at unix:///nonexistent/docker.sock", "systemctl start docker"],
    );
    // docker-compose of the system's own is hidden by a PATH that has docker's client alone.
    let client =
        ["/usr/local/bin/docker", "/usr/bin/docker"].into_iter().find(|path| Path::new(path).exists());
    symlink(client.expect("docker's client is where packages put it"), nothing.join("docker")).unwrap();
    let config = composed.sandbox().dir_of(&Account::current(), "config");
    let up = composed.up(&[]).env("DOCKER_CONFIG", config).env("PATH", &nothing).run();
    refused(&composed, up, 3, &["there is no docker compose here", "docker-compose-plugin"]);
}

#[test]
fn a_socket_that_does_not_let_one_in() {
    let composed = Composed::new(2, &Account::ordinary());
    let socket = composed.sandbox().join("closed.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o000)).unwrap();
    let up = composed.up(&[]).env("DOCKER_HOST", format!("unix://{}", socket.display())).run();
    let who = format!("does not let {} in", Account::ordinary().name());
    refused(&composed, up, 3, &[&who, "usermod --append --groups docker", "ermission denied"]);
}

#[test]
fn images_that_are_not_there_or_make_no_server() {
    let composed = fresh();
    // Nobody listens on port 1 of the loopback.
    let up = composed.up(&["--image", "localhost:1/none:16"]).run();
    refused(&composed, up, 3, &["could not get the image localhost:1/none:16", "docker image ls"]);
    let up = composed.up(&["--image", "localhost:1/none:16", "--dry-run"]).run();
    refused(&composed, up, 3, &["a dry run pulls none", "docker pull localhost:1/none:16"]);

    let other = Derived::of(&composed, "empty", &["ENV PGDATA=\"/not plain\""]);
    let up = composed.up(&["--image", other.name()]).run();
    refused(&composed, up, 3, &["no server can be made of the image", "PGDATA"]);
    let other = Derived::of(&composed, "rootly", &["ENV PATH=/nonexistent"]);
    let up = composed.up(&["--image", other.name()]).run();
    refused(&composed, up, 3, &["no server can be made of the image"]);
    let gone = ["ENTRYPOINT [\"/bin/sh\", \"-c\", \"echo out of cheese >&2; exit 7\"]"];
    let other = Derived::of(&composed, "gone", &gone);
    let up = composed.up(&["--image", other.name()]).run();
    refused(&composed, up, 3, &["does not stay up: ", "out of cheese", "was removed again"]);
}

#[test]
fn ports_and_options_of_the_wrong_kind() {
    let composed = fresh();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let up = composed.pgseal().args(["up", composed.name(), "--engine", "compose", "-p", &port]).run();
    refused(&composed, up, 3, &[&format!("port {port} is taken on 127.0.0.1"), "it is held by", "--port 0"]);
    let wrong: [(&[&str], &str); 8] = [
        (&["--bindir", "/usr/bin"], "--bindir goes with --engine native"),
        (&["--run-as", "postgres"], "--run-as goes with --engine native"),
        (&["--image", "--privileged"], "is no name of an image"),
        (&["--image", "postgres:16 --rm"], "is no name of an image"),
        (&["--container-name", "-v"], "is no name that docker gives a container"),
        (&["--container-name", "a/b"], "is no name that docker gives a container"),
        (&["--listen", "nowhere"], "is no IP address"),
        (&["--validity", "9999d"], "reaches past the end of the CA"),
    ];
    for (words, sentence) in wrong {
        // Behind an equals sign a word may look like an option.
        let words: Vec<String> = words.chunks(2).map(|pair| pair.join("=")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        refused(&composed, composed.up(&words).run(), 2, &[sentence]);
    }
    let native =
        |words: &[&str]| -> Pgseal<'_> { composed.pgseal().args(["up", composed.name()]).args(words) };
    let up = native(&["--image", "postgres:16"]).run();
    refused(&composed, up, 2, &["--image and --container-name go with --engine compose"]);
    let up = native(&["--engine", "native", "--container-name", "db"]).run();
    refused(&composed, up, 2, &["--container-name goes with --engine compose"]);
}

/// An image made from another, removed when dropped.
struct Derived(String);

impl Derived {
    #[track_caller]
    fn of(composed: &Composed, name: &str, changes: &[&str]) -> Self {
        let name = format!("{}-{name}:1", composed.name());
        let made = format!("{}-source", composed.name());
        let label = format!("pgseal.tests.claim={}", composed.name());
        docker(&["create", "--label", &label, "--pull", "never", "--name", &made, "postgres:16-alpine"])
            .succeeded();
        let mut words = vec!["commit"];
        for change in changes {
            words.extend(["--change", change]);
        }
        words.extend([made.as_str(), &name]);
        docker(&words).succeeded();
        docker(&["rm", "--volumes", &made]).succeeded();
        Self(name)
    }

    fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Derived {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.0]);
    }
}

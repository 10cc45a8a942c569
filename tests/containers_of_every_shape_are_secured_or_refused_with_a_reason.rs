//! Containers as people run them: as another user, with data elsewhere, without a port, read-only, on networks of their
//! own. Each is secured and proved; where that cannot be, one sentence says why, and nothing is changed.

use crate::harness::{
    APP, APP_PASSWORD, Account, Contained, Container, Network, PASSWORD, Ran, Setup, all_hold, docker,
    images, images_in_turn, record,
};

/// The uid of `postgres` in an image.
fn uid_of(image: &str) -> u32 {
    if image.ends_with("-alpine") { 70 } else { 999 }
}

/// All the way and back again; what `secure` said.
#[track_caller]
fn there_and_back(what: &str, contained: &Contained) -> Ran {
    let before = contained.files();
    let started = contained.started();
    let done = contained.secure(&["--enforce"]).run().succeeded().never_mentions(PASSWORD);
    all_hold(&contained.verb("verify", &["--format", "json"]).run());
    assert_eq!(contained.started(), started, "{what}: nothing was restarted");
    contained.psql("postgres", "SELECT 1").succeeded();
    contained.verb("undo", &["--allow-insecure"]).run().succeeded();
    assert_eq!(contained.files(), before, "{what}: undone to the byte");
    record("shapes of containers, secured and undone", 1);
    done
}

/// Refused with that status and these words, and everything is as it was.
#[track_caller]
fn refused(contained: &Contained, code: i32, words: &[&str]) {
    let before = contained.files();
    let ran = contained.secure(&["--enforce"]).run().ended(code).never_mentions(PASSWORD);
    let ran = words.iter().fold(ran, |ran, word| ran.complains(word));
    assert_eq!(contained.files(), before, "nothing was changed:\n{ran}");
    assert_eq!(contained.phase(), None, "nothing was begun:\n{ran}");
}

#[test]
fn one_that_runs_as_the_servers_user_from_the_start() {
    for image in images_in_turn(0) {
        let uid = uid_of(&image);
        let contained = Contained::set_up(&image, |setup, _| setup.user(&format!("{uid}:{uid}")));
        there_and_back(&image, &contained);
    }
}

#[test]
fn one_whose_data_is_a_folder_of_the_hosts_and_another_users() {
    for image in images_in_turn(1) {
        let contained = Contained::set_up(&image, |setup, sandbox| {
            let data = sandbox.dir_of(&Account::numbered(4321), "data");
            setup
                .user("4321:4321")
                .env("PGDATA", "/srv/pg/data")
                .volume(&format!("{}:/srv/pg", data.display()))
        });
        there_and_back(&image, &contained);
    }
}

#[test]
fn one_with_its_data_in_the_container_itself() {
    for image in images_in_turn(2) {
        let contained = Contained::set_up(&image, |setup, _| setup.env("PGDATA", "/srv/elsewhere/pg"));
        there_and_back(&image, &contained).says("/srv/elsewhere/pg/tls/");
    }
}

#[test]
fn one_whose_root_is_read_only() {
    for image in images_in_turn(3) {
        let contained = Contained::set_up(&image, |setup, _| {
            setup
                .option("--read-only", "true")
                .option("--tmpfs", "/tmp")
                .option("--tmpfs", "/var/run/postgresql")
        });
        there_and_back(&image, &contained);
    }
}

#[test]
fn one_that_lets_everybody_in() {
    for image in images_in_turn(4) {
        let contained = Contained::set_up(&image, |setup, _| setup.env("POSTGRES_HOST_AUTH_METHOD", "trust"));
        let before = contained.files();
        contained.secure(&["--enforce", "--auth", "scram-sha-256"]).run().succeeded();
        contained.client("verify-full").run("SELECT 1").succeeded();
        contained.client("verify-full").env("PGPASSWORD", "wrong").run("SELECT 1").ended(2);
        all_hold(&contained.verb("verify", &["--format", "json"]).run());
        contained.verb("undo", &["--allow-insecure"]).run().succeeded();
        assert_eq!(contained.files(), before, "{image}");
    }
}

#[test]
fn one_without_a_port_on_a_network_where_others_know_it_by_aliases() {
    for image in images_in_turn(5) {
        let network = Network::new();
        let on_network = |setup: Setup| setup.option("--network", network.name());
        let contained = Contained::unpublished(&image, |setup| {
            on_network(setup).option("--network-alias", "db").option("--network-alias", "shop_db.internal")
        });
        contained.secure(&["--enforce"]).run().succeeded().says("shop_db.internal");
        all_hold(&contained.verb("verify", &["--format", "json"]).run());
        let authority = contained.ca().join("server-ca.crt");
        for name in [contained.name(), "db", "shop_db.internal"] {
            let conninfo =
                format!("host={name} user={APP} dbname=postgres sslmode=verify-full sslrootcert=/ca.crt");
            on_network(Container::of(&image))
                .env("PGPASSWORD", APP_PASSWORD)
                .volume(&format!("{}:/ca.crt:ro", authority.display()))
                .args(&["psql", "-X", "-A", "-t", "-c", "SELECT 'in by ' || current_user", &conninfo])
                .run_to_its_end()
                .succeeded()
                .says("in by app");
        }
        contained.verb("undo", &["--allow-insecure"]).run().succeeded();
        // Before the network that it is on.
        drop(contained);
    }
}

#[test]
fn one_whose_command_line_says_otherwise_is_refused() {
    for image in images_in_turn(6) {
        let contained = Contained::set_up(&image, |setup, _| setup.args(&["-c", "ssl=off"]));
        refused(&contained, 3, &["ssl", "command line"]);
    }
}

#[test]
fn a_file_that_is_mounted_by_itself_is_said_to_be() {
    let image = &images()[0];
    let contained = Contained::set_up(image, |setup, sandbox| {
        let rules = "local all all trust\nhost all all all scram-sha-256\n";
        let file = sandbox.file_of(&Account::numbered(uid_of(image)), "pg_hba.conf", 0o600, rules);
        setup.volume(&format!("{}:/etc/rules.conf", file.display())).args(&["-c", "hba_file=/etc/rules.conf"])
    });
    refused(&contained, 3, &["/etc/rules.conf", "mounted into the container as a file of its own"]);
    contained.client("disable").run("SELECT 1").succeeded();
}

#[test]
fn one_that_does_not_run_or_is_no_server_is_refused() {
    let image = &images()[0];
    let contained = Contained::of(image);
    docker(&["pause", contained.name()]).succeeded();
    contained.secure(&[]).run().ended(3).complains("it is paused").complains("docker unpause");
    docker(&["unpause", contained.name()]).succeeded();
    docker(&["stop", contained.name()]).succeeded();
    for verb in ["verify", "history", "undo", "sessions"] {
        contained.verb(verb, &[]).run().ended(3).complains("it is exited").complains("docker start");
    }
    contained.secure(&[]).run().ended(3).complains("it is exited").complains("nothing was changed");
    assert_eq!(contained.phase(), None);

    let idle = Contained::whatever(Container::of(image).args(&["sleep", "1000"]));
    idle.secure(&[]).run().ended(3).complains("is no data directory of PostgreSQL");
    let other = Container::of(image).env("PGDATA", "/nonexistent/place").option("--entrypoint", "sleep");
    let other = Contained::whatever(other.args(&["1000"]));
    other.secure(&[]).run().ended(3).complains("has no /nonexistent/place").complains("PGDATA");
}

#[test]
fn a_name_that_is_no_containers_is_never_taken_for_something_else() {
    let contained = Contained::whatever(Container::of(&images()[0]).args(&["sleep", "1000"]));
    let ask = |target: &str| contained.pgseal().arg("verify").arg(target).run();
    for name in ["container:", "container:-H", "container:--help", "container:--format={{.Id}}"] {
        ask(name).ended(2).complains("is no name of a container").complains("docker ps");
    }
    for name in ["container:there-is-none", "container:15/main", "container:dir:/tmp", "container:a b"] {
        ask(name).ended(3).complains("docker");
    }
    let ran = ask("container:\u{1b}[31mred\n").ended(3);
    assert!(!ran.stderr().contains('\u{1b}'), "escaped:\n{ran}");
}

#[test]
fn without_a_client_or_a_daemon_it_says_so() {
    let contained = Contained::whatever(Container::of(&images()[0]).args(&["sleep", "1000"]));
    let nowhere = contained.sandbox().dir_of(&Account::current(), "nothing-in-it");
    let ran = contained.secure(&[]).env("PATH", &nowhere).run();
    ran.ended(3).complains("there is no docker client in PATH");
    for host in ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"] {
        let ran = contained.secure(&[]).env("DOCKER_HOST", host).run().ended(3);
        ran.complains("docker could not be asked").complains("nothing was changed");
    }
    assert!(!contained.ca().exists() && contained.phase().is_none(), "nothing was made");
}

//! The harness's own promise: a real docker, with images that behave as the official ones do, and nothing of it left.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;

use crate::harness::{
    Account, Compose, Container, PASSWORD, Port, Psql, Sandbox, Volume, docker, images, record,
};

/// The major version in an image's name.
fn major(image: &str) -> u32 {
    let version = image.trim_start_matches("postgres:").trim_end_matches("-alpine");
    version.parse().expect("an image is called postgres:MAJOR or postgres:MAJOR-alpine")
}

/// Where an image's volume is: from 18 on its data lies further down.
fn volume_of(image: &str) -> &'static str {
    if major(image) < 18 { "/var/lib/postgresql/data" } else { "/var/lib/postgresql" }
}

/// The uid of `postgres` in an image.
fn uid_of(image: &str) -> u32 {
    if image.ends_with("-alpine") { 70 } else { 999 }
}

#[test]
fn every_flavour_answers_inside_and_over_tcp_and_is_gone_when_dropped() {
    for image in images() {
        let container = Container::of(&image)
            .env("POSTGRES_USER", "admin")
            .env("POSTGRES_PASSWORD", PASSWORD)
            .env("POSTGRES_DB", "mydb")
            .args(&["-c", "work_mem=5MB"])
            .start();
        let version = format!("PostgreSQL {}.", major(&image));
        container.psql("mydb", "SELECT version()").succeeded().says(&version);
        container.psql("mydb", "SHOW work_mem").succeeded().says("5MB");
        let tcp = |password| {
            let conninfo = container.conninfo("mydb", "disable");
            Psql::to(conninfo).env("PGPASSWORD", password).run("SELECT version()")
        };
        tcp(PASSWORD).succeeded().says(&version);
        tcp("wrong").ended(2).complains("password authentication failed for user \"admin\"");
        let uid = container.exec(&["id", "-u", "postgres"]).succeeded();
        assert_eq!(uid.stdout().trim(), uid_of(&image).to_string(), "{image}: the uid of postgres");
        let owner = container.exec(&["sh", "-c", "stat -c %U:%a \"$PGDATA\" /proc/1"]).succeeded();
        assert!(owner.stdout().starts_with("postgres:700\npostgres:"), "{image}: {owner}");
        // The method is that of the server's passwords.
        let method = if major(&image) < 14 { "md5" } else { "scram-sha-256" };
        let rules = container.exec(&["sh", "-c", "cat \"$PGDATA/pg_hba.conf\""]).succeeded();
        assert!(rules.stdout().ends_with(&format!("\nhost all all all {method}\n")), "{image}: {rules}");
        // As health checks and guides call it.
        container
            .exec(&["pg_isready", "-U", "admin"])
            .succeeded()
            .says("/var/run/postgresql:5432 - accepting");

        let (name, port) = (container.name().to_owned(), container.port());
        let volumes =
            docker(&["inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", &name]).succeeded();
        drop(container);
        docker(&["container", "inspect", &name]).ended(1);
        docker(&["volume", "inspect", volumes.stdout().trim()]).ended(1);
        TcpListener::bind(("127.0.0.1", port)).expect("its port is free again");
        record("a container starts, answers and is gone", 1);
    }
}

#[test]
fn a_second_start_on_a_volume_finds_what_the_first_one_made() {
    for image in images() {
        let volume = Volume::new();
        let start = |database| {
            Container::of(&image)
                .env("POSTGRES_PASSWORD", PASSWORD)
                .env("POSTGRES_DB", database)
                .volume(&format!("{}:{}", volume.name(), volume_of(&image)))
                .start()
        };
        let first = start("kept");
        let made = first.logs();
        assert!(made.contains("PostgreSQL init process complete"), "{image}: {made}");
        first.psql("kept", "CREATE TABLE answer AS SELECT 42 AS answer").succeeded();
        first.restart();
        drop(first);
        let second = start("other");
        let found = second.logs();
        assert!(
            found.contains("Skipping initialization") && !found.contains("init process"),
            "{image}: {found}"
        );
        second.psql("kept", "SELECT answer FROM answer").succeeded().says("42");
        second.psql("other", "SELECT 1").ended(2).complains("database \"other\" does not exist");
        let name = volume.name().to_owned();
        drop((second, volume));
        docker(&["volume", "inspect", &name]).ended(1);
    }
}

#[test]
fn an_empty_data_directory_is_set_up_with_what_its_user_asked_for() {
    for image in images() {
        let sandbox = Sandbox::new();
        let scripts = sandbox.dir_of(&Account::current(), "scripts");
        fs::write(scripts.join("1.sql"), "CREATE TABLE one AS SELECT 1").unwrap();
        // One that may not be executed is read by the entrypoint, and has its variables.
        fs::write(scripts.join("2.sh"), "psql -U \"$POSTGRES_USER\" -c 'CREATE TABLE two AS SELECT 2'\n")
            .unwrap();
        // Only root can read it: it is read before the step down.
        let password = sandbox.file_of(&Account::current(), "password", 0o600, PASSWORD);
        let container = Container::of(&image)
            .env("POSTGRES_PASSWORD_FILE", "/run/password")
            .env("POSTGRES_INITDB_ARGS", "--auth-local=scram-sha-256 --data-checksums")
            .volume(&format!("{}:/run/password", password.display()))
            .volume(&format!("{}:/docker-entrypoint-initdb.d", scripts.display()))
            .start();
        let ask = |sql| {
            Psql::to(container.conninfo("postgres", "disable"))
                .env("PGPASSWORD", PASSWORD)
                .run(sql)
                .succeeded()
        };
        ask("SHOW data_checksums").says("on");
        ask("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname IN ('one', 'two')")
            .says("one two");
        container.psql("postgres", "SELECT 1").ended(2).complains("no password supplied");
    }
}

#[test]
fn a_container_of_an_ordinary_user_runs_where_the_data_is_that_users() {
    for image in images() {
        let sandbox = Sandbox::new();
        let data = sandbox.dir_of(&Account::numbered(4321), "data");
        let container = Container::of(&image)
            .user("4321:4321")
            .env("POSTGRES_PASSWORD", PASSWORD)
            .volume(&format!("{}:{}", data.display(), volume_of(&image)))
            .start();
        container.psql("postgres", "SELECT 'in'").succeeded().says("in");
        let made = if major(&image) < 18 { data } else { data.join(format!("{}/docker", major(&image))) };
        assert_eq!(fs::metadata(made.join("PG_VERSION")).unwrap().uid(), 4321, "{image}: who owns the data");
    }
}

#[test]
fn what_the_official_images_refuse_is_refused() {
    for image in images() {
        Container::of(&image)
            .run_to_its_end()
            .ended(1)
            .complains("Database is uninitialized and superuser password is not specified");
        Container::of(&image)
            .env("POSTGRES_PASSWORD", PASSWORD)
            .env("POSTGRES_PASSWORD_FILE", "/run/password")
            .run_to_its_end()
            .ended(1)
            .complains("both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set");
        // The server for setting up has the same arguments: it fails where the real one would.
        Container::of(&image)
            .env("POSTGRES_PASSWORD", PASSWORD)
            .args(&["-c", "ssl=on"])
            .run_to_its_end()
            .ended(1)
            .says("could not load server certificate file \"server.crt\": No such file or directory");
        if major(&image) >= 18 {
            Container::of(&image)
                .env("POSTGRES_PASSWORD", PASSWORD)
                .volume("/var/lib/postgresql/data")
                .run_to_its_end()
                .ended(1)
                .complains("/var/lib/postgresql/data (unused mount/volume)");
        }
    }
}

#[test]
fn either_compose_starts_what_a_compose_file_says_and_takes_it_away() {
    for version in [1, 2] {
        let sandbox = Sandbox::new();
        let port = Port::free();
        let file = format!(
            "version: '3.8'\nservices:\n  postgres:\n    image: postgres:16-alpine\n    environment:\n      \
             POSTGRES_PASSWORD: {PASSWORD}\n    volumes:\n      - data:/var/lib/postgresql/data\n    ports:\n      \
             - '127.0.0.1:{}:5432'\nvolumes:\n  data:\n",
            port.number()
        );
        fs::write(sandbox.join("docker-compose.yml"), file).unwrap();
        let compose = Compose::of(version, sandbox.path());
        compose.run(&["up", "-d"]).succeeded();
        let asked = [
            "exec",
            "-T",
            "postgres",
            "sh",
            "-c",
            "until psql -h 127.0.0.1 -U postgres -Atc 'SELECT 6 * 7'; do :; done",
        ];
        compose.run(&asked).succeeded().says("42");
        let id = compose.run(&["ps", "-q"]).succeeded().stdout().trim().to_owned();
        docker(&["container", "inspect", &id]).succeeded();
        drop(compose);
        docker(&["container", "inspect", &id]).ended(1);
    }
}

//! `pgseal secure compose.yaml` on what is no project, or none that can be secured: each time one calm sentence that names
//! the place and the next thing to do, and neither the file, nor the container, nor its data is another one afterwards.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use crate::harness::{
    Account, Projected, Ran, all_hold, among_mounts_of_its_own, docker, make_read_only, make_writable, record,
};

const FILE: &str = "compose.yaml";

/// A service with these lines of its own, and a second one that is no server.
fn with(lines: &str) -> String {
    format!(
        "services:
  postgres:
    image: postgres:16-alpine
    container_name: \"@NAME@\"
    environment: {{ POSTGRES_USER: admin, POSTGRES_PASSWORD: securepassword, POSTGRES_DB: mydb }}
    ports: [ \"127.0.0.1:@PORT@:5432\" ]
{lines}  web:
    image: web:none
volumes: {{ data: }}
"
    )
}

const DATA: &str = "    volumes: [ 'data:/var/lib/postgresql/data' ]\n";

fn project(text: &str) -> Projected {
    let project = Projected::new(2);
    project.file(FILE, text);
    project
}

#[track_caller]
fn started(text: &str) -> Projected {
    let project = project(text);
    project.compose(&["up", "-d", "postgres"]).succeeded();
    project.wait_until_it_answers();
    project
}

/// Refused with that status and these words; nothing was made.
#[track_caller]
fn refused(project: &Projected, target: &str, code: i32, words: &[&str]) -> Ran {
    let before = project.text(FILE);
    let ran = project.secure(target, &[]).run().ended(code).never_mentions("securepassword");
    let ran = words.iter().fold(ran, |ran, word| ran.complains(word));
    assert_eq!(project.text(FILE), before, "{ran}");
    assert!(!project.dir().join("ca").exists(), "{ran}");
    record("what is wrong with a compose project is said and nothing is changed", 1);
    ran
}

/// The same, and the container is what it was.
#[track_caller]
fn leaves(project: &Projected, code: i32, words: &[&str]) -> Ran {
    let facts = || project.inspect("{{.Id}} {{.State.StartedAt}} {{.State.Status}}");
    let before = facts();
    let ran = refused(project, FILE, code, words);
    assert_eq!(facts(), before, "{ran}");
    ran
}

#[test]
fn files_that_are_no_project() {
    let project = project("services:\n  db:\n    image: postgres:16-alpine\n   command: -c ssl=on\n");
    refused(&project, FILE, 3, &["is no YAML: line 4 column 4", "nothing was changed"]);
    for (text, words) in [
        (
            "services:\n  db: { image: postgres:16-alpine, ports: 5 }\n",
            &["does not read", "ports", "docker compose config"][..],
        ),
        (
            "services:\n  db: { image: \"postgres:${TAG_OF_TESTS:?must be set}\" }\n",
            &["does not read", "must be set"],
        ),
        ("include: [ \"https://example.org/other.git\" ]\nservices: {}\n", &["lies elsewhere"]),
        ("name: empty\n", &["no services"]),
        ("a: 1\n---\nb: 2\n", &["more than one document"]),
    ] {
        project.file(FILE, text);
        let ran = project.secure(FILE, &[]).run().ended(3);
        words.iter().fold(ran, |ran, word| ran.complains(word));
    }
    fs::write(project.dir().join(FILE), b"services: \xff\n").unwrap();
    project.secure(FILE, &[]).run().ended(3).complains("is not UTF-8");
    project.secure("nowhere.yaml", &[]).run().ended(2).complains("there is no");
    project.secure("compose:nowhere.yaml", &[]).run().ended(3).complains("nowhere.yaml");
    record("what is wrong with a compose project is said and nothing is changed", 8);
}

#[test]
fn services_that_are_not_there_or_not_meant() {
    let project = project(&with(DATA));
    refused(&project, &format!("{FILE}#db"), 2, &["has no service db", "its services: postgres, web"]);
    refused(&project, &format!("{FILE}#web"), 2, &["service web of", "is no PostgreSQL", "web:none"]);
    refused(&project, FILE, 3, &["service postgres of", "has no container yet", "up --detach postgres"]);
    let two = with(DATA).replace("web:none", "postgres:16-alpine");
    project.file(FILE, &two);
    refused(&project, FILE, 2, &["has 2 PostgreSQL services", "#postgres or ", "#web"]);
    project.file(FILE, "services:\n  web:\n    image: web:none\n");
    refused(&project, FILE, 2, &["no service of", "is a PostgreSQL", "web"]);
}

#[test]
fn docker_that_is_not_there_or_does_not_let_one_in() {
    let project = project(&with(DATA));
    let nothing = project.dir().join("nothing");
    fs::create_dir(&nothing).unwrap();
    project
        .secure(FILE, &[])
        .env("PATH", &nothing)
        .run()
        .ended(3)
        .complains("there is no docker client in PATH");
    let nowhere = project.secure(FILE, &[]).env("DOCKER_HOST", "unix:///nonexistent/docker.sock").run();
    nowhere
        .ended(3)
        .complains("no docker daemon answers at unix:///nonexistent/docker.sock")
        .complains("systemctl start docker");
    let client = ["/usr/local/bin/docker", "/usr/bin/docker"]
        .into_iter()
        .find(|path| fs::exists(path).unwrap_or(false));
    std::os::unix::fs::symlink(
        client.expect("docker's client is where packages put it"),
        nothing.join("docker"),
    )
    .unwrap();
    let alone = project.secure(FILE, &[]).env("DOCKER_CONFIG", &nothing).env("PATH", &nothing).run();
    alone.ended(3).complains("there is no docker compose here");
    // Of somebody who is not in its group.
    let account = Account::ordinary();
    let folder = project.sandbox().dir_of(&account, "theirs");
    fs::copy(project.dir().join(FILE), folder.join(FILE)).unwrap();
    let socket = project.sandbox().join("closed.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o000)).unwrap();
    let ran = project
        .secure(FILE, &[])
        .by(&account)
        .current_dir(&folder)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()));
    ran.run()
        .ended(3)
        .complains(&format!("does not let {} in", account.name()))
        .complains("usermod --append --groups docker");
    record("what is wrong with a compose project is said and nothing is changed", 4);
}

#[test]
fn places_that_cannot_be_written() {
    let rules = "    volumes: [ 'data:/var/lib/postgresql/data', './rules:/rules:ro' ]\n    command: -c hba_file=/rules/pg_hba.conf\n";
    let project = project(&with(rules));
    fs::create_dir(project.dir().join("rules")).unwrap();
    project.file("rules/pg_hba.conf", "local all all trust\nhost all all all scram-sha-256\n");
    project.sh("chown -R 70:70 rules").succeeded();
    project.compose(&["up", "-d", "postgres"]).succeeded();
    project.wait_until_it_answers();
    let ran = project.secure(FILE, &["--enforce"]).run().ended(3);
    ran.complains("could not write files in /rules: it is mounted read-only")
        .complains("nothing was changed")
        .complains("read-write");
    assert!(!project.dir().join("ca").exists());
    // The folder of the project, where its file would have to be edited.
    let fixed = "    command: -c ssl_key_file=/var/lib/postgresql/data/none.key\n    volumes: [ 'data:/var/lib/postgresql/data' ]\n";
    project.file(FILE, &with(fixed));
    project.compose(&["up", "-d", "postgres"]).succeeded();
    project.wait_until_it_answers();
    among_mounts_of_its_own(|| {
        make_read_only(project.dir());
        let dir = project.dir().display().to_string();
        let ran = project.verb("secure", FILE, &["--yes", "--new-ca", "../ca"]).run().ended(3);
        ran.complains(&dir).complains("Read-only file system").complains("nothing was changed");
        make_writable(project.dir());
    });
    assert_eq!(project.psql_inside("SHOW ssl").succeeded().stdout(), "off\n");
    record("what is wrong with a compose project is said and nothing is changed", 2);
}

#[test]
fn data_that_would_not_outlive_the_container() {
    for lines in [
        "    tmpfs: [ /var/lib/postgresql/data ]\n    command: -c ssl_key_file=/none.key\n",
        "    command: -c ssl_key_file=/none.key\n",
    ] {
        let inside = if lines.contains("tmpfs") { "" } else { ", PGDATA: /srv/pg" };
        let text = with(lines).replace("POSTGRES_DB: mydb }", &format!("POSTGRES_DB: mydb{inside} }}"));
        let project = started(&text);
        project.psql_inside("CREATE TABLE kept AS SELECT 1").succeeded();
        leaves(&project, 1, &["lies in the container itself", "would go with it", "nothing was changed"]);
        project.psql_inside("SELECT count(*) FROM kept").succeeded();
        // Without such a command a reload is enough, and the data stays where it is.
        if inside.is_empty() {
            continue;
        }
        let made = project.inspect("{{.Id}} {{.State.StartedAt}}");
        let ran = project.verb(
            "secure",
            &format!("container:{}", project.container_name()),
            &["--dry-run", "--new-ca", "ca"],
        );
        ran.env("PGUSER", "admin").env("PGPASSWORD", "securepassword").run();
        assert_eq!(project.inspect("{{.Id}} {{.State.StartedAt}}"), made);
    }
}

#[test]
fn containers_that_do_not_stay_up() {
    let project = started(&with(DATA));
    project.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n").succeeded();
    project.compose(&["stop", "postgres"]).succeeded();
    // The words of a server that ends at once are shown, and everything is as it was.
    project.file(FILE, &with(&format!("{DATA}    command: -c shared_preload_libraries=none_such\n")));
    let written = project.text(FILE);
    let ran = project.secure(FILE, &[]).run().ended(4);
    ran.complains("does not stay up")
        .complains("could not access file \"none_such\"")
        .complains("nothing is changed");
    assert_eq!(project.text(FILE), written);
    // Its port is somebody else's.
    project.file(FILE, &with(DATA));
    let taken = TcpListener::bind(("127.0.0.1", project.port())).unwrap();
    let ran = project.secure(FILE, &[]).run().ended(4);
    ran.complains(&project.port().to_string()).complains("rolled back");
    drop(taken);
    // Data of another version.
    let version = |from: &str, to: &str| {
        let script = format!("sed -i 's/^{from}$/{to}/' /data/PG_VERSION");
        let volumes = format!("{}_data:/data", project.name());
        let words = [
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            "sh",
            "--volume",
            &volumes,
            "postgres:16-alpine",
            "-c",
            &script,
        ];
        docker(&words).succeeded();
    };
    version("16", "15");
    let ran = project.secure(FILE, &[]).run();
    assert!(matches!(ran.code(), Some(3 | 4)), "{ran}");
    ran.complains("15").complains("16");
    version("15", "16");
    let ran = project.secure(FILE, &["--format", "json"]).run().succeeded();
    assert_eq!(ran.json()["proved"], true, "{ran}");
    let rows = project.psql("verify-full").run("SELECT count(*) FROM kept").succeeded();
    assert_eq!(rows.stdout(), "10000\n");
    record("what is wrong with a compose project is said and nothing is changed", 3);
}

#[test]
fn a_service_without_root_and_without_capabilities_is_secured_all_the_same() {
    let strict = "    user: '70:70'\n    cap_drop: [ ALL ]\n    security_opt: [ 'no-new-privileges:true' ]\n    read_only: true\n    tmpfs: [ /tmp, '/var/run/postgresql:uid=70' ]\n    volumes: [ 'data:/var/lib/postgresql/data' ]\n";
    let project = started(&with(strict));
    project.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n").succeeded();
    all_hold(&project.secure(FILE, &["--enforce", "--format", "json"]).run().succeeded());
    // Also while it does not run.
    project.compose(&["stop", "postgres"]).succeeded();
    let ran = project.secure(FILE, &["--reissue", "--format", "json"]).run().succeeded();
    assert_eq!(ran.json()["proved"], true, "{ran}");
    all_hold(&project.verb("verify", FILE, &["--format", "json"]).run());
    let rows = project.psql("verify-full").run("SELECT count(*) FROM kept").succeeded();
    assert_eq!(rows.stdout(), "10000\n");
    record("a service without root and without capabilities is secured", 1);
}

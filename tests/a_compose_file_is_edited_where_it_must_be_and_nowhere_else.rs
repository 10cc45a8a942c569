//! A compose file with anchors, comments, lists in one line and odd quoting: the diff touches the lines that it must, compose
//! reads everything else as before, and undo gives the bytes back. What cannot be edited safely is laid over, or said.

use crate::harness::{Account, Projected, is_soak, record};

const FILE: &str = "compose.yaml";

/// With a command of that text, on a server that has TLS by it.
fn odd(command: &str) -> String {
    format!(
        "# A shop.   Kept by hand; mind the blanks.
x-logging: &logging
  driver: \"json-file\"   # plain
  options: {{max-size: '10m', max-file: \"3\"}}

services:
    'db':  # the one that matters
        image: 'postgres:16-alpine'
        container_name: \"@NAME@\"
        logging: *logging
        environment: &env
            POSTGRES_USER: admin
            POSTGRES_PASSWORD: ${{SECRET_OF_TESTS:-securepassword}}   # from outside
            POSTGRES_DB: 'mydb'
            'TZ': \"UTC\"
{command}        volumes: [ 'data:/var/lib/postgresql/data' , \"tls:/tls\" ]
        ports: [ \"127.0.0.1:@PORT@:5432\" ]

    idle:
        image: postgres:16-alpine
        environment: {{ <<: *env, ROLE: idle }}
        profiles: [ never ]
volumes: {{ data: , tls: {{}} }}
"
    )
}

/// A server with a certificate that nobody verifies, fixed by its command.
fn running(command: &str) -> Projected {
    let project = Projected::new(2);
    project.file(FILE, &odd(command));
    project.compose(&["up", "--no-start", "db"]).succeeded();
    let name = project.container_name();
    // Made beside, and put into the volume as the image's user.
    project
        .sh("mkdir tls && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=old -keyout tls/old.key -out tls/old.crt && chmod 600 tls/old.key")
        .succeeded();
    let stream = format!("tar --owner=70 --group=70 -c tls | docker cp - {name}:/");
    let mut command = Account::current().command("sh", std::path::Path::new("/nonexistent"));
    command.current_dir(project.dir()).args(["-c", &stream]).envs(crate::harness::docker_env());
    crate::harness::run(command, b"", std::time::Duration::from_secs(60)).succeeded();
    project.sh("rm -r tls").succeeded();
    project.compose(&["up", "-d", "db"]).succeeded();
    project.wait_until_it_answers();
    project.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n").succeeded();
    project
}

/// Both, line by line: what the first has and the second has not.
fn lost<'t>(before: &'t str, after: &str) -> Vec<&'t str> {
    before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect()
}

/// Secures what the file says now, by that edit alone; undo gives back what was there.
#[track_caller]
fn edits(project: &Projected, command: &str, expected: &str) {
    project.file(FILE, &odd(command));
    project.compose(&["up", "-d", "db"]).succeeded();
    project.wait_until_it_answers();
    let (written, read) = (project.text(FILE), project.config());
    let words = [if project.dir().join("ca").exists() { "--ca" } else { "--new-ca" }, "ca", "--allow-unseen"];
    let shown = project.verb("secure", FILE, &words).arg("--dry-run").run().succeeded();
    shown.says("ssl_cert_file, ssl_key_file out of the command of db").never_mentions("securepassword");
    let refused =
        project.verb("secure", FILE, &words).args(["--dry-run", "--out", "plan.json"]).run().ended(2);
    refused.complains("--out does not go with a container that is made anew");
    assert!(!project.dir().join("plan.json").exists());
    assert_eq!(project.text(FILE), written);
    let ran = project.secure(FILE, &["--allow-unseen", "--format", "json"]).run().succeeded();
    assert_eq!(ran.json()["proved"], true, "{ran}");
    ran.never_mentions("securepassword");
    project.journal_never_mentions("securepassword");
    let now = project.text(FILE);
    assert_eq!(now.replace(expected, "COMMAND"), written.replace(command, "COMMAND"), "{now}");
    let gone = lost(&read, &project.config()).join("\n");
    assert!(gone.lines().all(|line| line.contains("ssl_") || line.trim() == "- -c"), "{gone}");
    assert_eq!(project.psql("verify-full").run("SELECT count(*) FROM kept").succeeded().stdout(), "10000\n");
    assert_eq!(project.psql_inside("SHOW log_line_prefix").succeeded().stdout(), "%m [%p] \n");
    project.verb("undo", FILE, &[]).run().succeeded();
    assert_eq!(project.text(FILE), written, "to the byte");
    assert_eq!(project.psql_inside("SHOW ssl_cert_file").succeeded().stdout(), "/tls/old.crt\n");
    assert_eq!(project.psql_inside("SELECT count(*) FROM kept").succeeded().stdout(), "10000\n");
    record("a compose file is edited where it must be and nowhere else", 1);
}

#[test]
fn the_diff_touches_only_the_lines_that_it_must() {
    let list = "        command: [ \"postgres\", '-c', \"ssl=on\",  -c, 'ssl_cert_file=/tls/old.crt', \"-c\", ssl_key_file=/tls/old.key, -c, \"log_line_prefix=%m [%p] \" ]   # TLS, not securepassword\n";
    let text = "        command: >- # folded\n            postgres -c ssl=on\n            -c ssl_cert_file=/tls/old.crt -c ssl_key_file=/tls/old.key\n            -c 'log_line_prefix=%m [%p] '\n";
    let items = "        command:\n            - postgres\n            # on\n            - -c\n            - ssl=on\n            - \"-c\"\n            - 'ssl_cert_file=/tls/old.crt' # old\n            - -c\n            - ssl_key_file=/tls/old.key\n            - -c\n            - \"log_line_prefix=%m [%p] \"\n";
    let all = [
        (list, list.replace(" -c, 'ssl_cert_file=/tls/old.crt', \"-c\", ssl_key_file=/tls/old.key,", "")),
        (text, text.replace("            -c ssl_cert_file=/tls/old.crt -c ssl_key_file=/tls/old.key\n", "")),
        (
            items,
            items.replace(
                "            - \"-c\"\n            - 'ssl_cert_file=/tls/old.crt' # old\n            - -c\n            - ssl_key_file=/tls/old.key\n",
                "",
            ),
        ),
    ];
    let project = running(list);
    for (command, expected) in all.iter().take(if is_soak() { 3 } else { 1 }) {
        edits(&project, command, expected);
    }
    laid_over(&project);
}

/// Where an anchor says the command, the file stays; and where a file is laid over it already, everything does.
fn laid_over(project: &Projected) {
    let words = "[ -c, ssl=on, -c, ssl_cert_file=/tls/old.crt, -c, ssl_key_file=/tls/old.key, -c, \"cluster_name=${NAME_OF_TESTS:-shop}\" ]";
    project.file(FILE, &format!("x-command: &command {words}\n{}", odd("        command: *command\n")));
    project.compose(&["up", "-d", "db"]).succeeded();
    project.wait_until_it_answers();
    let written = project.text(FILE);
    let ran = project.secure(FILE, &["--allow-unseen", "--format", "json"]).run().succeeded();
    assert_eq!(ran.json()["proved"], true, "{ran}");
    assert_eq!(project.text(FILE), written);
    let over = project.text("compose.override.yaml");
    assert!(
        over.contains("cluster_name=${NAME_OF_TESTS:-shop}") && !over.contains("ssl_cert_file"),
        "{over}"
    );
    assert_eq!(project.psql_inside("SHOW cluster_name").succeeded().stdout(), "shop\n");
    assert_eq!(project.psql("verify-full").run("SELECT count(*) FROM kept").succeeded().stdout(), "10000\n");
    project.verb("undo", FILE, &[]).run().succeeded();
    assert!(!project.dir().join("compose.override.yaml").exists());
    assert_eq!(project.psql_inside("SHOW ssl_cert_file").succeeded().stdout(), "/tls/old.crt\n");

    project.file("compose.override.yaml", "services: { db: { restart: \"no\" } }\n");
    let before = project.inspect("{{.Id}}");
    let ran = project.secure(FILE, &["--allow-unseen"]).run().ended(1);
    ran.complains("cannot be edited safely").complains("-c ssl_cert_file=").complains("nothing was changed");
    assert_eq!(project.inspect("{{.Id}}"), before);
    project.journal_never_mentions("securepassword");
    record("a compose file is edited where it must be and nowhere else", 1);
}

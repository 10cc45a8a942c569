//! A compose project that somebody made by following the guide, in each state in which it fails: `pgseal secure --dry-run`
//! names what is wrong and changes nothing, `pgseal secure` ends proved, and the 10,000 rows of before are there.

use std::collections::BTreeMap;

use crate::harness::{Projected, Ran, all_hold, compose_versions, named_and_gone_on, record};

/// Of the guide, with a container and a port of the test's own.
const HEAD: &str = "version: '3.8'

services:
  postgres:
    image: postgres:16-alpine
    container_name: @NAME@
    environment:
      POSTGRES_USER: admin
      POSTGRES_PASSWORD: securepassword
      POSTGRES_DB: mydb
    volumes:
";
const CERTS: &str = "      - ./postgres-certs:/var/lib/postgresql/certs\n";
const HBA: &str = "      - ./postgres-certs/pg_hba.conf:/var/lib/postgresql/pg_hba.conf\n";
const DATA: &str = "      - postgres-data:/var/lib/postgresql/data\n";
const COMMAND: &str = "    command: >
      -c ssl=on
      -c ssl_cert_file=/var/lib/postgresql/certs/server.crt
      -c ssl_key_file=/var/lib/postgresql/certs/server.key
";
const HBA_COMMAND: &str = "      -c hba_file=/var/lib/postgresql/pg_hba.conf\n";
const TAIL: &str = "    ports:
      - \"@PORT@:5432\"

volumes:
  postgres-data:
";
/// Step 1, word for word.
const STEP_1: &str = r#"
mkdir -p postgres-certs
cd postgres-certs
openssl genrsa -out server.key 2048
openssl req -new -key server.key -out server.csr \
  -subj "/C=US/ST=State/L=City/O=Organization/CN=postgres"
openssl x509 -req -in server.csr -signkey server.key \
  -out server.crt -days 365
chmod 600 server.key
chmod 644 server.crt
"#;
/// Step 6, word for word.
const STEP_6: &str = r"
cat > postgres-certs/pg_hba.conf << 'EOF'
# TYPE  DATABASE        USER            ADDRESS                 METHOD
hostssl all             all             0.0.0.0/0               scram-sha-256
hostssl all             all             ::/0                    scram-sha-256
EOF
";
const FILE: &str = "docker-compose.yml";
const ROWS: &str = "SELECT count(*) FROM kept";

/// A database with 10,000 rows, as it was before anybody thought of TLS.
fn with_rows(compose: u32) -> Projected {
    let project = Projected::new(compose);
    project.file(FILE, &[HEAD, DATA, TAIL].concat());
    project.up();
    project.wait_until_it_answers();
    project.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n").succeeded();
    project.sh(STEP_1).succeeded();
    project
}

/// The container's own user as the owner of the key, which the guide does not think of.
fn give_the_key_away(project: &Projected) {
    project.sh("chown 70:70 postgres-certs/server.key").succeeded();
}

/// What `doctor` finds: names, and what was seen.
fn doctor(project: &Projected) -> BTreeMap<String, String> {
    let pgseal = project.verb("doctor", FILE, &["--format", "json"]).env("PGPASSWORD", "securepassword");
    let told = pgseal.run().never_mentions("securepassword").json();
    let text = |one: &serde_json::Value, field: &str| one[field].as_str().unwrap().to_owned();
    let all = told["findings"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    all.iter().map(|one| (text(one, "name"), text(one, "evidence"))).collect()
}

/// What `doctor` says of findings that it names now.
#[track_caller]
fn diagnosed<'n>(project: &Projected, findings: &[&'n str]) -> Vec<(&'n str, String)> {
    let told = doctor(project);
    let evidence = |name: &&'n str| {
        let evidence = told.get(*name).unwrap_or_else(|| panic!("{name} is not named: {told:?}"));
        (*name, evidence.clone())
    };
    findings.iter().map(evidence).collect()
}

/// And does not name now.
#[track_caller]
fn are_gone(project: &Projected, ill: &[(&str, String)]) {
    let well = doctor(project);
    for (name, evidence) in ill {
        assert!(!well.contains_key(*name), "{name} is named still: {well:?}");
        named_and_gone_on(name, "PostgreSQL 16 of a compose project", evidence);
    }
}

#[track_caller]
fn names(project: &Projected, findings: &[&str]) {
    let before = (project.text(FILE), project.inspect("{{.Id}} {{.State.StartedAt}} {{.State.Status}}"));
    let ran =
        project.verb("secure", FILE, &["--new-ca", "ca", "--dry-run", "--format", "json"]).run().succeeded();
    let found: Vec<String> = ran.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["name"].as_str().unwrap().to_owned())
        .collect();
    for name in findings {
        assert!(found.iter().any(|found| found == name), "{name} should be found: {found:?}\n{ran}");
    }
    ran.never_mentions("securepassword");
    let after = (project.text(FILE), project.inspect("{{.Id}} {{.State.StartedAt}} {{.State.Status}}"));
    assert_eq!(before, after, "looking changes nothing");
    assert!(!project.dir().join("ca").exists());
}

#[track_caller]
fn mends(project: &Projected, words: &[&str]) -> Ran {
    let ran = project.secure(FILE, words).args(["--format", "json"]).run().succeeded();
    let ran = ran.never_mentions("securepassword");
    project.journal_never_mentions("securepassword");
    assert_eq!(ran.json()["proved"], true, "{ran}");
    assert_eq!(project.psql("verify-full").run(ROWS).succeeded().stdout(), "10000\n");
    assert_eq!(project.psql_inside(ROWS).succeeded().stdout(), "10000\n");
    let helpers = crate::harness::docker(&["ps", "--all", "--quiet", "--filter", "label=pgseal.helper"]);
    let id = project.inspect("{{.Id}}");
    assert!(!helpers.stdout().contains(&id[..12]), "{helpers}");
    ran
}

/// And then nothing but TLS, by reloads alone.
#[track_caller]
fn enforces(project: &Projected) {
    let started = project.inspect("{{.Id}} {{.State.StartedAt}}");
    let ran = project.secure(FILE, &["--enforce", "--format", "json"]).run().succeeded();
    all_hold(&ran);
    assert_eq!(project.inspect("{{.Id}} {{.State.StartedAt}}"), started);
    // By a reject line, or by none that lets it in.
    project.psql("disable").run("SELECT 1").ended(2).complains("pg_hba.conf").complains("no encryption");
    assert_eq!(project.psql_inside(ROWS).succeeded().stdout(), "10000\n");
    record("a project made by the guide is mended with its data", 1);
}

#[test]
fn a_key_that_root_owns_on_the_host() {
    // A folder in the place of pg_hba.conf is mended with the older one.
    for compose in compose_versions() {
        let project = with_rows(*compose);
        project.file(FILE, &[HEAD, CERTS, DATA, COMMAND, TAIL].concat());
        project.up();
        project.wait_until_it_has_ended();
        assert!(project.logs().contains("could not load private key file"), "{}", project.logs());
        names(
            &project,
            &[
                "container-down",
                "key-bind-mounted",
                "key-unfit",
                "certificate-unfit",
                "compose-version-obsolete",
                "password-in-environment",
                "port-published-everywhere",
                "settings-in-command",
            ],
        );
        let ill = diagnosed(&project, &["container-down", "key-bind-mounted"]);
        let written = project.text(FILE);
        mends(&project, &[]);
        are_gone(&project, &ill);
        let gone = "      -c ssl_cert_file=/var/lib/postgresql/certs/server.crt\n      -c ssl_key_file=/var/lib/postgresql/certs/server.key\n";
        assert_eq!(project.text(FILE), written.replace(gone, ""), "those two lines, and no other");
        enforces(&project);
        // Back to the byte, step by step.
        project.verb("undo", FILE, &[]).arg("--allow-insecure").run().succeeded();
        project.verb("undo", FILE, &[]).arg("--allow-insecure").run().succeeded();
        assert_eq!(project.text(FILE), written);
        assert_ne!(project.state(), "running");
    }
}

#[test]
fn rules_without_a_line_for_the_socket_in_a_file_that_is_mounted_alone() {
    let project = with_rows(2);
    give_the_key_away(&project);
    project.sh(STEP_6).succeeded();
    project.sh("chmod 644 postgres-certs/pg_hba.conf").succeeded();
    project.file(FILE, &[HEAD, CERTS, HBA, DATA, COMMAND, HBA_COMMAND, TAIL].concat());
    project.up();
    project.wait_until_it_answers();
    project.psql_inside(ROWS).ended(2).complains("no pg_hba.conf entry for host \"[local]\"");
    names(
        &project,
        &["local-line-missing", "file-mounted-alone", "certificate-unfit", "settings-in-command"],
    );
    let ill = diagnosed(&project, &["local-line-missing", "file-mounted-alone"]);
    let ran = mends(&project, &["--enforce", "--allow-unseen"]);
    all_hold(&ran);
    are_gone(&project, &ill);
    assert!(!project.text(FILE).contains("-c hba_file"), "{}", project.text(FILE));
    enforces(&project);
}

#[test]
fn a_folder_in_the_place_of_pg_hba_conf() {
    let project = with_rows(1);
    give_the_key_away(&project);
    // Step 6 is forgotten, and docker makes a folder of that name.
    project.file(FILE, &[HEAD, CERTS, HBA, DATA, COMMAND, HBA_COMMAND, TAIL].concat());
    project.up();
    project.wait_until_it_has_ended();
    assert!(project.dir().join("postgres-certs/pg_hba.conf").is_dir());
    names(&project, &["container-down", "folder-in-the-place-of-a-file", "certificate-unfit"]);
    let ill = diagnosed(&project, &["folder-in-the-place-of-a-file"]);
    mends(&project, &["--allow-unseen"]);
    are_gone(&project, &ill);
    assert!(!project.text(FILE).contains("-c hba_file"), "{}", project.text(FILE));
    enforces(&project);
}

#[test]
fn a_volume_whose_database_was_never_made() {
    let project = Projected::new(2);
    project.sh(STEP_1).succeeded();
    project.file(FILE, &[HEAD, CERTS, DATA, COMMAND, TAIL].concat());
    project.up();
    project.wait_until_it_has_ended();
    names(&project, &["container-down", "key-bind-mounted"]);
    let ran = project.secure(FILE, &["--format", "json"]).run().succeeded();
    assert_eq!(ran.json()["proved"], true, "{ran}");
    // It was never made, and is not made behind anybody's back; what there is to choose is said.
    project.psql_inside("SELECT 1").ended(2).complains("database \"mydb\" does not exist");
    let ran = project.verb("secure", FILE, &["--dry-run"]).run().succeeded();
    ran.says("database-missing").says("createdb");
    let ill = diagnosed(&project, &["database-missing"]);
    project.exec_with(&["createdb", "-U", "admin", "mydb"], "").succeeded();
    are_gone(&project, &ill);
}

#[test]
fn what_the_file_says_and_the_server_does_not_hear() {
    let project = with_rows(2);
    let head = HEAD.replace(
        "      POSTGRES_DB: mydb\n",
        "      POSTGRES_DB: mydb\n      POSTGRES_HOST_AUTH_METHOD: scram-sha-256\n      POSTGRES_INITDB_ARGS: --data-checksums\n",
    );
    project.file(FILE, &[&head, DATA, TAIL].concat());
    names(&project, &["init-only-setting", "tls-off"]);
    let mut ill = diagnosed(&project, &["init-only-setting"]);
    // What the file says now the container was not made with.
    project.file(
        FILE,
        &[HEAD, DATA, "    command: -c log_connections=on -c password_encryption=scram-sha-256\n", TAIL]
            .concat(),
    );
    names(&project, &["container-outdated", "settings-in-command"]);
    let as_before = doctor(&project);
    ill.extend(diagnosed(&project, &["container-outdated", "settings-in-command"]));
    // A command that was written below environment.
    let lost = "      command: >\n        -c ssl=on\n        -c ssl_cert_file=/var/lib/postgresql/certs/server.crt\n";
    let head = HEAD.replace("      POSTGRES_DB: mydb\n", &format!("      POSTGRES_DB: mydb\n{lost}"));
    project.file(FILE, &[&head, CERTS, DATA, TAIL].concat());
    project.up();
    project.wait_until_it_answers();
    assert_eq!(project.psql_inside("SHOW ssl").succeeded().stdout(), "off\n");
    names(&project, &["command-in-environment", "tls-off"]);
    are_gone(&project, &ill);
    let [(lost, evidence)] = <[_; 1]>::try_from(diagnosed(&project, &["command-in-environment"])).unwrap();
    assert!(!as_before.contains_key(lost), "{as_before:?}");
    named_and_gone_on(lost, "PostgreSQL 16 of a compose project", &evidence);
    let (written, made) = (project.text(FILE), project.inspect("{{.Id}} {{.State.StartedAt}}"));
    mends(&project, &[]);
    assert_eq!(project.text(FILE), written, "a reload is enough");
    assert_eq!(project.inspect("{{.Id}} {{.State.StartedAt}}"), made);
    enforces(&project);
    mended_on_request(&project);
}

/// For what the file says nobody has to be let in to the server.
#[track_caller]
fn whoever_is_not_let_in_is_told_of_the_file(project: &Projected, findings: &[&str]) {
    let stranger = project.verb("doctor", FILE, &["-U", "stranger", "--format", "json"]);
    let told = stranger.env("PGPASSWORD", "of nobody").run().never_mentions("securepassword").json();
    let all = |list: &str, field: &str| -> Vec<String> {
        let all = told[list].as_array().unwrap_or_else(|| panic!("{told:#}"));
        all.iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    let named = all("findings", "name");
    for name in findings {
        assert!(named.iter().any(|named| named == name), "{name}: {told:#}");
    }
    let unseen = all("unseen", "what");
    assert!(unseen.iter().any(|what| what.contains("beyond what its file says")), "{unseen:?}");
}

/// What TLS does not need, and is told: mended where somebody asks for it, and undone to the byte.
#[track_caller]
fn mended_on_request(project: &Projected) {
    let written = project.text(FILE);
    let findings = ["compose-version-obsolete", "port-published-everywhere", "password-in-environment"];
    let words: Vec<&str> = findings.iter().flat_map(|finding| ["--mend", finding]).collect();
    let shown = project.secure(FILE, &words).arg("--dry-run").run().succeeded();
    shown.says("POSTGRES_PASSWORD out of the environment").never_mentions("securepassword");
    let ill = diagnosed(project, &findings);
    whoever_is_not_let_in_is_told_of_the_file(project, &findings);
    let ran = project.secure(FILE, &words).args(["--format", "json"]).run().succeeded();
    assert_eq!(ran.never_mentions("securepassword").json()["proved"], true);
    let mended = written
        .replace("version: '3.8'\n\n", "")
        .replace("      POSTGRES_PASSWORD: securepassword\n", "")
        .replace(&format!("\"{}:5432\"", project.port()), &format!("\"127.0.0.1:{}:5432\"", project.port()));
    assert_eq!(project.text(FILE), mended, "these lines, and no other");
    are_gone(project, &ill);
    let made = project.inspect("{{json .Config.Env}} {{json .HostConfig.PortBindings}}");
    assert!(!made.contains("securepassword") && made.contains("127.0.0.1"), "{made}");
    assert_eq!(project.psql("verify-full").run(ROWS).succeeded().stdout(), "10000\n");
    project.journal_never_mentions("securepassword");
    let verify = || project.verb("verify", FILE, &["--format", "json"]).env("PGPASSWORD", "securepassword");
    all_hold(&verify().run().succeeded());
    project.verb("undo", FILE, &[]).run().succeeded();
    assert_eq!(project.text(FILE), written, "to the byte");
    let kept = "find / -name 'previous-*-compose.yaml' 2>/dev/null";
    assert_eq!(project.exec_with(&["sh", "-c", kept], "").stdout(), "");
    all_hold(&verify().run().succeeded());
    assert_eq!(project.psql_inside(ROWS).succeeded().stdout(), "10000\n");
    record("what is no matter of TLS in a compose file is mended on request", 3);
}

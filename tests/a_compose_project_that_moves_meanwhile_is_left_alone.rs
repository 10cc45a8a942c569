//! What was found in a compose project, and what a person said yes to, holds for the project as it was read. Where the file,
//! what compose makes of it, or the container is another one by then, nothing is written, and a sentence says so.

use std::fs;
use std::time::Duration;

use crate::harness::{Projected, Trace, docker, record};

const LIMIT: Duration = Duration::from_secs(120);
const FILE: &str = "compose.yaml";
const PROJECT: &str = "services:
  postgres:
    image: postgres:16-alpine
    container_name: @NAME@
    environment: { POSTGRES_USER: admin, POSTGRES_PASSWORD: securepassword, POSTGRES_DB: mydb }
    labels: { owner: \"${OWNER:-nobody}\" }
    command: postgres -c ssl=off -c log_connections=on
    volumes: [ 'data:/var/lib/postgresql/data' ]
    ports: [ \"127.0.0.1:@PORT@:5432\" ]
volumes: { data: }
";
/// Between the first reading and the second, and after the answer.
const READ: &str = "before the project is read again";
const AGREED: &str = "before a change of the project begins";

/// Lets a secure come to that step, has something happen, and holds that nothing was done. What happened is taken back.
#[track_caller]
fn refused(project: &Projected, step: &str, what: &str, deed: impl FnOnce()) {
    let (text, env) = (project.text(FILE), project.text(".env"));
    let trace = Trace::new(project.sandbox());
    let secure = project.secure(FILE, &["--allow-unseen"]).held_at_step(&trace, step).start();
    trace.wait_for_step(step);
    deed();
    let now = (project.text(FILE), project.inspect("{{.Id}} {{.State.StartedAt}}"));
    trace.go();
    let ran = secure.wait(LIMIT).ended(1).complains(what).complains("nothing was changed");
    ran.complains("the same command again");
    assert_eq!((project.text(FILE), project.inspect("{{.Id}} {{.State.StartedAt}}")), now);
    let written = project.exec_with(&["sh", "-c", "cat $PGDATA/postgresql.conf; ls $PGDATA"], "").succeeded();
    assert!(!written.stdout().contains("pgseal"), "{written}");
    project.file(FILE, &text);
    project.file(".env", &env);
    record("a compose project that moved meanwhile is left alone", 1);
}

#[test]
fn between_readings_and_after_the_answer() {
    let project = Projected::new(2);
    project.file(FILE, PROJECT);
    project.up();
    project.wait_until_it_answers();
    project.psql_inside("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n").succeeded();
    let written = project.text(FILE);
    let put = |from: &str, to: &str| project.file(FILE, &written.replace(from, to));
    // Words of another place in the command: what was found is where it was, and not where it is.
    let longer = "postgres -c work_mem=8MB -c ssl=off -c log_connections=on";
    let command = "postgres -c ssl=off -c log_connections=on";
    refused(&project, READ, "compose reads the project", || put(command, longer));
    let changed = format!("{} was changed", fs::canonicalize(project.dir()).unwrap().join(FILE).display());
    refused(&project, AGREED, &changed, || put(command, longer));
    refused(&project, AGREED, &changed, || put("services:", "# whose is this?\nservices:"));
    // The file is as it was, and means something else.
    let env = project.text(".env");
    refused(&project, AGREED, "compose reads the project", || {
        project.file(".env", &format!("{env}OWNER=somebody\n"));
    });
    refused(&project, AGREED, "was made anew", || {
        docker(&["rm", "--force", &project.container_name()]).succeeded();
        project.up();
        project.wait_until_it_answers();
    });
    // Undisturbed, the same command carries it out.
    project.secure(FILE, &["--allow-unseen"]).run().succeeded();
    assert_eq!(project.text(FILE), written.replace(" -c ssl=off", ""));
    let rows = project.psql("verify-full").run("SELECT count(*) FROM kept").succeeded();
    assert_eq!(rows.stdout(), "10000\n");
}

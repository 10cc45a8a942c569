//! A compose file, with its service or without, is a TARGET of `client`, `modes` and `sessions`: what is handed out connects
//! with TLS, and what is told is of the service's server.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Projected, Psql, Ran, Schema, USUAL_FILE, USUAL_PROJECT, images_in_turn, record};

/// Beside it, and of the same image.
const CACHE: &str = "  cache:
    image: @IMAGE@
    command: sleep 600
";

/// The usual project with a service more, in which the server's is called db.
fn with_a_cache() -> String {
    USUAL_PROJECT.replace("  postgres:\n", &format!("{CACHE}  db:\n"))
}

#[track_caller]
fn told(schema: &str, ran: &Ran) -> Value {
    let value = ran.json();
    Schema::of(schema).admits(&value);
    value
}

#[test]
fn what_is_told_of_a_compose_file_is_of_its_services_server() {
    let image = images_in_turn(0).remove(0);
    let project = Projected::new(2);
    // From 18 on the data lies in a folder of its version below the mount.
    let data = if image.contains(":18") { "" } else { "/data" };
    project.file(USUAL_FILE, &with_a_cache().replace("@IMAGE@", &image).replace("@DATA@", data));
    project.up();
    project.wait_until_it_answers();
    let named = format!("{USUAL_FILE}#db");
    project.secure(&named, &["--enforce"]).run().succeeded();
    for target in [named.as_str(), "compose:compose.yaml#db"] {
        let ran = project.verb("client", target, &["--format", "json"]).run().succeeded();
        let handed = told("client", &ran.never_mentions("securepassword"));
        let seen = (&handed["verified"], &handed["ca"]["from"], &handed["port"], &handed["username"]);
        assert_eq!(
            seen,
            (&json!(true), &json!("server"), &json!(project.port()), &json!("admin")),
            "{handed:#}"
        );
        let theirs = fs::read_to_string(project.dir().join("ca/server-ca.crt")).unwrap();
        assert_eq!(handed["ca"]["pem"].as_str().unwrap().trim(), theirs.trim());
    }
    // With the CA where the text says that it is, the text connects.
    let ca = project.dir().join("theirs.crt");
    let words = ["--ca-path", ca.to_str().unwrap(), "-d", "mydb", "--format", "json"];
    let handed = told("client", &project.verb("client", &named, &words).run().succeeded());
    fs::write(&ca, handed["ca"]["pem"].as_str().unwrap()).unwrap();
    let psql = Psql::to(handed["libpq"]["uri"].as_str().unwrap()).env("PGPASSWORD", "securepassword");
    let ran = psql.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").succeeded();
    assert_eq!(ran.stdout().trim(), "t");

    // An application of the same project, with the lines that it is told: it verifies the service by its name.
    let words = ["--compose", "-d", "mydb", "--format", "json"];
    let handed = told("client", &project.verb("client", &named, &words).run().succeeded());
    fs::write(project.dir().join("ca.crt"), handed["ca"]["pem"].as_str().unwrap()).unwrap();
    let lines = handed["compose"].as_str().unwrap();
    let app = lines.replace("  app:\n", &format!("  app:\n    image: {image}\n"));
    project.file("app.yaml", &app);
    let both =
        ["-f", USUAL_FILE, "-f", "app.yaml", "run", "--rm", "-T", "-e", "PGPASSWORD=securepassword", "app"];
    let psql = ["psql", "-X", "-A", "-t", "-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"];
    let ran = project.compose(&[both.as_slice(), psql.as_slice()].concat()).succeeded();
    assert_eq!(ran.stdout().trim(), "t", "{lines}");

    let modes = told("modes", &project.verb("modes", &named, &["--format", "json"]).run().succeeded());
    let rows = modes["rows"].as_array().unwrap();
    let row = |sslmode: &str, root: &str| {
        rows.iter()
            .find(|row| row["sslmode"] == sslmode && row["root"] == root)
            .unwrap_or_else(|| panic!("{modes:#}"))
    };
    assert_eq!(row("verify-full", "given")["outcome"], "tls", "{modes:#}");
    assert_eq!(row("disable", "none")["outcome"], "refused", "{modes:#}");

    let sessions = project.verb("sessions", &named, &["--format", "json"]).run().succeeded();
    Schema::of("sessions").admits(&sessions.json());
    // Of two services neither is guessed at.
    project.verb("client", &format!("{USUAL_FILE}#dbb"), &[]).run().complains("dbb");
    record("a compose file is a target of what only looks", 1);
}

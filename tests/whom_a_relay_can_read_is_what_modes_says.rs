//! A relay of our own stands between psql and a server that takes TLS only. Whatever it manages to read, `pgseal modes`
//! has said that somebody in the middle could; and what it has said could not be read is not.

use std::sync::Arc;

use serde_json::Value;

use crate::harness::{
    Case, Forge, Install, Minted, PASSWORD, Pgseal, Psql, Relay, SUPERUSER, Sandbox, Server, Trick, record,
    versions,
};

const STATEMENT: &str = "SELECT 'the crown jewels'";

/// What relays manage with a client of this kind, by whose certificate they have.
fn read_by(server: &Server, install: &Install, client: &str, tricks: &[Trick]) -> bool {
    tricks.iter().any(|trick| {
        let relay = Relay::to(server.port(), trick.clone());
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={SUPERUSER} dbname=postgres gssencmode=disable {client}",
            relay.port()
        );
        Psql::to(conninfo).of(install).env("PGPASSWORD", PASSWORD).run(STATEMENT);
        relay.read(STATEMENT)
    })
}

#[test]
fn whom_a_relay_can_read_is_what_modes_says() {
    let minted = Minted::new();
    let sandbox = Sandbox::new();
    let strangers = Arc::new(Forge::new("nobody's CA").leaf(&["localhost", "127.0.0.1"]));
    let siblings = Arc::new(minted.ours.leaf(&["elsewhere.example.org"]));
    let without = [Trick::Decline, Trick::Present(Arc::clone(&strangers)), Trick::AskInClear(strangers)];
    let with = [Trick::Present(Arc::clone(&siblings)), Trick::AskInClear(siblings)];
    let right = minted.right(Case::Good);
    let newest = *versions().last().expect("there is a version");
    let install = Install::of(newest);
    let server = minted.server(Case::HostsslOnly, install.clone());
    let mut seen = Vec::new();
    for binding in [
        "channel_binding=prefer",
        "channel_binding=require",
        "channel_binding=prefer require_auth=scram-sha-256",
    ] {
        let target = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={SUPERUSER} dbname=postgres {binding}",
            server.port()
        );
        let told = Pgseal::new(&sandbox)
            .args(["modes", &target, "--format", "json", "--sslrootcert"])
            .arg(&right)
            .run()
            .succeeded()
            .json();
        for row in told["rows"].as_array().expect("rows") {
            let (mode, root) =
                (row["sslmode"].as_str().expect("a mode"), row["root"].as_str().expect("roots"));
            let file = match root {
                "none" => "/nonexistent".to_owned(),
                "given" => right.display().to_string(),
                // A wrong root is the client's own trouble, and the system's store knows none of these.
                _ => continue,
            };
            let client = format!("sslmode={mode} sslrootcert='{file}' {binding}");
            let expected: &Value = &row["attacker"]["verdict"];
            let by_anybody = read_by(&server, &install, &client, &without);
            let by_siblings = !by_anybody && read_by(&server, &install, &client, &with);
            let found = match (by_anybody, by_siblings, expected.as_str()) {
                (true, ..) => "relay",
                (_, true, _) => "pose-with-certificate-of-same-ca",
                (_, _, Some(nothing @ ("nothing" | "nothing-at-login"))) => nothing,
                _ => "nothing",
            };
            assert_eq!(expected, found, "{client}");
            seen.push(found.to_owned());
            record("a relay reads whom modes says it reads", 1);
        }
    }
    for verdict in ["relay", "pose-with-certificate-of-same-ca", "nothing", "nothing-at-login"] {
        assert!(seen.iter().any(|one| one == verdict), "{verdict} was never met: {seen:?}");
    }
}

//! Programs read a scan by docs/schema/scan.json: of a server with TLS, without, and of nobody. JSON Lines are the same,
//! an object a line.

use serde_json::Value;

use crate::harness::{Install, Key, Pgseal, Port, Sandbox, Schema, Server, TlsServer, record};

const PROMISE: &str = "a scan is printed as its schema says";

fn admitted(value: &Value) -> &Value {
    Schema::of("scan").admits(value);
    record(PROMISE, 1);
    &value["targets"][0]
}

#[test]
fn json_is_as_its_schema_says() {
    let server = TlsServer::with(&Install::of(18), Key::Ecdsa, |setup| {
        setup.hba("local all all trust\nhostnossl all all all reject\nhostssl all all all scram-sha-256\n")
    });
    let ca = server.ca_file();
    let ran = server.scan(&["--format", "json", "--sslrootcert", ca.to_str().unwrap()]).succeeded();
    let whole = ran.json();
    let row = admitted(&whole);
    assert_eq!(row["speaks"], "postgresql");
    assert_eq!(row["version_estimate"]["versions"], "18");
    assert_eq!(row["tls"]["direct"]["offered"], true);
    assert_eq!(row["tls"]["negotiated"]["alpn"], "postgresql");
    assert_eq!(row["authentication"]["plaintext"]["result"], "refused-reject");
    assert_eq!(row["authentication"]["tls"]["result"], "scram-sha-256-plus");
    assert_eq!(row["authentication"]["replication"]["plaintext"]["result"], "refused-no-line");
    assert_eq!(row["authentication"]["replication"]["tls"]["result"], "refused-no-line");
    assert_eq!(
        (&row["chain"]["trusted"], &row["chain"]["name_matches_strict"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    assert_eq!(row["grade"], "B", "{row:#}");

    let quick = server.scan(&["--quick", "--format", "json"]).succeeded().json();
    let row = admitted(&quick);
    assert!(row["connections"].as_u64().unwrap() <= 6, "{row:#}");
    assert_eq!(row["tls"]["negotiated"]["version"], "TLSv1.3");
    assert_eq!(row["chain"]["certificates"][0]["days_left"], 364);
    assert_eq!(row["authentication"]["plaintext"]["let_in"], false);
}

#[test]
fn a_server_without_tls_is_told_from_nobody() {
    let plain = Server::of(15);
    let sandbox = Sandbox::new();
    let nobody = Port::free();
    let targets = [
        format!("127.0.0.1:{}", plain.port()),
        format!("[::1]:{}", nobody.number()),
        "no-such-host.invalid".to_owned(),
    ];
    let scan = |format: &str| {
        Pgseal::new(&sandbox)
            .arg("scan")
            .args(targets.clone())
            .args(["--format", format, "--timeout", "20s"])
            .run()
            .ended(1)
    };
    let whole = scan("json").json();
    let without = admitted(&whole);
    assert_eq!((&without["tls"]["offered"], &without["grade"]), (&Value::Bool(false), &Value::from("F")));
    assert_eq!(without["findings"][0]["name"], "tls-off");
    assert_eq!(without["authentication"]["plaintext"]["result"], "scram-sha-256");
    for row in &whole["targets"].as_array().unwrap()[1..] {
        assert_eq!(
            (&row["reachable"], &row["speaks"], &row["grade"]),
            (&Value::Bool(false), &Value::Null, &Value::Null)
        );
    }
    assert_eq!(whole["targets"][1]["reason"], "Connection refused");

    let lines = scan("jsonl");
    let rows: Vec<Value> = lines.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    let together = serde_json::json!({"schema_version": 1, "targets": rows});
    admitted(&together);
}

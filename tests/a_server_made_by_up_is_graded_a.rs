//! A server that `pgseal up` made gets the best grade there is, from outside and without a password; one without TLS the
//! worst, whether it is off or was never built in.

use serde_json::Value;

use crate::harness::{Install, Pgseal, Sandbox, Schema, Sealed, Server, record, versions};

const PROMISE: &str = "a server made by up is graded A";

fn scanned(sandbox: &Sandbox, port: u16, words: &[&str], ends: i32) -> Value {
    let ran = Pgseal::new(sandbox)
        .args(["scan", &format!("localhost:{port}"), "--format", "json", "--timeout", "40s"])
        .args(["--target-timeout", "5m"])
        .args(words.iter().copied())
        .run()
        .ended(ends);
    let whole = ran.json();
    Schema::of("scan").admits(&whole);
    whole["targets"][0].clone()
}

#[test]
fn a_sealed_server_gets_an_a_whole_and_quick() {
    for version in versions() {
        let server = Sealed::of(*version);
        let ca = server.fact("ca_file").to_owned();
        let sandbox = Sandbox::new();
        for words in [&["--fail-on", "low"][..], &["--fail-on", "low", "--quick"]] {
            let words = [words, &["--sslrootcert", ca.as_str()]].concat();
            let row = scanned(&sandbox, server.port(), &words, 0);
            assert_eq!(row["grade"], "A", "{version}, {words:?}: {:#}", row["findings"]);
            assert_eq!(row["authentication"]["plaintext"]["let_in"], false, "{row:#}");
            assert_eq!(row["authentication"]["replication"]["plaintext"]["let_in"], false, "{row:#}");
            assert_eq!(row["authentication"]["tls"]["result"], "scram-sha-256-plus", "{row:#}");
            assert_eq!(row["chain"]["trusted"], true, "{row:#}");
            record(PROMISE, 1);
        }
    }
}

#[test]
fn a_server_without_tls_gets_an_f_however_it_came_to_that() {
    let sandbox = Sandbox::new();
    let off = Server::with(Install::of(18)).conf("ssl = off").start();
    let never = Server::with(Install::without_ssl()).start();
    for server in [&off, &never] {
        let row = scanned(&sandbox, server.port(), &[], 1);
        assert_eq!((&row["grade"], &row["speaks"]), (&"F".into(), &"postgresql".into()), "{row:#}");
        assert_eq!((&row["tls"]["offered"], &row["chain"]), (&Value::Bool(false), &Value::Null));
        assert_eq!(row["findings"][0]["name"], "tls-off", "{:#}", row["findings"]);
        assert_eq!(row["authentication"]["plaintext"]["result"], "scram-sha-256");
        for protocol in row["protocols"].as_array().unwrap() {
            assert_ne!(protocol["accepted"], true, "{protocol}");
        }
        record(PROMISE, 1);
    }
}

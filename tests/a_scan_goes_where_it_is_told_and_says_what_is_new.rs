//! Lists of targets, all addresses of a name, a name to send, a pace, and an earlier scan to compare with: each as it is
//! documented; and what names nobody or is no policy is refused before anybody is connected to.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Account, Install, Key, Pgseal, Ran, Sandbox, TlsServer, record};

const PROMISE: &str = "a scan goes where it is told, and says what is new";

fn scan(sandbox: &Sandbox, words: &[&str], stdin: &str) -> Ran {
    Pgseal::new(sandbox)
        .args(["scan", "--timeout", "40s", "--target-timeout", "5m"])
        .args(words.iter().copied())
        .stdin(stdin)
        .limit(Duration::from_secs(300))
        .run()
}

#[test]
fn lists_have_comments_and_each_server_is_scanned_once() {
    let server = TlsServer::of(15);
    let (sandbox, port) = (Sandbox::new(), server.port());
    let list =
        format!("# ours\n127.0.0.1:{port}\n\n  [::1]:{port}  # by its other address\n127.0.0.1:{port}\n");
    let words = ["--targets", "-", "--quick", "--format", "jsonl", "--fail-on", "never"];
    let ran = scan(&sandbox, &words, &list).succeeded();
    let mut targets: Vec<String> = Vec::new();
    for line in ran.stdout().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        targets.push(row["target"].as_str().unwrap().to_owned());
    }
    targets.sort_unstable();
    assert_eq!(targets, [format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
    ran.complains("1 targets were named more than once");

    // Of a name every address, where that is asked for.
    let words = ["--all-addresses", "--quick", "--format", "json", "--fail-on", "never"];
    let name = format!("localhost:{port}");
    let whole = scan(&sandbox, &[&words[..], &[&name]].concat(), "").succeeded().json();
    for row in whole["targets"].as_array().unwrap() {
        assert_eq!(
            (&row["target"], &row["reachable"]),
            (&name.as_str().into(), &Value::Bool(true)),
            "{row:#}"
        );
    }
    // People are told how many there were, and how fast that went.
    let both = [format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    scan(&sandbox, &["--quick", "--fail-on", "never", &both[0], &both[1]], "")
        .succeeded()
        .says("2 targets in ")
        .says("2 answered");
    record(PROMISE, 3);
}

#[test]
fn what_names_nobody_or_is_no_policy_is_refused() {
    let sandbox = Sandbox::new();
    let policy = sandbox.file_of(
        &Account::current(),
        "policy.toml",
        0o644,
        "name = \"own\"\nmin_protocol = \"TLSv1.2\"\nmin_protcol = \"TLSv1.3\"\n",
    );
    let policy = policy.to_str().unwrap();
    for (words, list, said) in [
        (&["--targets", "-"][..], "# nobody\n\n", "names no target"),
        (&["--targets", "-"], "db1\ndb2:x\n", "line 2"),
        (&["--targets", "/nowhere/at/all"], "", "could not read"),
        (&["10.0.0.0/30"], "", "--cidr"),
        (&["127.0.0.1", "--policy", policy], "", "min_protcol"),
        (&["127.0.0.1", "--policy", "strict"], "", "strict"),
        (&["127.0.0.1", "--delay", "5"], "", "such as 50ms"),
        (&["127.0.0.1", "--baseline", "/nowhere/at/all"], "", "could not read the baseline"),
    ] {
        let ran = scan(&sandbox, words, list);
        assert!(ran.code() != Some(0) && ran.stdout().is_empty(), "{ran}");
        ran.complains(said);
        record(PROMISE, 1);
    }
}

#[test]
fn a_name_to_send_is_sent_and_a_pace_is_kept() {
    let server = TlsServer::with(&Install::of(15), Key::Ecdsa, |setup| setup.conf("log_connections = on"));
    // Whatever is sent, the name that clients would verify is that of the target.
    let scanned = server.scanned(&["--quick", "--sni", "another.example", "--delay", "30ms"]);
    assert_eq!(scanned["chain"]["name_matches_libpq"], true, "{scanned:#}");
    let connections = scanned["connections"].as_u64().unwrap();
    // Between the first and the last there are that many pauses.
    assert!(scanned["duration_ms"].as_u64().unwrap() >= 30 * (connections - 1), "{scanned:#}");
    let seen = server.log_text().matches("connection received").count() as u64;
    // The harness itself looks whether the server is up, over its socket.
    let local = server.log_text().matches("connection received: host=[local]").count() as u64;
    assert_eq!(seen - local, connections, "{}", server.log_text());
    record(PROMISE, 1);
}

#[test]
fn a_baseline_leaves_what_is_new_or_worse() {
    let server = TlsServer::with(&Install::of(15), Key::Ecdsa, |setup| {
        setup.hba("local all all trust\nhost all all all scram-sha-256\n")
    });
    let before = server.scan(&["--quick", "--format", "json", "--fail-on", "never"]).succeeded();
    let file = server.sandbox().file_of(&Account::current(), "before.json", 0o644, before.stdout());
    let words = ["--quick", "--format", "json", "--baseline", file.to_str().unwrap()];
    let same = server.scan(&words).succeeded().json();
    let row = &same["targets"][0];
    assert_eq!(row["findings"].as_array().unwrap().len(), 0, "{row:#}");
    assert!(row["findings_known_before"].as_u64().unwrap() > 0, "{row:#}");

    server.write_hba("local all all trust\nhost all all all trust\n");
    server.reload();
    server.wait_for_log("received SIGHUP");
    let end = std::time::Instant::now() + Duration::from_secs(20);
    let worse = loop {
        let worse = server.scan(&words).json();
        if worse["targets"][0]["authentication"]["plaintext"]["result"] == "trust" {
            break worse;
        }
        assert!(std::time::Instant::now() < end, "the rules were reloaded");
    };
    let found = worse["targets"][0]["findings"].as_array().unwrap();
    let names: Vec<&str> = found.iter().map(|finding| finding["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["plaintext-accepted", "trust-accepted"], "{worse:#}");
    record(PROMISE, 2);
}

//! Whoever wants to log in gets in while a server is scanned over and over, with twenty places for sessions in all; and a
//! server that is full is waited for, until all is found out.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{APP, APP_PASSWORD, Install, Key, Pgseal, Storm, TlsServer, record, samples, versions};

const PROMISE: &str = "a scan takes nobody's place";
const HBA: &str =
    "local all all trust\nhost all all all scram-sha-256\nhost replication all all scram-sha-256\n";

fn server(version: u32, conf: &str) -> TlsServer {
    let server = TlsServer::with(&Install::of(version), Key::Ecdsa, |setup| setup.hba(HBA).conf(conf));
    server.sql(&format!(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE {APP} LOGIN PASSWORD '{}'",
        APP_PASSWORD.replace('\'', "''")
    ));
    server
}

#[test]
fn nobody_is_refused_while_a_server_is_scanned_over_and_over() {
    for version in versions() {
        let server = server(*version, "max_connections = 20\nmax_wal_senders = 4");
        let storm = Storm::at(server.port(), 4);
        for _ in 0..samples(20) {
            let scanned = server.scanned(&[]);
            assert_eq!(scanned["unfinished"], Value::Null, "{scanned:#}");
            storm.wait_for_more(1);
        }
        let logins = storm.nobody_was_refused();
        assert!(!server.log_text().contains("too many clients"), "{}", server.log_text());
        record(PROMISE, logins);
    }
}

#[test]
fn a_full_server_is_waited_for_until_all_is_found_out() {
    let server = server(15, "max_connections = 6\nmax_wal_senders = 0\nsuperuser_reserved_connections = 0");
    let alone = server.scanned(&[]);
    let held: Vec<TcpStream> = (0..6).map(|_| parked(server.port())).collect();
    let target = format!("localhost:{}", server.port());
    let scan = Pgseal::new(server.sandbox())
        .args(["scan", &target, "--format", "json", "--fail-on", "never"])
        .args(["--timeout", "40s", "--target-timeout", "5m"])
        .start();
    // Refused once at least, as the server's own log has it.
    server.wait_for_log("sorry, too many clients already");
    drop(held);
    let ran = scan.wait(Duration::from_secs(300)).succeeded();
    let scanned = &ran.json()["targets"][0];
    assert!(scanned["waited_for_room"].as_u64().unwrap() > 0, "{scanned:#}");
    for part in ["protocols", "suites", "groups", "authentication", "grade", "unfinished"] {
        assert_eq!(scanned[part], alone[part], "{part}");
    }
    record(PROMISE, 1);
}

/// Somebody who is asked for a password, and takes their time: one of `max_connections` is theirs.
fn parked(port: u16) -> TcpStream {
    let words = format!("user\0{APP}\0database\0postgres\0\0");
    let length = u32::try_from(words.len() + 8).expect("a short packet");
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    let packet = [&length.to_be_bytes()[..], &[0, 3, 0, 0], words.as_bytes()].concat();
    socket.write_all(&packet).expect("the server takes a startup packet");
    let mut answer = [0];
    socket.read_exact(&mut answer).expect("the server answers it");
    assert_eq!(answer, *b"R", "it should ask for a password");
    socket
}

#[test]
fn nothing_is_left_in_a_log_by_a_handshake_that_ended() {
    let server = server(15, "");
    let scanned = server.scanned(&["--quick"]);
    let told = scanned["log_lines"].as_u64().unwrap();
    let lines = server.log_text();
    let left =
        lines.lines().filter(|line| line.contains("could not accept SSL") || line.contains("FATAL")).count();
    assert!(left as u64 <= told, "{left} lines where {told} were told:\n{lines}");
    assert!(!lines.contains("could not receive data"), "handshakes are closed politely:\n{lines}");
    record(PROMISE, 1);
}

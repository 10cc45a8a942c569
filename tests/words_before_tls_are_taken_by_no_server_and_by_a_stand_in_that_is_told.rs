//! CVE-2021-23214: what somebody on the way puts behind `SSLRequest`, in clear, is no word of the client. Servers refuse it;
//! a stand-in that takes it, as servers did before they were mended, is told. None is asked but with `--intrusive`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::harness::{
    Forge, Pgseal, Sandbox, Schema, StandIn, TlsServer, asks_scram, named_and_gone_on, record, refuses, tls,
    versions,
};

const PROMISE: &str = "words before TLS are told from a client's own";

#[test]
fn a_server_refuses_words_before_tls() {
    for version in versions() {
        let server = TlsServer::of(*version);
        let scanned = server.scanned(&["--intrusive"]);
        let told = &scanned["intrusive"];
        let said = told["stuffing_said"].as_str().unwrap();
        if *version < 17 {
            assert_eq!(told["stuffing"], "refused", "{told:#}");
            assert!(said.contains("received unencrypted data after SSL request"), "{said}");
            assert_eq!(scanned["tls"]["direct"]["without_alpn"], Value::Null, "{scanned:#}");
        } else {
            assert_eq!(told["stuffing"], "hung-up", "{told:#}");
            assert_eq!(scanned["tls"]["direct"]["without_alpn"], false, "{scanned:#}");
        }
        assert_eq!(told["stray_bytes"], "hung-up", "{told:#}");
        assert_eq!(finding(&scanned), None, "{scanned:#}");
        record(PROMISE, 1);
    }
}

#[test]
fn a_stand_in_that_takes_them_is_told_from_one_that_passes_over_them() {
    let sandbox = Sandbox::new();
    let (takes, passes) = (stand_in_that(true), stand_in_that(false));
    let targets = [&takes, &passes].map(|one| format!("127.0.0.1:{}", one.port()));
    let scan = |words: &[&str]| {
        Pgseal::new(&sandbox)
            .arg("scan")
            .args(targets.clone())
            .args(["--timeout", "30s", "--target-timeout", "5m", "--fail-on", "never"])
            .args(words.iter().copied())
            .run()
            .succeeded()
    };
    let whole = scan(&["--intrusive", "--format", "json"]).json();
    Schema::of("scan").admits(&whole);
    let [taken, passed] = [&whole["targets"][0], &whole["targets"][1]];
    assert_eq!(taken["intrusive"]["stuffing"], "taken", "{taken:#}");
    assert_eq!((finding(taken).as_deref(), &taken["grade"]), (Some("critical"), &Value::from("F")));
    assert_eq!(passed["intrusive"]["stuffing"], "ignored", "{passed:#}");
    assert_eq!(finding(passed), None, "{passed:#}");
    scan(&["--intrusive"]).says("taken for words under TLS: FATAL:  unsupported").says("passed over");
    record(PROMISE, 2);
    let all = taken["findings"].as_array().unwrap();
    let evidence = all.iter().find(|one| one["name"] == "stuffing-accepted").unwrap()["evidence"].as_str();
    named_and_gone_on("stuffing-accepted", "a stand-in, by `pgseal scan --intrusive`", evidence.unwrap());

    // Nobody asks unasked.
    let unasked = scan(&["--format", "json"]).json();
    assert_eq!(unasked["targets"][0]["intrusive"], Value::Null);
    assert_eq!(finding(&unasked["targets"][0]), None);
}

/// How bad the finding is, where it is found.
fn finding(scanned: &Value) -> Option<String> {
    let all = scanned["findings"].as_array().unwrap();
    let found = all.iter().find(|finding| finding["name"] == "stuffing-accepted")?;
    found["severity"].as_str().map(str::to_owned)
}

/// Speaks as PostgreSQL does until somebody is asked for a password, and keeps what came behind `SSLRequest` for the first
/// word under TLS, or does not.
fn stand_in_that(takes: bool) -> StandIn {
    let config = Arc::new(tls(&Forge::new("the stand-in's").leaf(&["127.0.0.1"])));
    // Most questions end in the middle of a handshake.
    StandIn::serving(move |client| {
        serve(client, Arc::clone(&config), takes).ok();
    })
}

fn serve(mut client: TcpStream, config: Arc<ServerConfig>, takes: bool) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut buffer = [0; 4096];
    let count = client.read(&mut buffer)?;
    let (first, behind) = buffer[..count].split_at_checked(8).ok_or(io::ErrorKind::InvalidData)?;
    match first {
        [0, 0, 0, 8, 4, 210, 22, 47] => {}
        [0, 0, 0, 8, 4, 210, 22, 48] => {
            client.write_all(b"N")?;
            let count = client.read(&mut buffer)?;
            return client.write_all(&answer(&buffer[..count]));
        }
        _ => return client.write_all(&answer(&buffer[..count])),
    }
    client.write_all(b"S")?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut inside = StreamOwned::new(connection, client);
    inside.conn.complete_io(&mut inside.sock)?;
    let words = if takes && !behind.is_empty() {
        answer(behind)
    } else {
        let mut startup = [0; 4096];
        let count = inside.read(&mut startup)?;
        answer(&startup[..count])
    };
    inside.write_all(&words)?;
    inside.flush()?;
    // Until it is ended politely.
    inside.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// To a startup packet.
fn answer(packet: &[u8]) -> Vec<u8> {
    match packet.get(4..8) {
        Some([0, 4, 0, 0]) => {
            refuses("0A000", "unsupported frontend protocol 4.0: server supports 3.0 to 3.0")
        }
        Some([0, 3, ..]) => asks_scram(),
        _ => refuses("08P01", "invalid length of startup packet"),
    }
}

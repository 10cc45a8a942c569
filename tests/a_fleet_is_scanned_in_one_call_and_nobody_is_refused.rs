//! Real servers on many addresses, stand-ins that speak the handshake, ports where nobody listens and some that never say a
//! word, all in one call: each is told for what it is, in bounded memory, and nobody who logs in meanwhile is refused.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::harness::{
    APP, APP_PASSWORD, Forge, Install, Key, Pgseal, Port, Sandbox, Schema, StandIn, Storm, TlsServer,
    asks_scram, record, samples, tls, versions,
};

const PROMISE: &str = "a fleet is scanned in one call, and nobody is refused";
const HBA: &str =
    "local all all trust\nhost all all all scram-sha-256\nhost replication all all scram-sha-256\n";
/// Addresses of one server: PostgreSQL listens on 64 at most.
const ADDRESSES: u32 = 60;
/// For all of it, in KiB of data.
const MEMORY: u32 = 150 << 10;

#[test]
fn everybody_is_told_for_what_they_are() {
    // Six of ten are servers, two stand-ins, two nobody.
    let all = samples(1000);
    let mut targets: Vec<(String, &str)> = Vec::new();
    let mut real = Vec::new();
    while targets.len() < (all * 6 / 10) as usize {
        let version = versions()[real.len() % versions().len()];
        let server = listening_widely(version);
        let left = all * 6 / 10 - u32::try_from(targets.len()).expect("a few");
        targets.extend((0..ADDRESSES.min(left)).map(|nth| (address(nth, &server), "postgresql")));
        real.push(server);
    }
    let certificate = Forge::new("the stand-ins'").leaf(&["127.0.0.1"]);
    let config = Arc::new(tls(&certificate));
    let stand_ins: Vec<StandIn> = (0..all / 5).map(|_| stand_in(Arc::clone(&config))).collect();
    targets.extend(stand_ins.iter().map(|one| (format!("127.0.0.1:{}", one.port()), "stand-in")));
    let dead: Vec<Port> = (0..all / 5 - 2).map(|_| Port::free()).collect();
    targets.extend(dead.iter().map(|port| (format!("127.0.0.1:{}", port.number()), "nobody")));
    let silent: Vec<StandIn> = (0..2).map(|_| StandIn::serving(says_nothing)).collect();
    targets.extend(silent.iter().map(|one| (format!("127.0.0.1:{}", one.port()), "silent")));

    let list: String = targets.iter().map(|(target, _)| format!("{target}\n")).collect();
    let storms: Vec<Storm> = real.iter().take(2).map(|server| Storm::at(server.port(), 2)).collect();
    let sandbox = Sandbox::new();
    let ran = Pgseal::new(&sandbox)
        .args(["scan", "--targets", "-", "--quick", "--format", "jsonl", "--jobs", "64"])
        .args(["--timeout", "20s", "--target-timeout", "60s", "--fail-on", "never"])
        .stdin(list)
        .through(format!("ulimit -d {MEMORY}; exec \"$@\""))
        .limit(Duration::from_secs(600))
        .run()
        .ended(3);
    for storm in &storms {
        storm.wait_for_more(1);
    }
    let logins: u32 = storms.into_iter().map(Storm::nobody_was_refused).sum();
    check(
        &ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>(),
        &targets,
    );
    record(PROMISE, all);
    record("nobody is refused while a fleet is scanned", logins);
}

fn check(rows: &[Value], targets: &[(String, &str)]) {
    assert_eq!(rows.len(), targets.len());
    Schema::of("scan").admits(&serde_json::json!({"schema_version": 1, "targets": &rows[..20]}));
    for (target, what) in targets {
        let row = rows.iter().find(|row| row["target"] == target.as_str());
        let row = row.unwrap_or_else(|| panic!("{target} was scanned"));
        let told = (&row["reachable"], &row["speaks"], &row["tls"]["offered"]);
        let (yes, no, null) = (Value::Bool(true), Value::Bool(false), Value::Null);
        match *what {
            "postgresql" => {
                assert_eq!(told, (&yes, &"postgresql".into(), &yes), "{row:#}");
                assert_eq!(row["tls"]["negotiated"]["version"], "TLSv1.3", "{row:#}");
                assert_eq!(row["authentication"]["plaintext"]["result"], "scram-sha-256", "{row:#}");
                assert_eq!(row["grade_set_by"], "plaintext-accepted", "{row:#}");
            }
            "stand-in" => assert_eq!((told.0, told.2), (&yes, &yes), "{row:#}"),
            "silent" => assert_eq!((told.0, told.2), (&yes, &null), "{row:#}"),
            _ => assert_eq!((told.0, &row["reason"]), (&no, &"Connection refused".into()), "{row:#}"),
        }
        assert!(row["connections"].as_u64().unwrap() <= 6, "{row:#}");
    }
}

/// A server on many addresses of the loopback, with an application's role.
fn listening_widely(version: u32) -> TlsServer {
    let addresses: Vec<String> = (0..ADDRESSES).map(|nth| format!("127.1.0.{}", nth + 1)).collect();
    let conf = format!("listen_addresses = '127.0.0.1,::1,{}'", addresses.join(","));
    let server = TlsServer::with(&Install::of(version), Key::Ecdsa, |setup| setup.hba(HBA).conf(&conf));
    server.sql(&format!(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE {APP} LOGIN PASSWORD '{}'",
        APP_PASSWORD.replace('\'', "''")
    ));
    server
}

fn address(nth: u32, server: &TlsServer) -> String {
    format!("127.1.0.{}:{}", nth + 1, server.port())
}

fn says_nothing(mut guest: TcpStream) {
    guest.set_read_timeout(Some(Duration::from_secs(120))).ok();
    guest.read_to_end(&mut Vec::new()).ok();
}

/// S, a handshake, and whoever comes is asked for SCRAM; in clear, too.
fn stand_in(config: Arc<ServerConfig>) -> StandIn {
    StandIn::serving(move |guest| {
        // Most questions end in the middle of a handshake.
        serve(guest, Arc::clone(&config)).ok();
    })
}

fn serve(mut guest: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    guest.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut packet = [0; 4096];
    let count = guest.read(&mut packet)?;
    if packet[..count] != [0, 0, 0, 8, 4, 210, 22, 47] {
        return guest.write_all(&asks_scram());
    }
    guest.write_all(b"S")?;
    let mut inside = StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, guest);
    if inside.read(&mut packet)? > 0 {
        inside.write_all(&asks_scram())?;
        inside.flush()?;
    }
    inside.read_to_end(&mut Vec::new())?;
    Ok(())
}

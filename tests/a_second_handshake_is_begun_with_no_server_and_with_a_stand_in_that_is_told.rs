//! Renegotiation at a client's wish, inside a session of TLS 1.2: PostgreSQL refuses it, and is seen to. That it is told
//! where it is granted is shown on a stand-in: openssl's own server with `-client_renegotiation`, behind somebody who
//! answers `SSLRequest` in PostgreSQL's place.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::harness::{
    Account, Forge, Pgseal, Sandbox, Schema, StandIn, TlsServer, record, refuses, versions,
};

const PROMISE: &str = "a second handshake at a client's wish is told";

#[test]
fn a_server_refuses_a_second_handshake() {
    for version in versions() {
        let server = TlsServer::of(*version);
        let scanned = server.scanned(&["--intrusive"]);
        assert_eq!(scanned["intrusive"]["renegotiation"], "refused", "{scanned:#}");
        assert!(!is_found(&scanned), "{scanned:#}");
        server
            .scan(&["--intrusive", "--fail-on", "never"])
            .succeeded()
            .says("refused: alert no_renegotiation");
        record(PROMISE, 1);
    }
}

#[test]
fn a_server_that_speaks_tls_1_3_alone_has_nothing_to_refuse() {
    for version in versions() {
        let install = crate::harness::Install::of(*version);
        let server = TlsServer::with(&install, crate::harness::Key::Ecdsa, |setup| {
            setup.conf("ssl_min_protocol_version = 'TLSv1.3'")
        });
        let scanned = server.scanned(&["--intrusive"]);
        assert_eq!(scanned["intrusive"]["renegotiation"], "not-applicable", "{scanned:#}");
        record(PROMISE, 1);
    }
}

#[test]
fn a_stand_in_that_grants_it_is_told() {
    let sandbox = Sandbox::new();
    let leaf = Forge::new("the stand-in's").leaf(&["127.0.0.1"]);
    let pem = sandbox.file_of(&Account::current(), "stand-in.pem", 0o600, &leaf.one_pem());
    for (words, expected) in [(&["-client_renegotiation"][..], "entered"), (&[][..], "refused")] {
        let (pem, words) = (pem.clone(), words.to_vec());
        let stand_in = StandIn::serving(move |client| {
            serve(client, &pem, &words).ok();
        });
        let whole = Pgseal::new(&sandbox)
            .args(["scan", &format!("127.0.0.1:{}", stand_in.port()), "--intrusive", "--format", "json"])
            .args(["--timeout", "30s", "--target-timeout", "5m", "--fail-on", "never"])
            .run()
            .succeeded()
            .json();
        Schema::of("scan").admits(&whole);
        let told = &whole["targets"][0];
        assert_eq!(told["intrusive"]["renegotiation"], expected, "{told:#}");
        assert_eq!(is_found(told), expected == "entered", "{told:#}");
        record(PROMISE, 1);
    }
}

fn is_found(scanned: &Value) -> bool {
    let all = scanned["findings"].as_array().unwrap();
    all.iter().any(|finding| finding["name"] == "renegotiation-by-client")
}

/// Each that asks for TLS gets a server of openssl's for itself, which says one word of PostgreSQL's under TLS.
fn serve(mut client: TcpStream, pem: &Path, words: &[&str]) -> io::Result<()> {
    let mut request = [0; 8];
    client.read_exact(&mut request)?;
    match request[4..] {
        [4, 210, 22, 47] => client.write_all(b"S")?,
        [4, 210, 22, 48] => client.write_all(b"N")?,
        _ => {}
    }
    if request[4..] != [4, 210, 22, 47] {
        return client.write_all(&refuses("28000", "no pg_hba.conf entry for a stand-in"));
    }
    let mut openssl = OpensslServer::started(pem, words)?;
    let inside = TcpStream::connect(&openssl.address)?;
    let (mut there, mut back) = (inside.try_clone()?, client.try_clone()?);
    let answers = thread::spawn(move || {
        let mut inside = inside;
        io::copy(&mut inside, &mut back).ok();
        back.shutdown(Shutdown::Both).ok();
    });
    io::copy(&mut client, &mut there).ok();
    there.shutdown(Shutdown::Both).ok();
    answers.join().ok();
    openssl.child.kill().and_then(|()| openssl.child.wait().map(drop))
}

struct OpensslServer {
    child: Child,
    address: String,
}

impl OpensslServer {
    /// Listens already, on a port of its own choice.
    fn started(pem: &Path, words: &[&str]) -> io::Result<Self> {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-naccept", "1", "-cert"])
            .args([pem, Path::new("-key"), pem])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(word) = &mut child.stdin {
            word.write_all(&refuses("28000", "no pg_hba.conf entry for a stand-in"))?;
        }
        let said = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut lines = said.lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
        // What it says further is of no interest, and must not stop it.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address: address.ok_or(io::ErrorKind::UnexpectedEof)? })
    }
}

//! `libpq_matches` against a table, and against psql itself where psql is of version 15 or later.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

mod mint;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use mint::*;
use pgseal_pki::{Certificate, LibpqRules, StrictRefusal, libpq_matches, strict_matches};
use rcgen::KeyPair;

/// A leaf with these common names and alternative names, and the root above it.
struct Issuer {
    root_key: KeyPair,
    key: KeyPair,
    root: Certificate,
}

impl Issuer {
    fn new() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root = Draft::new("root", "root").with(basic_constraints(true, None)).sign(&root_key, &root_key);
        Self { root_key, key: KeyPair::generate().unwrap(), root }
    }

    fn leaf(&self, common_names: &[&[u8]], alternatives: &[(u8, &[u8])]) -> Certificate {
        let parts: Vec<_> = common_names.iter().map(|name| (CN, UTF8, *name)).collect();
        let mut draft = Draft::new("", "root").with(basic_constraints(false, None));
        draft.subject = name_of(&parts);
        if !alternatives.is_empty() {
            draft = draft.with(alt_names(alternatives));
        }
        draft.sign(&self.key, &self.root_key)
    }
}

const LOOPBACK: &[u8] = &[127, 0, 0, 1];
const LOOPBACK6: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Verdict of libpq 14, of libpq 15 and of rustls: `+` taken, `-` refused.
type Row = (&'static [&'static [u8]], &'static [(u8, &'static [u8])], &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Common names alone.
    (&[b"db.example.org"], &[], "db.example.org", "++-"),
    (&[b"db.example.org"], &[], "DB.Example.ORG", "++-"),
    (&[b"db.example.org"], &[], "other.example.org", "---"),
    (&[b"db.example.org"], &[], "db.example.org.", "---"),
    (&[b"localhost"], &[], "127.0.0.1", "---"),
    (&[b"127.0.0.1"], &[], "127.0.0.1", "++-"),
    (&[b"127.0.0.1"], &[], "127.1", "---"),
    (&[b"::1"], &[], "::1", "++-"),
    (&[b"one", b"two"], &[], "one", "++-"),
    (&[b"one", b"two"], &[], "two", "---"),
    (&[], &[], "db", "---"),
    // A DNS name shuts out the common name for names; for addresses only before 15.
    (&[b"cn.example.org"], &[(DNS, b"san.example.org")], "cn.example.org", "---"),
    (&[b"cn.example.org"], &[(DNS, b"san.example.org")], "san.example.org", "+++"),
    (&[b"127.0.0.1"], &[(DNS, b"san.example.org")], "127.0.0.1", "-+-"),
    (&[b"cn.example.org"], &[(EMAIL, b"me@example.org"), (URI, b"urn:x")], "cn.example.org", "++-"),
    // IP addresses count from 15, and shut out the common name for addresses only.
    (&[b"x"], &[(IP, LOOPBACK)], "127.0.0.1", "-++"),
    (&[b"x"], &[(IP, LOOPBACK)], "127.1", "-+-"),
    (&[b"x"], &[(IP, LOOPBACK)], "0x7f000001", "-+-"),
    (&[b"x"], &[(IP, LOOPBACK)], "::ffff:127.0.0.1", "---"),
    (&[b"x"], &[(IP, LOOPBACK6)], "::1", "-++"),
    (&[b"x"], &[(IP, LOOPBACK6)], "0:0:0:0:0:0:0:1", "-++"),
    (&[b"localhost"], &[(IP, LOOPBACK)], "localhost", "++-"),
    (&[b"127.0.0.2"], &[(IP, LOOPBACK)], "127.0.0.2", "+--"),
    (&[b"x"], &[(DNS, b"127.0.0.1")], "127.0.0.1", "++-"),
    (&[b"x"], &[(DNS, b"a.example.org"), (IP, LOOPBACK)], "a.example.org", "+++"),
    (&[b"x"], &[(DNS, b"a.example.org"), (IP, LOOPBACK)], "127.0.0.1", "-++"),
    (&[b"x"], &[(IP, &[127, 0, 0])], "x", "+--"),
    (&[b"x"], &[(DNS, b"x"), (IP, &[127, 0, 0])], "x", "+++"),
    // Wildcards: one label, leftmost, whole.
    (&[b"x"], &[(DNS, b"*.example.org")], "a.example.org", "+++"),
    (&[b"x"], &[(DNS, b"*.EXAMPLE.org")], "A.example.ORG", "+++"),
    (&[b"x"], &[(DNS, b"*.example.org")], "a.b.example.org", "---"),
    (&[b"x"], &[(DNS, b"*.example.org")], "example.org", "---"),
    (&[b"x"], &[(DNS, b"*.example.org")], ".example.org", "---"),
    (&[b"x"], &[(DNS, b"*.example.org")], "a..example.org", "++-"),
    (&[b"x"], &[(DNS, b"a*.example.org")], "ab.example.org", "---"),
    (&[b"x"], &[(DNS, b"*a.example.org")], "ba.example.org", "---"),
    (&[b"x"], &[(DNS, b"a.*.org")], "a.b.org", "---"),
    (&[b"x"], &[(DNS, b"*.*.org")], "a.b.org", "---"),
    (&[b"x"], &[(DNS, b"*.org")], "a.org", "++-"),
    (&[b"x"], &[(DNS, b"*.")], "a.", "---"),
    (&[b"x"], &[(DNS, b"*")], "a", "---"),
    (&[b"x"], &[(DNS, b"*.0.0.1")], "127.0.0.1", "++-"),
    (&[b"*.example.org"], &[], "a.example.org", "++-"),
    (&[b"x"], &[(DNS, b"*.example.org")], "*.example.org", "++-"),
    // Hostile ones.
    (&[b"x"], &[(DNS, b"db\0.evil.org")], "db", "---"),
    (&[b"db\0evil"], &[], "db", "---"),
    (&[b"x"], &[(DNS, b"good"), (DNS, b"db\0")], "good", "+++"),
    (&[b"x"], &[(DNS, b"m\xfcnchen")], "x", "---"),
    (&[b"x"], &[(DNS, b"")], "x", "---"),
];

#[test]
fn every_corner_of_the_rules_has_its_verdict() {
    let issuer = Issuer::new();
    for (common_names, alternatives, host, verdicts) in TABLE {
        let leaf = issuer.leaf(common_names, alternatives);
        let libpq = |major| libpq_matches(&leaf, host, LibpqRules::of_version(major)).is_ok();
        let found: String = [libpq(14), libpq(15), strict_matches(&leaf, host).is_ok()]
            .into_iter()
            .map(|taken| if taken { '+' } else { '-' })
            .collect();
        assert_eq!(found, *verdicts, "{:?} {:?} for {host}", leaf.common_names(), leaf.dns_names());
    }
}

#[test]
fn a_refusal_speaks_libpqs_own_words() {
    let issuer = Issuer::new();
    let say = |common_names: &[&[u8]], alternatives: &[(u8, &[u8])], host: &str| {
        libpq_matches(&issuer.leaf(common_names, alternatives), host, LibpqRules::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        say(&[b"postgres"], &[], "localhost"),
        "server certificate for \"postgres\" does not match host name \"localhost\""
    );
    assert_eq!(
        say(&[b"postgres"], &[(DNS, b"other.example.com")], "127.0.0.1"),
        "server certificate for \"other.example.com\" (and 1 other name) does not match host name \"127.0.0.1\""
    );
    assert_eq!(
        say(&[b"postgres"], &[(IP, LOOPBACK6), (DNS, b"b"), (DNS, b"c")], "x"),
        "server certificate for \"::1\" (and 2 other names) does not match host name \"x\""
    );
    assert_eq!(say(&[], &[], "x"), "could not get server's host name from server certificate");
    assert_eq!(say(&[b"x"], &[], ""), "host name must be specified for a verified SSL connection");
    assert_eq!(say(&[b"x\0y"], &[], "x"), "SSL certificate's name contains embedded null");
    assert_eq!(
        say(&[b"x"], &[(IP, &[1, 2, 3])], "x"),
        "certificate contains IP address with invalid length 3"
    );
}

#[test]
fn a_version_1_certificate_is_refused_by_rustls_for_every_name() {
    let issuer = Issuer::new();
    let mut draft = Draft::new("localhost", "root");
    draft.version = 1;
    let leaf = draft.sign(&issuer.key, &issuer.root_key);
    libpq_matches(&leaf, "localhost", LibpqRules::default()).unwrap();
    let refusal = strict_matches(&leaf, "localhost").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "rustls refuses the certificate for every name: it is not of X.509 version 3"
    );
    let named = issuer.leaf(&[b"x"], &[(DNS, b"db1"), (IP, LOOPBACK)]);
    assert_eq!(
        strict_matches(&named, "localhost").unwrap_err().to_string(),
        "\"localhost\" is not among the certificate's subject alternative names (db1, 127.0.0.1)"
    );
    assert_eq!(strict_matches(&named, "a b"), Err(StrictRefusal::BadHost("a b".to_owned())));
}

/// A server that answers SSLRequest with `S`, shows the certificate of `server.pem` and then says
/// `FATAL: name taken` to whoever came so far.
const SERVER: &str = r#"
import socket, ssl, struct, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(16)
print(listener.getsockname()[1], flush=True)
def message(text):
    body = b"SFATAL\0VFATAL\0C28000\0M" + text + b"\0\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body
while True:
    plain, _ = listener.accept()
    plain.settimeout(10)
    try:
        plain.recv(8)
        plain.sendall(b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        tls = context.wrap_socket(plain, server_side=True)
        tls.recv(1024)
        tls.sendall(message(b"name taken"))
        tls.close()
    except OSError:
        pass
    plain.close()
"#;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn psql_itself_gives_the_same_verdict_in_the_same_words() {
    let version = said(&run("psql", &["--version"], b""));
    let major: u32 = version
        .split(|c: char| !c.is_ascii_digit())
        .find_map(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("psql --version says {version}"));
    let issuer = Issuer::new();
    let judge = Judge::new();
    let root = judge.write("root.pem", &issuer.root.pem());
    let pem = judge.write("server.pem", "");
    let child = Command::new("python3")
        .args(["-c", SERVER, pem.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs python3 ({error}): apt-get install python3"));
    let mut server = Server(child);
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();

    for (common_names, alternatives, host, _) in TABLE {
        let leaf = issuer.leaf(common_names, alternatives);
        let key = pgseal_pki::KeyPem::from_der(issuer.key.serialized_der()).unwrap();
        judge.write("server.pem", &format!("{}{}", leaf.pem(), key.as_str()));
        let conninfo = format!(
            "host='{host}' hostaddr=127.0.0.1 port={} user=x dbname=x gssencmode=disable \
             sslmode=verify-full sslrootcert={} connect_timeout=10",
            port.trim(),
            root.display()
        );
        let output = Command::new("psql")
            .args(["-X", "-c", "select 1", &conninfo])
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("LC_ALL", "C")
            .env("HOME", root.parent().unwrap())
            .output()
            .unwrap();
        let theirs = String::from_utf8_lossy(&output.stderr).into_owned();
        let ours = libpq_matches(&leaf, host, LibpqRules::of_version(major));
        let words = match ours {
            Ok(()) => "name taken".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        assert!(
            theirs.trim_end().ends_with(&words),
            "{:?} {:?} for {host}: here {words:?}, psql {theirs}",
            leaf.common_names(),
            leaf.dns_names()
        );
    }
}

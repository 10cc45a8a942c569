//! The certificate is one that strict clients take: openssl with `-x509_strict`, Python's ssl, and rustls with plain webpki
//! roots, none of which shares our verifier. It is X.509 v3, names its hosts in SANs and is nobody's authority.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::harness::{Account, Forge, Install, Ran, Running, Sealed, record, versions};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

#[test]
fn every_client_accepts_the_chain_on_every_version() {
    for version in versions() {
        let server = Sealed::of(*version);
        every_client_accepts(&server);
    }
}

#[test]
fn every_client_accepts_the_chain_of_every_elliptic_key_type() {
    for (key_type, shown) in [("ecdsa-p256", "ASN1 OID: prime256v1"), ("ecdsa-p384", "ASN1 OID: secp384r1")] {
        accepted_with(key_type, shown);
    }
}

#[test]
fn every_client_accepts_the_chain_of_every_rsa_key_type() {
    for (key_type, shown) in
        [("rsa-2048", "(2048 bit)"), ("rsa-3072", "(3072 bit)"), ("rsa-4096", "(4096 bit)")]
    {
        accepted_with(key_type, shown);
    }
}

fn accepted_with(key_type: &str, shown: &str) {
    let server = Sealed::with(&Install::of(15), &Account::current(), &["--key-type", key_type]);
    every_client_accepts(&server);
    for certificate in ["ca/server-ca.crt", "tls/server.crt"] {
        openssl_text(&server.at(certificate)).says(shown);
    }
}

fn every_client_accepts(server: &Sealed) {
    let ca = server.at("client/ca.crt");
    let port = server.port();
    for name in NAMES {
        s_client(port, &ca, name).succeeded().says("Verify return code: 0 (ok)");
        python(port, &ca, name).succeeded().says("TLSv1.3");
        let rustls = rustls(port, &ca, name);
        assert!(rustls.is_ok(), "{name}: {rustls:?}");
    }
    let text = openssl_text(&server.at("tls/server.crt"));
    let text = text.says("Version: 3 (0x2)").says("CA:FALSE").says("DNS:localhost, IP Address:127.0.0.1");
    text.says("TLS Web Server Authentication").says("X509v3 Authority Key Identifier");
    openssl_text(&ca).says("Version: 3 (0x2)").says("CA:TRUE").says("Certificate Sign");
    record("openssl, Python and rustls accept the chain", 3);
}

/// That the three judges can say no: for another name, and for another authority.
#[test]
fn no_client_accepts_another_name_or_another_authority() {
    let server = Sealed::of(15);
    let (ca, port) = (server.at("client/ca.crt"), server.port());
    assert_ne!(s_client(port, &ca, "db.example.org").code(), Some(0));
    python(port, &ca, "db.example.org").ended(1).complains("certificate verify failed");
    assert!(rustls(port, &ca, "db.example.org").unwrap_err().contains("NotValidForName"));
    let other = Forge::new("another");
    let other = server.sandbox().file_of(&Account::current(), "other.crt", 0o644, other.certificate());
    assert_ne!(s_client(port, &other, "localhost").code(), Some(0));
    python(port, &other, "localhost").ended(1).complains("certificate verify failed");
    assert!(rustls(port, &other, "localhost").unwrap_err().contains("UnknownIssuer"));
}

fn program(name: &str, args: &[&str], stdin: &str) -> Ran {
    let mut command = Command::new(name);
    command.args(args).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    Running::start(command, stdin.as_bytes()).wait(Duration::from_secs(30))
}

fn openssl_text(certificate: &Path) -> Ran {
    program("openssl", &["x509", "-noout", "-text", "-in", certificate.to_str().unwrap()], "").succeeded()
}

/// The issue's own command line. It goes to 127.0.0.1, whatever name is to be verified.
fn s_client(port: u16, ca: &Path, name: &str) -> Ran {
    let connect = format!("127.0.0.1:{port}");
    let verify = if name.parse::<std::net::IpAddr>().is_ok() { "-verify_ip" } else { "-verify_hostname" };
    let ca = ca.to_str().unwrap();
    let words =
        "s_client -starttls postgres -verify_return_error -x509_strict -no-CApath -no-CAstore -CAfile";
    let mut args: Vec<&str> = words.split(' ').collect();
    args.extend([ca, verify, name, "-connect", &connect]);
    program("openssl", &args, "")
}

/// Python's defaults, strict as they are from 3.13 on.
fn python(port: u16, ca: &Path, name: &str) -> Ran {
    const CLIENT: &str = "
import socket, ssl, struct, sys
port, ca, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
context.verify_flags |= ssl.VERIFY_X509_STRICT
sock = socket.create_connection(('127.0.0.1', port), timeout=10)
sock.sendall(struct.pack('!II', 8, 80877103))
assert sock.recv(1) == b'S', 'the server does not offer TLS'
with context.wrap_socket(sock, server_hostname=name) as tls:
    print(tls.version())
";
    program("python3", &["-c", CLIENT, &port.to_string(), ca.to_str().unwrap(), name], "")
}

/// rustls as its own documentation sets it up: webpki, no verifier of anybody's.
fn rustls(port: u16, ca: &Path, name: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| format!("{error:?}"))?;
    }
    assert!(connection.peer_certificates().is_some_and(|chain| !chain.is_empty()));
    Ok(())
}

//! Servers that differ in their certificate and in whom they let in, and the files of clients that differ in whom they
//! trust. Knows how each is made, not what comes of a connection.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SerialNumber};

use super::account::Account;
use super::forge::{Forge, Forged, leaf_params, this_year};
use super::install::Install;
use super::process::run;
use super::sandbox::Sandbox;
use super::server::Server;

/// The serial number that the list of revoked ones holds.
const REVOKED: u64 = 4711;

/// What is odd about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Nothing: names, dates, chain.
    Good,
    /// The certificate that guides make people make: X.509 v1, self-signed, CN=postgres.
    VersionOne,
    /// `ssl = off`.
    SslOff,
    Expired,
    /// For another name.
    OtherHost,
    /// No line but `hostssl`.
    HostsslOnly,
    /// CN=localhost, no subject alternative names.
    CommonNameOnly,
    /// 127.0.0.1 as an address, CN=db.
    AddressOnly,
    Revoked,
    /// No line but `hostnossl`.
    HostnosslOnly,
    /// Nothing above TLS 1.2.
    Tls12Only,
    /// `clientcert=verify-full`.
    ClientCertificate,
}

impl Case {
    pub(crate) const ALL: [Self; 12] = [
        Self::Good,
        Self::VersionOne,
        Self::SslOff,
        Self::Expired,
        Self::OtherHost,
        Self::HostsslOnly,
        Self::CommonNameOnly,
        Self::AddressOnly,
        Self::Revoked,
        Self::HostnosslOnly,
        Self::Tls12Only,
        Self::ClientCertificate,
    ];
}

/// Authorities, and the files that clients are given, in a sandbox of their own.
pub(crate) struct Minted {
    pub(crate) ours: Forge,
    pub(crate) stranger: Forge,
    version_one: Forged,
    sandbox: Sandbox,
}

impl Minted {
    /// Makes them all: `right.crt`, `wrong.crt`, `v1.crt`, `clean.crl`, `revoking.crl`, the directory `crls`,
    /// `client.crt` and `client.key` of the user postgres.
    pub(crate) fn new() -> Self {
        let minted = Self {
            ours: Forge::new("the right CA"),
            stranger: Forge::new("the wrong CA"),
            version_one: version_one("postgres"),
            sandbox: Sandbox::new(),
        };
        minted.write("right.crt", minted.ours.certificate());
        minted.write("wrong.crt", minted.stranger.certificate());
        minted.write("v1.crt", &minted.version_one.certificate);
        minted.write("clean.crl", &minted.ours.revocation_list(&[]));
        minted.write("revoking.crl", &minted.ours.revocation_list(&[REVOKED]));
        minted.write("prose", "this is no certificate\n");
        let client = minted.ours.client("postgres");
        minted.write("client.crt", &client.certificate);
        minted.write("client.key", &client.key);
        minted.write("open.key", &client.key);
        minted.mode("open.key", 0o644);
        minted.write("other.key", &minted.ours.client("postgres").key);
        fs::create_dir(minted.file("crls")).unwrap_or_else(|e| panic!("could not make a directory: {e}"));
        let mut hash = Command::new("openssl");
        hash.args(["x509", "-noout", "-hash", "-in"]).arg(minted.file("right.crt"));
        let hash = run(hash, b"", Duration::from_secs(10)).succeeded();
        minted.write(&format!("crls/{}.r0", hash.stdout().trim()), &minted.ours.revocation_list(&[REVOKED]));
        minted
    }

    /// A file in the sandbox, made or not.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.sandbox.join(name)
    }

    /// Writes a file, 0600.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
        self.mode(name, 0o600);
        path
    }

    fn mode(&self, name: &str, mode: u32) {
        let path = self.file(name);
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .unwrap_or_else(|e| panic!("could not change the mode of {}: {e}", path.display()));
    }

    /// A home whose `.postgresql` holds copies of these files under these names.
    pub(crate) fn home(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let home = self.file(name);
        let inside = home.join(".postgresql");
        fs::create_dir_all(&inside).unwrap_or_else(|e| panic!("could not make {}: {e}", inside.display()));
        for (at, from) in files {
            fs::copy(self.file(from), inside.join(at))
                .unwrap_or_else(|e| panic!("could not copy {from}: {e}"));
        }
        home
    }

    /// The file that a client of this server should trust.
    pub(crate) fn right(&self, case: Case) -> PathBuf {
        self.file(if case == Case::VersionOne { "v1.crt" } else { "right.crt" })
    }

    fn identity(&self, case: Case) -> Forged {
        let now = time::OffsetDateTime::now_utc();
        let day = time::Duration::days(1);
        match case {
            Case::VersionOne => Forged {
                certificate: self.version_one.certificate.clone(),
                key: self.version_one.key.clone(),
            },
            Case::Expired => self.ours.leaf_dated(&["localhost", "127.0.0.1"], now - day * 2, now - day),
            Case::OtherHost => self.ours.leaf(&["db.example.org", "other.example.org"]),
            Case::CommonNameOnly => self.ours.sign(&named("localhost", &[])),
            Case::AddressOnly => self.ours.sign(&named("db", &["127.0.0.1"])),
            Case::Revoked => {
                let mut params = named("localhost", &["localhost", "127.0.0.1"]);
                params.serial_number = Some(SerialNumber::from(REVOKED));
                self.ours.sign(&params)
            }
            _ => self.ours.leaf(&["localhost", "127.0.0.1"]),
        }
    }

    /// A server of that kind.
    #[track_caller]
    pub(crate) fn server(&self, case: Case, install: Install) -> Server {
        self.showing(&self.identity(case), case, install)
    }

    /// The same with a certificate of whoever asks.
    #[track_caller]
    pub(crate) fn showing(&self, identity: &Forged, case: Case, install: Install) -> Server {
        let pem = identity.one_pem();
        let authority = self.ours.certificate().to_owned();
        let line = match case {
            Case::HostsslOnly => "hostssl all all all scram-sha-256",
            Case::HostnosslOnly => "hostnossl all all all scram-sha-256",
            Case::ClientCertificate => "hostssl all all all scram-sha-256 clientcert=verify-full",
            _ => "host all all all scram-sha-256",
        };
        let mut setup = Server::with(install)
            .hba(&format!("local all all trust\n{line}\n"))
            .conf(if case == Case::SslOff { "ssl = off" } else { "ssl = on" })
            .conf("ssl_cert_file = 'both.pem'")
            .conf("ssl_key_file = 'both.pem'");
        if case == Case::ClientCertificate {
            setup = setup.conf("ssl_ca_file = 'clients.crt'");
        }
        if case == Case::Tls12Only {
            setup = setup.conf("ssl_max_protocol_version = 'TLSv1.2'");
        }
        setup
            .before(move |data| {
                of_the_server(&data.join("both.pem"), &pem);
                of_the_server(&data.join("clients.crt"), &authority);
            })
            .start()
    }
}

fn of_the_server(path: &Path, content: &str) {
    fs::write(path, content)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o600)))
        .unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
    Account::server().own(path);
}

/// A leaf with that common name and these subject alternative names, maybe none.
fn named(common_name: &str, names: &[&str]) -> CertificateParams {
    let (not_before, not_after) = this_year();
    let mut params = leaf_params(names, not_before, not_after);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// What the commands of countless guides make: X.509 v1, signed by itself, a common name and nothing else.
fn version_one(common_name: &str) -> Forged {
    let sandbox = Sandbox::new();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(sandbox.path()).args(arguments.split(' '));
        run(command, b"", Duration::from_secs(30)).succeeded();
    };
    openssl(&format!(
        "req -new -newkey rsa:2048 -nodes -subj /CN={common_name} -keyout key.pem -out req.pem"
    ));
    openssl("x509 -req -in req.pem -signkey key.pem -days 365 -out crt.pem");
    let read = |name: &str| fs::read_to_string(sandbox.join(name)).expect("openssl wrote it");
    Forged { certificate: read("crt.pem"), key: read("key.pem") }
}

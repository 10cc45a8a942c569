//! Mode by mode, root by root, server by server: the same outcome as psql, in the same words.

use std::path::{Path, PathBuf};
use std::process::Command;

use pgseal_pki::KeyType;
use pgseal_wire::{
    Attempt, AttemptStep, ChannelBinding, ConnectError, ConnectOptions, Credentials, Encryption,
    LibpqVersion, RootFile, Route, Session, SslMode, TlsVersion, connect, open, reach,
};
use zeroize::Zeroizing;

use crate::certificates::{Identity, authority, good_leaf, leaf, root_file, self_signed, version_one};
use crate::server::{PASSWORD, ROLE, Server, Setup, tester};

/// How a connection ended. Refusals are compared by libpq's whole text.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Tls,
    Plaintext,
    Refused(String),
}

const OWN_ROW: &str = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// One connection, described once for both.
struct Cell {
    route: Route,
    mode: SslMode,
    root: RootFile,
    user: &'static str,
    password: &'static str,
    dbname: &'static str,
    channel_binding: ChannelBinding,
    min: Option<TlsVersion>,
    max: Option<TlsVersion>,
}

impl Cell {
    fn new(server: &Server, mode: SslMode, root: &RootFile) -> Self {
        Self {
            route: server.route(),
            mode,
            root: root.clone(),
            user: ROLE,
            password: PASSWORD,
            dbname: "postgres",
            channel_binding: ChannelBinding::Prefer,
            min: None,
            max: None,
        }
    }

    /// The string that psql is given.
    fn conninfo(&self) -> String {
        let mut words = vec![
            format!("port={}", self.route.port),
            format!("user={} dbname={} gssencmode=disable", self.user, self.dbname),
            format!("sslmode={} channel_binding={}", self.mode, self.channel_binding),
            format!("sslrootcert='{}'", self.root),
        ];
        if !self.route.host.is_empty() {
            words.push(format!("host={}", self.route.host));
        }
        if let Some(address) = self.route.hostaddr {
            words.push(format!("hostaddr={address}"));
        }
        if let Some(min) = self.min {
            words.push(format!("ssl_min_protocol_version={min}"));
        }
        if let Some(max) = self.max {
            words.push(format!("ssl_max_protocol_version={max}"));
        }
        words.join(" ")
    }

    fn by_psql(&self, psql: &Psql, home: &Path) -> Outcome {
        let done = Command::new(&psql.path)
            .args(["-X", "-w", "-A", "-t", "-c", OWN_ROW])
            .arg(self.conninfo())
            .env_clear()
            .env("HOME", home)
            .env("LC_ALL", "C")
            .env("PGPASSWORD", self.password)
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&done.stdout);
        match out.trim() {
            "true" => Outcome::Tls,
            "false" => Outcome::Plaintext,
            _ => {
                let text = String::from_utf8_lossy(&done.stderr);
                Outcome::Refused(text.trim().trim_start_matches("psql: error: ").to_owned())
            }
        }
    }

    fn options(&self, psql: &Psql) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.route.clone(), self.mode, self.root.clone());
        options.libpq = psql.version;
        options.min = self.min;
        options.max = self.max;
        options
    }

    async fn by_us(&self, psql: &Psql) -> Outcome {
        let options = self.options(psql);
        let who = Credentials {
            password: Some(Zeroizing::new(self.password.to_owned())),
            channel_binding: self.channel_binding,
            ..Credentials::new(self.user, self.dbname)
        };
        match connect(&options, &who).await {
            Ok(connected) => {
                let outcome = seen_by_the_server(&connected.session).await;
                let ours = connected.session.tls().is_some();
                assert_eq!(outcome == Outcome::Tls, ours, "our own word on TLS is not the server's");
                connected.session.close().await;
                outcome
            }
            Err(error) => {
                let text = error.to_string();
                let step = error.attempts().last().and_then(Attempt::failed_at);
                assert_eq!(
                    step,
                    step_told_by(&text),
                    "the step on record is not the one in the text: {text}"
                );
                Outcome::Refused(text)
            }
        }
    }

    /// How far one comes without a password: the same way, up to where it would be asked for.
    async fn without_a_password(&self, psql: &Psql) -> Outcome {
        let who =
            Credentials { channel_binding: self.channel_binding, ..Credentials::new(self.user, self.dbname) };
        match reach(&self.options(psql), &who).await {
            Ok(reached) if reached.tls.is_some() => Outcome::Tls,
            Ok(_) => Outcome::Plaintext,
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}

/// The step that libpq's text tells of, in its last attempt.
fn step_told_by(text: &str) -> Option<AttemptStep> {
    let last = text.rfind("connection to server ").map(|at| &text[at..])?;
    let tells = |words: &[&str]| words.iter().any(|word| last.contains(word));
    Some(if tells(&["Connection refused"]) {
        AttemptStep::Dial
    } else if tells(&["server does not support SSL"]) {
        AttemptStep::SslRequest
    } else if tells(&["root certificate file"]) {
        AttemptStep::Roots
    } else if tells(&["certificate verify failed"]) {
        AttemptStep::Chain
    } else if tells(&["does not match host name", "host name must be specified"]) {
        AttemptStep::Name
    } else if tells(&["SSL error: "]) {
        AttemptStep::Handshake
    } else if tells(&["pg_hba.conf", "connection requires a valid client certificate"]) {
        AttemptStep::Startup
    } else {
        AttemptStep::Login
    })
}

async fn seen_by_the_server(session: &Session) -> Outcome {
    let row = session.client().query_one(OWN_ROW, &[]).await.unwrap();
    match row.get::<_, &str>(0) {
        "true" => Outcome::Tls,
        _ => Outcome::Plaintext,
    }
}

/// The psql that is compared with: Debian's, or the one named in `PGSEAL_TEST_PSQL`.
struct Psql {
    path: PathBuf,
    version: LibpqVersion,
}

impl Psql {
    fn find() -> Self {
        let path = std::env::var_os("PGSEAL_TEST_PSQL")
            .map_or_else(|| crate::server::bin().join("psql"), PathBuf::from);
        let told = Command::new(&path).arg("--version").output().unwrap().stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        // "psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
        let major = told.split_whitespace().nth(2).and_then(|number| number.split('.').next());
        let major = major.and_then(|major| major.parse().ok());
        Self { path, version: LibpqVersion::new(major.unwrap_or_else(|| panic!("no version in {told:?}"))) }
    }
}

/// Runs all cells of one server and returns what differs.
async fn differences(name: &str, cells: &[Cell], home: &Path) -> Vec<String> {
    let psql = Psql::find();
    let mut found = Vec::new();
    for cell in cells {
        let theirs = cell.by_psql(&psql, home);
        let ours = cell.by_us(&psql).await;
        let unasked = cell.without_a_password(&psql).await;
        // Where a password decides, nothing is to be learnt without one.
        let a_password_decided = matches!(&ours, Outcome::Refused(text)
        if text.split("connection to server ").skip(1).any(|attempt| {
            step_told_by(&format!("connection to server {attempt}")) == Some(AttemptStep::Login)
        }));
        if unasked != ours && !a_password_decided {
            found.push(format!("{name}: {}\n  login: {ours:?}\n  reach: {unasked:?}", cell.conninfo()));
        }
        if theirs != ours {
            found.push(format!("{name}: {}\n  psql: {theirs:?}\n  ours: {ours:?}", cell.conninfo()));
        }
    }
    found
}

/// Six modes with each of these roots.
fn all_modes(server: &Server, roots: &[RootFile]) -> Vec<Cell> {
    roots.iter().flat_map(|root| SslMode::ALL.map(|mode| Cell::new(server, mode, root))).collect()
}

#[tokio::test]
async fn every_mode_with_every_root_ends_as_it_does_for_psql() {
    let ours = authority("the right CA");
    let stranger = authority("the wrong CA");
    let home = tempfile::tempdir().unwrap();
    let absent = RootFile::read(&home.path().join("no-such-root.crt"));
    let right = root_file(home.path(), "right.crt", &ours.certificate_pem());
    let wrong = root_file(home.path(), "wrong.crt", &stranger.certificate_pem());

    let good = || good_leaf(&ours, &["localhost", "127.0.0.1"]);
    let v1 = version_one("postgres");
    let v1_root = root_file(home.path(), "v1.crt", &v1.chain);
    let expired = leaf(&ours, &["localhost"], KeyType::EcdsaP256, (-30, -1));
    let scram = |kind: &str| format!("{kind} all all all scram-sha-256");

    let cases: [(&str, Setup, &RootFile); 9] = [
        ("ssl off", Setup::without_tls(), &right),
        ("ssl off, hostssl only", Setup::without_tls().hba(&scram("hostssl")), &right),
        ("no line at all", Setup::tls(good()).hba("local all all trust"), &right),
        ("hostssl only", Setup::tls(good()).hba(&scram("hostssl")), &right),
        ("hostnossl only", Setup::tls(good()).hba(&scram("hostnossl")), &right),
        ("good", Setup::tls(good()), &right),
        ("name mismatch", Setup::tls(good_leaf(&ours, &["db.example.org", "other.example.org"])), &right),
        ("expired", Setup::tls(expired), &right),
        ("v1 self-signed", Setup::tls(v1), &v1_root),
    ];
    let mut found = Vec::new();
    let mut count = 0;
    for (name, setup, right) in &cases {
        let server = Server::start(setup);
        let cells = all_modes(&server, &[absent.clone(), (*right).clone(), wrong.clone()]);
        count += cells.len();
        found.extend(differences(name, &cells, home.path()).await);
    }
    assert_eq!(count, 162);
    assert!(found.is_empty(), "{} of {count} cells differ from psql:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn odd_hosts_roots_passwords_and_versions_end_as_they_do_for_psql() {
    let ours = authority("the right CA");
    let home = tempfile::tempdir().unwrap();
    let right = root_file(home.path(), "right.crt", &ours.certificate_pem());
    let empty = root_file(home.path(), "empty.crt", "");
    let prose = root_file(home.path(), "prose.crt", "this is no certificate\n");
    let absent = RootFile::read(&home.path().join("no-such-root.crt"));
    let server = Server::start(
        &Setup::tls(good_leaf(&ours, &["localhost"])).set("ssl_max_protocol_version = 'TLSv1.2'"),
    );
    let by_address = Route { hostaddr: "127.0.0.1".parse().ok(), ..server.route() };
    let nobody_there = Route { port: 1, ..server.route() };
    let cell = |mode, root: &RootFile| Cell::new(&server, mode, root);

    let mut cells = all_modes(&server, &[empty.clone(), prose]);
    for mode in SslMode::ALL {
        // An address as host; an address beside a host; an address alone; the server's socket.
        let host = |host: &str| Route { host: host.into(), ..by_address.clone() };
        cells.push(Cell { route: Route { hostaddr: None, ..host("127.0.0.1") }, ..cell(mode, &right) });
        cells.push(Cell { route: host("elsewhere.example.org"), ..cell(mode, &right) });
        cells.push(Cell { route: host(""), ..cell(mode, &right) });
        cells.push(Cell { route: server.socket_route(), ..cell(mode, &right) });
        cells.push(Cell { route: nobody_there.clone(), ..cell(mode, &right) });
        cells.push(Cell { password: "wrong", ..cell(mode, &right) });
        cells.push(Cell { password: "", ..cell(mode, &right) });
        let tls13 = Some(TlsVersion::Tls1_3);
        cells.push(Cell { min: tls13, ..cell(mode, &absent) });
        cells.push(Cell { max: Some(TlsVersion::Tls1_2), ..cell(mode, &absent) });
        cells.push(Cell { min: tls13, max: Some(TlsVersion::Tls1_2), ..cell(mode, &absent) });
        cells.push(Cell { max: Some(TlsVersion::Tls1_1), ..cell(mode, &absent) });
    }
    let found = differences("odd", &cells, home.path()).await;
    assert!(
        found.is_empty(),
        "{} of {} cells differ from psql:\n{}",
        found.len(),
        cells.len(),
        found.join("\n")
    );
}

#[tokio::test]
async fn every_method_with_every_channel_binding_ends_as_it_does_for_psql() {
    let ours = authority("the right CA");
    let home = tempfile::tempdir().unwrap();
    let absent = RootFile::read(&home.path().join("no-such-root.crt"));
    let hba = "host all old all md5\nhost all plain all password\nhost all free all trust\n\
               hostssl all certified all cert\nhost all all all scram-sha-256";
    let identities = [good_leaf(&ours, &["localhost"]), self_signed("-algorithm ed25519", "")];
    let mut found = Vec::new();
    for identity in identities {
        let setup = Setup::tls(identity).hba(hba).set("ssl_ca_file = 'server-with-key.pem'");
        let server = Server::start(&setup);
        make_roles(&server).await;
        let mut cells = Vec::new();
        for mode in [SslMode::Disable, SslMode::Allow, SslMode::Prefer, SslMode::Require] {
            for channel_binding in ChannelBinding::ALL {
                let cell = || Cell { channel_binding, ..Cell::new(&server, mode, &absent) };
                cells.push(cell());
                for user in ["old", "plain", "free", "certified", "nobody"] {
                    cells.push(Cell { user, ..cell() });
                }
                cells.push(Cell { dbname: "nowhere", ..cell() });
                cells.push(Cell { password: "wrong", ..cell() });
            }
        }
        found.extend(differences("methods", &cells, home.path()).await);
    }
    assert!(found.is_empty(), "{} cells differ from psql:\n{}", found.len(), found.join("\n"));
}

/// A role for each method, over the trusted Unix socket.
async fn make_roles(server: &Server) {
    let channel = open(&server.socket_route(), Encryption::Plaintext).await.unwrap();
    let admin = channel.login(&tester()).await.unwrap();
    let roles = format!(
        "CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE free LOGIN; CREATE ROLE certified LOGIN; \
         SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD '{PASSWORD}'"
    );
    admin.client().batch_execute(&roles).await.unwrap();
    admin.close().await;
}

#[tokio::test]
async fn names_are_compared_as_psql_compares_them() {
    let ours = authority("the right CA");
    let home = tempfile::tempdir().unwrap();
    let right = root_file(home.path(), "right.crt", &ours.certificate_pem());
    let certificates: [(&str, Identity); 3] = [
        ("names", good_leaf(&ours, &["*.example.org", "localhost", "10.0.0.1"])),
        ("address only", good_leaf(&ours, &["127.0.0.1"])),
        ("one name", good_leaf(&ours, &["db.example.org"])),
    ];
    let hosts = [
        "a.example.org",
        "A.EXAMPLE.ORG",
        "a.b.example.org",
        "example.org",
        "localhost",
        "LocalHost",
        "127.0.0.1",
        "10.0.0.1",
        "db.example.org",
        "db.example.org.",
    ];
    let mut found = Vec::new();
    for (name, identity) in certificates {
        let server = Server::start(&Setup::tls(identity));
        let cells: Vec<_> = hosts
            .map(|host| Cell {
                route: Route { host: host.into(), hostaddr: "127.0.0.1".parse().ok(), ..server.route() },
                ..Cell::new(&server, SslMode::VerifyFull, &right)
            })
            .into();
        found.extend(differences(name, &cells, home.path()).await);
    }
    assert!(found.is_empty(), "{} cells differ from psql:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn a_fall_to_plaintext_is_on_record() {
    let stranger = authority("the wrong CA");
    let home = tempfile::tempdir().unwrap();
    let wrong = root_file(home.path(), "wrong.crt", &stranger.certificate_pem());
    let server = Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])));

    let options = ConnectOptions::new(server.route(), SslMode::Prefer, wrong);
    let connected = connect(&options, &tester()).await.unwrap();
    let lines: Vec<_> = connected.attempts.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "TLS, certificate verify failed: certificate 0 of the chain (CN=localhost) was issued by CN=CA, \
             which is neither trusted nor presented",
            "plaintext, connected WITHOUT encryption",
        ]
    );
    let presented = connected.attempts[0].presented().unwrap();
    assert_eq!(presented.chain[0].dns_names(), ["localhost"]);
}

#[tokio::test]
async fn parameters_that_contradict_each_other_open_no_socket() {
    let nowhere = Route::new("localhost", 1);
    let absent = RootFile::Absent { path: "/no".into() };
    let mut options = ConnectOptions::new(nowhere, SslMode::Prefer, absent);
    options.negotiation = pgseal_wire::SslNegotiation::Direct;
    let error = connect(&options, &tester()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Invalid(_)));
    assert_eq!(
        error.to_string(),
        "weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use \"require\", \"verify-ca\", or \
         \"verify-full\")"
    );
}

//! What pgseal says that a libpq client does is what psql does: the same strings, the same files, the same servers, and
//! in every cell the same end (TLS, plaintext, refused) with the same words, for every version of psql that is there.
//!
//! Words that libpq takes over from its OpenSSL are compared up to there. Where rustls cannot do what OpenSSL can, the
//! third answer is counted, and has to say so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::Conninfo;
use pgseal_wire::{ConnectError, Connected, LibpqVersion, Route, SslMode, connect, understand};

use crate::harness::{
    Account, Case, Dice, Install, Minted, PASSWORD, Psql, SUPERUSER, Server, record, samples, versions,
};

const OWN_ROW: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Tls,
    Plaintext,
    Refused(String),
    /// Not told: something that is not done here.
    Untold(String),
}

/// One connection, described once for both.
struct Cell {
    version: u32,
    case: Case,
    home: PathBuf,
    conninfo: String,
}

/// Everything that cells are drawn from.
struct Bench {
    minted: Minted,
    servers: Vec<(Case, Server)>,
    homes: Vec<PathBuf>,
    /// Versions with a psql of their own.
    psqls: Vec<u32>,
}

impl Bench {
    fn new() -> Self {
        let minted = Minted::new();
        let servers = Case::ALL
            .iter()
            .enumerate()
            .map(|(nth, case)| {
                // From the newest down, so that each depth has direct TLS.
                let versions: Vec<u32> = versions().iter().rev().copied().collect();
                (*case, minted.server(*case, Install::of(versions[nth % versions.len()])))
            })
            .collect();
        let homes = vec![
            minted.home("home-empty", &[]),
            minted.home("home-right", &[("root.crt", "right.crt")]),
            minted.home("home-wrong", &[("root.crt", "wrong.crt")]),
            minted.home("home-revoking", &[("root.crt", "right.crt"), ("root.crl", "revoking.crl")]),
            minted.home("home-client", &[("postgresql.crt", "client.crt"), ("postgresql.key", "client.key")]),
        ];
        let psqls =
            versions().iter().copied().filter(|version| Install::of(*version).psql().is_absolute()).collect();
        Self { minted, servers, homes, psqls }
    }

    fn server(&self, case: Case) -> &Server {
        self.servers.iter().find(|(one, _)| *one == case).map(|(_, server)| server).expect("all are started")
    }

    /// Host, port, user: what every cell begins with.
    fn beginning(&self, case: Case, host: &str) -> String {
        let port = self.server(case).port();
        format!("{host} port={port} user={SUPERUSER} dbname=postgres connect_timeout=10 gssencmode=disable")
    }

    /// Modes × roots × servers, nothing else.
    fn plain_cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for case in Case::ALL {
            for (home, root) in [
                (0, None),
                (0, Some(self.minted.right(case))),
                (0, Some(self.minted.file("wrong.crt"))),
                (0, Some(PathBuf::from("system"))),
                (2, None),
            ] {
                for mode in SslMode::ALL {
                    let root = root.as_ref();
                    let root =
                        root.map_or(String::new(), |root| format!(" sslrootcert='{}'", root.display()));
                    let version = self.psqls[cells.len() % self.psqls.len()];
                    let conninfo = format!("{} sslmode={mode}{root}", self.beginning(case, "host=localhost"));
                    cells.push(Cell { version, case, home: self.homes[home].clone(), conninfo });
                }
            }
        }
        cells
    }

    /// A cell with anything about it.
    fn odd_cell(&self, dice: &mut Dice) -> Cell {
        let version = *dice.pick(&self.psqls);
        let case = *dice.pick(&Case::ALL);
        let server = self.server(case);
        let socket = format!("host={}", server.socket_dir().display());
        let hosts = [
            "host=localhost",
            "host=localhost",
            "host=LOCALHOST",
            "host=127.0.0.1",
            "host=db.example.org hostaddr=127.0.0.1",
            "hostaddr=127.0.0.1",
            "host=::1",
            "host=127.0.0.9,localhost",
            &socket,
        ];
        let host: &&str = dice.pick(&hosts);
        let mut conninfo = self.beginning(case, host);
        let _ = write!(conninfo, " sslmode={}", dice.pick(&SslMode::ALL));
        let mut roots =
            self.quoted(&["right.crt", "right.crt", "right.crt", "wrong.crt", "v1.crt", "prose", "nowhere"]);
        roots.push("system".to_owned());
        let _ = write!(conninfo, " sslrootcert={}", dice.pick(&roots));
        // More than a few at once, and every connection is refused for the first of them.
        let options = self.options();
        for _ in 0..dice.below(4) {
            let (since, name, values) = dice.pick(&options);
            if version >= *since {
                let _ = write!(conninfo, " {name}={}", dice.pick(values));
            }
        }
        Cell { version, case, home: dice.pick(&self.homes).clone(), conninfo }
    }

    fn quoted(&self, files: &[&str]) -> Vec<String> {
        files.iter().map(|name| format!("'{}'", self.minted.file(name).display())).collect()
    }

    /// Since which version, name, values.
    fn options(&self) -> Vec<(u32, &'static str, Vec<String>)> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let files = |names: &[&str]| self.quoted(names);
        let clients = ["client.crt", "client.crt", "prose", "nowhere", "prose/below"];
        let keys = ["client.key", "client.key", "open.key", "other.key", "nowhere", "crls"];
        vec![
            (12, "sslcrl", files(&["clean.crl", "revoking.crl", "prose", "nowhere", "right.crt"])),
            (14, "sslcrldir", files(&["crls", "nowhere"])),
            (13, "channel_binding", words(&["disable", "prefer", "require", "require"])),
            (13, "ssl_min_protocol_version", words(&["TLSv1", "TLSv1.2", "TLSv1.3", "tlsv1.3", "TLSv1.9"])),
            (13, "ssl_max_protocol_version", words(&["TLSv1.1", "TLSv1.2", "TLSv1.3"])),
            (17, "sslnegotiation", words(&["direct", "direct", "postgres", "Direct"])),
            (12, "sslcert", files(&clients)),
            (12, "sslkey", files(&keys)),
            // Both, so that there is a client that shows one.
            (12, "sslcert", vec![format!("{} sslkey={}", files(&clients)[0], files(&keys)[0])]),
            (16, "sslcertmode", words(&["disable", "allow", "require", "require", "always"])),
            (
                16,
                "require_auth",
                words(&["scram-sha-256", "password,md5", "!none", "none", "!scram-sha-256", "x"]),
            ),
            (14, "sslsni", words(&["0", "1", "yes"])),
            (
                14,
                "target_session_attrs",
                words(&["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]),
            ),
            (12, "gssencmode", words(&["require", "never", "prefer"])),
            (12, "user", words(&["nobody"])),
            (12, "dbname", words(&["nowhere"])),
        ]
    }

    fn by_psql(cell: &Cell) -> Outcome {
        let ran = Psql::to(cell.conninfo.clone())
            .of(&Install::of(cell.version))
            .home(&cell.home)
            .env("PGPASSWORD", PASSWORD)
            .run(OWN_ROW);
        match ran.stdout().trim() {
            "t" => Outcome::Tls,
            "f" => Outcome::Plaintext,
            _ => Outcome::Refused(stable(ran.stderr().trim().trim_start_matches("psql: error: "))),
        }
    }

    async fn by_us(cell: &Cell) -> Outcome {
        match attempt(cell).await {
            Ok(connected) => {
                let session = &connected.session;
                let row =
                    session.client().query_one(OWN_ROW, &[]).await.expect("the row of one's own session");
                let encrypted: bool = row.get(0);
                assert_eq!(encrypted, session.tls().is_some(), "our own word on TLS is not the server's");
                connected.session.close().await;
                if encrypted { Outcome::Tls } else { Outcome::Plaintext }
            }
            Err(error) => {
                let untold = error.attempts().iter().find(|attempt| attempt.is_untold());
                match untold {
                    Some(attempt) => Outcome::Untold(attempt.to_string()),
                    None => Outcome::Refused(stable(&error.to_string())),
                }
            }
        }
    }
}

/// What pgseal does with a connection string, but for the files that it reads in the user's name.
async fn attempt(cell: &Cell) -> Result<Connected, ConnectError> {
    let (version, libpq) = (u8::try_from(cell.version).expect("small"), cell.version);
    let version = LibpqVersion::new(version);
    let mut asked = Conninfo::parse_as(&cell.conninfo, pg(libpq)).expect("every cell is a connection string");
    asked.fill_defaults(&|name| (name == "PGPASSWORD").then(|| PASSWORD.to_owned()), pg(libpq));
    let routes = asked.hosts().expect("every cell has hosts").into_iter().map(|spec| Route {
        host: spec.host.unwrap_or_default(),
        hostaddr: spec.hostaddr,
        port: spec.port,
        deadline: Duration::from_secs(10),
    });
    let get = |name: &str| asked.get(name).map(str::to_owned);
    let own = Account::current().home();
    let home = if version.asks_home() { &cell.home } else { &own };
    let understood = understand(routes.collect(), &get, Some(home), None, version);
    let (options, who) = understood.map_err(ConnectError::Invalid)?;
    connect(&options, &who).await
}

fn pg(version: u32) -> PgVersion {
    match version {
        ..=14 => PgVersion::V14,
        15 => PgVersion::V15,
        16 => PgVersion::V16,
        17 => PgVersion::V17,
        _ => PgVersion::V18,
    }
}

/// libpq's words without those of its OpenSSL.
fn stable(text: &str) -> String {
    let cut = |line: &str| {
        let files = [
            "could not load private key file \"",
            "could not read root certificate file \"",
            "could not read certificate file \"",
        ];
        let file = files.iter().find_map(|words| line.find(words));
        match file.and_then(|at| line[at..].find("\": ").map(|end| at + end + 3)) {
            Some(end) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        }
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_mode_root_server_and_option_ends_as_it_does_for_psql() {
    let bench = Bench::new();
    let mut dice = Dice::new("every mode ends as it does for psql");
    let wanted = usize::try_from(samples(1500)).expect("small");
    let mut plain = bench.plain_cells();
    let mut cells = Vec::new();
    while cells.len() < wanted / 2 && !plain.is_empty() {
        let nth = dice.below(u32::try_from(plain.len()).expect("few"));
        cells.push(plain.swap_remove(nth as usize));
    }
    while cells.len() < wanted {
        cells.push(bench.odd_cell(&mut dice));
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let mut differences = Vec::new();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for cell in &cells {
        let theirs = Bench::by_psql(cell);
        let ours = runtime.block_on(Bench::by_us(cell));
        let kind = match &ours {
            Outcome::Tls => "TLS",
            Outcome::Plaintext => "plaintext",
            Outcome::Refused(_) => "refused",
            Outcome::Untold(_) => "untold",
        };
        *seen.entry(kind).or_default() += 1;
        if ours != theirs && kind != "untold" {
            differences.push(format!(
                "psql {} to {:?}, home {}: {}\n  psql: {theirs:?}\n  ours: {ours:?}",
                cell.version,
                cell.case,
                name(&cell.home),
                cell.conninfo
            ));
        }
    }
    eprintln!("{} cells: {seen:?}", cells.len());
    assert!(
        differences.is_empty(),
        "{} of {} cells differ:\n{}",
        differences.len(),
        cells.len(),
        differences.join("\n")
    );
    let count = |kind: &str| seen.get(kind).copied().unwrap_or_default();
    assert!(count("TLS") > 10 && count("plaintext") > 10 && count("refused") > 10, "one-sided: {seen:?}");
    assert!(count("untold") * 20 < samples(1500), "too much is left untold: {seen:?}");
    record("a mode ends as it does for psql", samples(1500));
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

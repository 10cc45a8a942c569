//! The real psql beside each row: does it say what is said here? It is never given a password, so what it says ends
//! where one would be asked for.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pgseal_conf::conninfo::{Conninfo, Secrets};
use pgseal_wire::{AttemptOutcome, AuthenticationRequest, LibpqVersion, RootFile};
use tokio::process::Command;

use super::survey::{Ended, RootKind, Row};
use crate::failure::{Failure, Result};
use crate::privilege::trusted;
use crate::server::said::last_lines;
use crate::target::{Client, Given};

/// For one run of psql.
const LIMIT: Duration = Duration::from_secs(60);
/// The row of psql's own session.
const OWN_ROW: &str = "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";
/// What libpq says when a password is wanted and there is none.
const NO_PASSWORD: &str = "fe_sendauth: no password supplied";

/// A psql to hold rows against.
pub(crate) struct Psql {
    pub(crate) path: PathBuf,
    /// As it calls itself.
    pub(crate) release: String,
    pub(crate) libpq: LibpqVersion,
}

/// What psql made of one row.
pub(crate) struct Heard {
    /// None: not comparable, since we do not say what libpq would come to.
    pub(crate) same: Option<bool>,
    /// What it said, or that it connected.
    pub(crate) said: String,
}

impl Psql {
    /// `psql`, found in PATH, or `psql=PATH`.
    pub(crate) async fn find(word: &str) -> Result<Self> {
        let path = match word.split_once('=') {
            Some(("psql", path)) if !path.is_empty() => PathBuf::from(path),
            None if word == "psql" => in_path("psql").ok_or_else(|| {
                Failure::new("there is no psql in PATH")
                    .hint("--against psql=/usr/lib/postgresql/18/bin/psql")
            })?,
            _ => {
                return Err(Failure::usage(format!("--against takes psql or psql=PATH, not {word}"))
                    .hint("--against psql"));
            }
        };
        let path = trusted::program(&path)?;
        let mut command = Command::new(&path);
        command.arg("--version");
        let told = String::from_utf8_lossy(&run(command, &path).await?.stdout).trim().to_owned();
        // "psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "psql (PostgreSQL) 19beta1"
        let digits = |word: &str| word.chars().take_while(char::is_ascii_digit).collect::<String>();
        let major = told.strip_prefix("psql (PostgreSQL) ").and_then(|rest| digits(rest).parse().ok());
        let Some(major) = major else {
            return Err(Failure::new(format!("{} does not call itself psql: {told}", path.display())));
        };
        Ok(Self { path, release: told, libpq: LibpqVersion::new(major) })
    }

    /// Has it connect as the row says, and compares.
    pub(crate) async fn hear(&self, client: &Client, row: &Row) -> Result<Heard> {
        let files = Scratch::new()?;
        let conninfo = conninfo_of(client, row, &files)?;
        let mut command = Command::new(&self.path);
        command
            .args(["-X", "-w", "-A", "-t", "-q", "-c", OWN_ROW, "-d"])
            .arg(conninfo.to_conninfo(Secrets::Omitted).as_str());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C");
        let output = run(command, &self.path).await?;
        let out = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let complaint = last_lines(&output.stderr, 20).join("\n");
        let complaint = complaint.trim_start_matches("psql: error: ").to_owned();
        let theirs = match out.as_str() {
            "t" => Saying::Connected { tls: true },
            "f" => Saying::Connected { tls: false },
            _ => Saying::Said(stable(&complaint.replace(&files.absent(), &client.no_root_file()))),
        };
        let same = (row.ended != Ended::Untold).then(|| ours(row) == theirs);
        Ok(Heard { same, said: theirs.text() })
    }
}

/// What one side says.
#[derive(PartialEq, Eq)]
enum Saying {
    Connected { tls: bool },
    Said(String),
}

impl Saying {
    fn text(&self) -> String {
        match self {
            Self::Connected { tls: true } => "connected with TLS".to_owned(),
            Self::Connected { tls: false } => "connected without TLS".to_owned(),
            Self::Said(text) => text.clone(),
        }
    }
}

/// What psql without a password would say where we are right.
fn ours(row: &Row) -> Saying {
    if let Some(text) = row.libpq_text() {
        return Saying::Said(stable(&text));
    }
    let mut lines: Vec<String> =
        row.attempts.iter().filter_map(|attempt| attempt.libpq_text.clone()).collect();
    let Some(last) = row.attempts.last() else { return Saying::Said(String::new()) };
    match &last.outcome {
        AttemptOutcome::Asked(AuthenticationRequest::Ok) | AttemptOutcome::LoggedIn(_) => {
            Saying::Connected { tls: last.tls.is_some() }
        }
        _ => {
            let route = row.options.as_ref().and_then(|options| {
                options.routes.iter().find(|route| match &last.peer {
                    Some(pgseal_wire::Peer::Tcp(address)) => address.port() == route.port,
                    _ => route.socket_path().is_some(),
                })
            });
            let says_where = row.options.as_ref().is_some_and(|options| options.libpq.major() >= 14);
            let prefix = route.filter(|_| says_where).map(|route| route.libpq_prefix(last.peer.as_ref()));
            lines.push(format!("{}{NO_PASSWORD}", prefix.unwrap_or_default()));
            Saying::Said(stable(&lines.join("\n")))
        }
    }
}

/// What stands in the place of words that libpq takes from its OpenSSL.
fn stable(text: &str) -> String {
    const FILES: [&str; 3] = [
        "could not load private key file \"",
        "could not read root certificate file \"",
        "could not read certificate file \"",
    ];
    let cut = |line: &str| {
        let file = FILES.iter().find_map(|words| line.find(words));
        let end = file.and_then(|at| line.get(at..)?.find("\": ").map(|end| at + end + 3));
        match end.and_then(|end| line.get(..end)) {
            Some(kept) => format!("{kept}…"),
            None => line.trim_end().to_owned(),
        }
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(cut).collect::<Vec<_>>().join("\n")
}

/// The row as a connection string, without any secret.
fn conninfo_of(client: &Client, row: &Row, files: &Scratch) -> Result<Conninfo> {
    let mut conninfo = client.asked.clone();
    let roots = row.options.as_ref().map(|options| &options.roots);
    let file = match (row.root, &client.given, roots) {
        (RootKind::System, ..) => "system".to_owned(),
        (RootKind::None, ..) => files.absent(),
        (RootKind::Given, Given::File(file), _) => file.clone(),
        (_, _, Some(RootFile::Loaded(roots))) => {
            files.write(&roots.certificates().iter().map(pgseal_pki::Certificate::pem).collect::<String>())?
        }
        // disable: no root is looked at.
        _ => files.absent(),
    };
    let mode = row.mode.to_string();
    for (name, value) in [
        ("sslmode", mode.as_str()),
        ("sslrootcert", file.as_str()),
        ("user", &client.username),
        ("dbname", &client.dbname),
        ("passfile", &files.absent()),
    ] {
        conninfo.set(name, value).map_err(|error| Failure::new(error.to_string()))?;
    }
    // What this libpq does not know it is not told.
    let known: Vec<&'static str> = conninfo.iter().map(|(keyword, _)| keyword.name).collect();
    for name in known {
        let default = pgseal_conf::conninfo::Keyword::all().iter().find(|keyword| keyword.name == name);
        let silent = default.is_some_and(|keyword| keyword.default == conninfo.get(name)) && name != "port";
        if silent || name == "service" {
            conninfo.remove(name);
        }
    }
    conninfo.set("sslmode", &mode).map_err(|error| Failure::new(error.to_string()))?;
    Ok(conninfo)
}

/// A folder of our own for the files of one run, gone when dropped.
struct Scratch {
    folder: PathBuf,
    absent: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut random = [0_u8; 12];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| Failure::new("the system gave no random numbers"))?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = std::env::temp_dir().join(format!("pgseal-{name}"));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| Failure::io("make", &folder, &error))?;
        Ok(Self { absent: folder.join("root.crt"), folder })
    }

    fn absent(&self) -> String {
        self.absent.display().to_string()
    }

    fn write(&self, pem: &str) -> Result<String> {
        let path = self.folder.join("ca.crt");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(pem.as_bytes()))
            .map_err(|error| Failure::io("write", &path, &error))?;
        Ok(path.display().to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Runs it to its end, with one.
async fn run(mut command: Command, path: &Path) -> Result<std::process::Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(LIMIT, command.output()).await {
        Err(_) => Err(Failure::new(format!("{} did not end within {} s", path.display(), LIMIT.as_secs()))),
        Ok(Err(error)) => Err(Failure::io("run", path, &error)),
        Ok(Ok(output)) => Ok(output),
    }
}

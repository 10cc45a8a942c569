//! Where PostgreSQL's server programs are on this machine.
//!
//! `--bindir` and `PGSEAL_PG_BIN` decide alone. Otherwise every usual place is looked at and the
//! newest version wins.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::privilege::trusted;
use crate::server::said::last_lines;
use crate::server::version::{OLDEST, PgVersion};

/// The folder with `postgres` and `initdb` that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// As it was named: a link there (Homebrew's) may lead to a newer build one day.
    pub(crate) folder: PathBuf,
    /// The programs that were looked at, links resolved: what is run, so that nobody who may change a link on
    /// the way puts another program in their place.
    pub(crate) postgres: PathBuf,
    pub(crate) initdb: PathBuf,
    pub(crate) version: PgVersion,
}

impl Binaries {
    /// Finds them: the asked-for folder, or the newest of the usual ones.
    pub(crate) async fn find(asked: Option<&Path>, delegate: &mut Delegate) -> Result<Self> {
        if let Some(folder) = asked {
            return Self::checked(folder, "--bindir", delegate).await;
        }
        if let Some(folder) = env::var_os("PGSEAL_PG_BIN").filter(|value| !value.is_empty()) {
            return Self::checked(Path::new(&folder), "PGSEAL_PG_BIN", delegate).await;
        }
        let mut newest: Option<Self> = None;
        let mut passed_over = Vec::new();
        for folder in usual_folders(delegate).await {
            match Self::at(&folder, delegate).await {
                Ok(found) if newest.as_ref().is_none_or(|best| found.version > best.version) => {
                    newest = Some(found);
                }
                Ok(_) => {}
                Err(failure) => passed_over.push(failure.sentence().to_owned()),
            }
        }
        let found = newest.ok_or_else(|| {
            Failure::new("no PostgreSQL server programs (postgres, initdb) were found on this machine")
                .because("looked at: pg_config --bindir, PATH, /usr/lib/postgresql, /usr/pgsql-*, Homebrew")
                .because_all(passed_over)
                .hint(
                    "install a server (Debian: apt-get install postgresql), or name its folder with --bindir",
                )
        })?;
        found.new_enough()
    }

    /// Refuses a build without SSL, before anything is written: its `ssl_ciphers` is `none`
    /// (guc_tables.c).
    pub(crate) async fn must_have_ssl(&self, delegate: &mut Delegate) -> Result<()> {
        let described = run(&self.postgres, &["--describe-config"], delegate).await?;
        let ciphers = described.lines().find(|line| line.starts_with("ssl_ciphers\t")).unwrap_or_default();
        if !ciphers.split('\t').any(|field| field == "none") {
            return Ok(());
        }
        Err(Failure::new(format!(
            "PostgreSQL {} in {} is built without SSL",
            self.version,
            self.folder.display()
        ))
        .because("such a server can never speak TLS")
        .hint("another build: --bindir with the folder of one (Debian: apt-get install postgresql)"))
    }

    async fn checked(folder: &Path, named_by: &str, delegate: &mut Delegate) -> Result<Self> {
        let found = Self::at(folder, delegate).await.map_err(|failure| {
            failure
                .because(format!("{named_by} names {}", folder.display()))
                .hint("--bindir with the folder that holds postgres and initdb")
        })?;
        found.new_enough()
    }

    fn new_enough(self) -> Result<Self> {
        if self.version.major >= OLDEST {
            return Ok(self);
        }
        Err(Failure::new(format!(
            "PostgreSQL {} in {} is too old: pgseal works with {OLDEST} and newer",
            self.version,
            self.folder.display()
        ))
        .hint("install a newer server, or name one with --bindir"))
    }

    async fn at(folder: &Path, delegate: &mut Delegate) -> Result<Self> {
        let postgres = trusted::program(&folder.join("postgres"))?;
        let initdb = trusted::program(&folder.join("initdb"))?;
        let said = run(&postgres, &["--version"], delegate).await?;
        let version = PgVersion::parse(&said).ok_or_else(|| {
            Failure::new(format!("{} --version printed no version", postgres.display()))
                .because_all(last_lines(said.as_bytes(), 6))
        })?;
        Ok(Self { folder: folder.to_owned(), postgres, initdb, version })
    }
}

/// The usual folders, each once, those without a `postgres` left out.
async fn usual_folders(delegate: &mut Delegate) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let mut folders = Vec::new();
    if let Some(pg_config) = on_path.iter().map(|folder| folder.join("pg_config")).find(|file| file.is_file())
        && let Ok(program) = trusted::program(&pg_config)
        && let Ok(said) = run(&program, &["--bindir"], delegate).await
    {
        folders.push(PathBuf::from(said.trim()));
    }
    folders.extend(on_path);
    folders.extend(below("/usr/lib/postgresql", |_| true, "bin"));
    folders.extend(below("/usr", |name| name.starts_with("pgsql-"), "bin"));
    folders.push(PathBuf::from("/usr/local/pgsql/bin"));
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        folders.extend(below(homebrew, |name| name.starts_with("postgresql"), "bin"));
    }
    let mut seen = BTreeSet::new();
    folders
        .into_iter()
        .filter(|folder| folder.join("postgres").exists() && folder.join("initdb").exists())
        .filter(|folder| seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())))
        .collect()
}

fn below(parent: &str, wanted: impl Fn(&str) -> bool, child: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path().join(child))
        .collect()
}

/// Runs a program as the server's user and returns what it printed.
async fn run(program: &Path, arguments: &[&str], delegate: &mut Delegate) -> Result<String> {
    let request = Request::Run {
        program: program.to_owned(),
        arguments: arguments.iter().map(ToString::to_string).collect(),
        folder: PathBuf::from("/"),
    };
    match delegate.ask(&request, &[]).await? {
        (Reply::Ran { success: true, .. }, said) => Ok(String::from_utf8_lossy(&said).into_owned()),
        (Reply::Ran { ending, .. }, said) => {
            Err(Failure::new(format!("{} {ending}", program.display())).because_all(last_lines(&said, 6)))
        }
        (other, _) => Err(delegate.unexpected("run", program, &other)),
    }
}

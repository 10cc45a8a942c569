//! Options that several verbs share.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use zeroize::Zeroizing;

use crate::export::Form;
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::privilege::secret::Secret;

/// Where a folder is not named.
pub(crate) const DEFAULT_FOLDER: &str = "pgseal";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Human,
    /// One JSON object
    Json,
}

/// Of what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    #[default]
    Human,
    /// One JSON object
    Json,
    /// A JSON object a line, each as its server is done
    Jsonl,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit's XML, for CI
    Junit,
    /// GitHub flavoured Markdown
    Markdown,
    /// Metrics for the textfile collector of Prometheus' node exporter
    Prometheus,
    /// One page that loads nothing, for people with a browser
    Html,
}

impl ReportFormat {
    /// The form of a document; None of what the verb prints by itself.
    pub(crate) const fn form(self) -> Option<Form> {
        match self {
            Self::Human | Self::Json | Self::Jsonl => None,
            Self::Sarif => Some(Form::Sarif),
            Self::Junit => Some(Form::Junit),
            Self::Markdown => Some(Form::Markdown),
            Self::Prometheus => Some(Form::Prometheus),
            Self::Html => Some(Form::Html),
        }
    }
}

/// The word for standard input.
pub(crate) const STDIN: &str = "-";

/// A password file is one line.
const SECRET_LIMIT: u64 = 64 << 10;

/// The first line of a file, or of stdin for `-`, as initdb's --pwfile has it.
pub(crate) fn secret_from(option: &str, path: &Path) -> Result<Secret> {
    let line = if path == Path::new(STDIN) {
        let mut line = Zeroizing::new(String::with_capacity(256));
        let read = BufReader::new(std::io::stdin().lock().take(SECRET_LIMIT))
            .read_line(&mut line)
            .map_err(|error| Failure::new(format!("could not read a password from stdin: {error}")))?;
        if u64::try_from(read).is_ok_and(|read| read >= SECRET_LIMIT) {
            return Err(Failure::usage(format!("the line on stdin is longer than {SECRET_LIMIT} bytes")));
        }
        line
    } else {
        let bytes = files::read_named(path, SECRET_LIMIT)
            .map_err(|error| Failure::io("read the password file", path, &error))?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::new(format!("the password file {} is not UTF-8", path.display())))?;
        Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
    };
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() || password.contains('\0') {
        return Err(Failure::usage(format!(
            "{option} {} holds no password in its first line",
            path.display()
        )));
    }
    Ok(Secret::new(password.to_owned()))
}

/// The folder named, or the default one.
/// A folder of root's that `--write-as-root` names, links resolved: one of a server's, so not a whole part of the system.
pub(crate) fn folder_of_roots(word: &str) -> std::result::Result<PathBuf, String> {
    let real = std::fs::canonicalize(word).map_err(|error| error.to_string())?;
    if !real.is_dir() {
        return Err("it is no folder".to_owned());
    }
    if real.components().count() < 3 {
        return Err("it holds more than a server's configuration: name the server's own folder".to_owned());
    }
    Ok(real)
}

pub(crate) fn folder(named: Option<PathBuf>) -> PathBuf {
    named.unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER))
}

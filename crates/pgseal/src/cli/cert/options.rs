//! Options that several verbs of `cert` share.

use std::path::PathBuf;

use clap::Args;
use time::Duration;

use crate::certs::authority::{self, Role};
use crate::certs::issuer::command::Command;
use crate::certs::passphrase::Passphrase;
use crate::failure::{Failure, Result};
use pgseal_pki::{CertificateAuthority, Validity};

/// The longest that a program may be waited for.
const LONGEST_WAIT: Duration = Duration::hours(1);
const MOST_TRIES: u32 = 20;

/// The passphrase of a CA's key.
#[derive(Debug, Args)]
pub(crate) struct AuthorityPassphrase {
    /// The passphrase of the CA's key, in the first line of a file or of stdin (-) [default: asked on the terminal]
    #[arg(long, value_name = "FILE", conflicts_with = "ca_passphrase_fd")]
    ca_passphrase_file: Option<PathBuf>,
    /// The same over a file descriptor
    #[arg(long, value_name = "N")]
    ca_passphrase_fd: Option<u32>,
}

impl AuthorityPassphrase {
    pub(crate) fn source(&self) -> Passphrase {
        Passphrase::of(self.ca_passphrase_file.as_deref(), self.ca_passphrase_fd)
    }

    pub(crate) const fn is_given(&self) -> bool {
        self.ca_passphrase_file.is_some() || self.ca_passphrase_fd.is_some()
    }
}

/// A CA in a folder.
#[derive(Debug, Args)]
pub(crate) struct OwnAuthority {
    /// The folder of the CA
    #[arg(long, value_name = "DIR")]
    pub(crate) ca: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: AuthorityPassphrase,
}

impl OwnAuthority {
    pub(crate) fn load(&self, role: Role) -> Result<CertificateAuthority> {
        authority::load(&self.ca, role, &self.passphrase.source())
    }
}

/// Who signs: a CA in a folder, or a program.
#[derive(Debug, Args)]
pub(crate) struct Signer {
    /// Issue with the CA in this folder
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "issuer_command",
        required_unless_present = "issuer_command"
    )]
    pub(crate) ca: Option<PathBuf>,
    /// Have this program sign: it gets the request on stdin, and prints the chain
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) issuer_command: Option<PathBuf>,
    /// How long the program may take for one try
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "issuer_command")]
    pub(crate) issuer_timeout: Validity,
    /// How often it is tried
    #[arg(long, value_name = "N", default_value_t = 3, requires = "issuer_command")]
    pub(crate) issuer_tries: u32,
    #[command(flatten)]
    pub(crate) passphrase: AuthorityPassphrase,
}

impl Signer {
    /// The program, checked as far as words can be.
    pub(crate) fn command(&self) -> Result<Option<Command>> {
        let Some(program) = &self.issuer_command else { return Ok(None) };
        command(program, self.issuer_timeout, self.issuer_tries).map(Some)
    }
}

pub(crate) fn command(program: &std::path::Path, timeout: Validity, tries: u32) -> Result<Command> {
    if timeout.duration() > LONGEST_WAIT {
        return Err(Failure::usage(format!("--issuer-timeout {timeout} is longer than an hour")));
    }
    if !(1..=MOST_TRIES).contains(&tries) {
        return Err(Failure::usage(format!("--issuer-tries {tries} is not between 1 and {MOST_TRIES}")));
    }
    let seconds = u64::try_from(timeout.duration().whole_seconds()).unwrap_or(1);
    let program = std::path::absolute(program).map_err(|error| Failure::io("resolve", program, &error))?;
    Ok(Command { program, timeout: std::time::Duration::from_secs(seconds), tries })
}

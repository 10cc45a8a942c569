//! `pgseal cert revoke` and `pgseal cert crl`.

use std::path::{Path, PathBuf};

use clap::Args;
use pgseal_pki::crl::Reason;
use pgseal_pki::{Certificate, CertificateAuthority, Validity, read_bundle};
use serde::Serialize;
use time::OffsetDateTime;

use super::options::OwnAuthority;
use crate::certs::authority::Role;
use crate::certs::revocation::{self, Written};
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::report::certificate::instant;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::secure::certificate;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert revoke app/app.crt --ca /etc/pgseal/client-ca
  pgseal cert revoke 4F21…90AB --ca /etc/pgseal/ca --reason keyCompromise

What is taken back stays on the list. Nobody looks at a list that they were not given: a server takes it
as ssl_crl_file and a reload, clients as sslcrl. Once a server has one, it wants a list that is not over
of every CA in the chain, or refuses every client certificate.")]
pub(crate) struct Options {
    /// The certificate's file, or its serial number
    certificate: String,
    #[command(flatten)]
    authority: OwnAuthority,
    /// Of the CA for clients (a file says so itself)
    #[arg(long)]
    client: bool,
    /// keyCompromise, superseded, cessationOfOperation, affiliationChanged, privilegeWithdrawn or CACompromise
    #[arg(long, value_name = "REASON")]
    reason: Option<Reason>,
    /// When the next list is promised by
    #[arg(long, value_name = "TIME", default_value = "30d")]
    validity: Validity,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert crl --ca /etc/pgseal/client-ca --client
  pgseal cert crl --ca /etc/pgseal/ca --validity 7d

A list that is over makes PostgreSQL refuse every client certificate: sign it again in time, from cron, and
have servers reload it.")]
pub(crate) struct ListOptions {
    #[command(flatten)]
    authority: OwnAuthority,
    /// Of the CA for clients
    #[arg(long)]
    client: bool,
    /// When the next list is promised by
    #[arg(long, value_name = "TIME", default_value = "30d")]
    validity: Validity,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `cert revoke` and `cert crl` (docs/schema/cert-crl.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    /// The list's file.
    path: String,
    issuer: String,
    number: String,
    this_update: String,
    next_update: Option<String>,
    revoked: Vec<RevokedRow>,
}

#[derive(Debug, Serialize)]
struct RevokedRow {
    serial: String,
    at: String,
    reason: Option<String>,
}

pub(super) fn revoke(options: &Options) -> Result<Outcome> {
    let now = OffsetDateTime::now_utc();
    let file = Path::new(&options.certificate)
        .exists()
        .then(|| leaf_of(Path::new(&options.certificate)))
        .transpose()?;
    let of_client = |leaf: &Certificate| {
        leaf.extended_key_usage().is_some_and(|usage| usage.client_auth() && !usage.server_auth())
    };
    let client = options.client || file.as_ref().is_some_and(of_client);
    let role = if client { Role::Client } else { Role::Server };
    let authority = options.authority.load(role)?;
    let serial = match &file {
        Some(leaf) => {
            issued_by(&authority, leaf, &options.authority.ca)?;
            revocation::serial_of(leaf)
        }
        None => revocation::serial_from(&options.certificate)?,
    };
    let place = (options.authority.ca.as_path(), role);
    let life = options.validity.duration();
    let written = revocation::revoke(&authority, place, (serial, options.reason), life, now)?;
    outcome(&written, role, options.format)
}

pub(super) fn renew(options: &ListOptions) -> Result<Outcome> {
    let role = if options.client { Role::Client } else { Role::Server };
    let authority = options.authority.load(role)?;
    let now = OffsetDateTime::now_utc();
    let written =
        revocation::renew(&authority, &options.authority.ca, role, options.validity.duration(), now)?;
    outcome(&written, role, options.format)
}

fn leaf_of(path: &Path) -> Result<Certificate> {
    let bundle =
        read_bundle(&certificate::read(path)?).map_err(|error| certificate::unreadable(path, &error))?;
    let first = bundle.certificates.into_iter().next();
    first.ok_or_else(|| Failure::usage(format!("{} holds no certificate", path.display())))
}

fn issued_by(authority: &CertificateAuthority, leaf: &Certificate, folder: &Path) -> Result<()> {
    let own = authority.certificate();
    if leaf.issuer().same_as(own.subject()) && leaf.check_signed_by(own).is_ok() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the certificate was issued by {}, and not by the CA in {}",
        leaf.issuer(),
        folder.display()
    ))
    .because("only who issued a certificate can take it back; nothing was changed"))
}

fn outcome(written: &Written, role: Role, format: Format) -> Result<Outcome> {
    let list = &written.list;
    let number = list
        .number()
        .unwrap_or_default()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02X}"));
    if format == Format::Json {
        let row = |entry: &pgseal_pki::crl::Revoked| RevokedRow {
            serial: entry.serial.iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}")),
            at: instant(entry.at),
            reason: entry.reason.map(|reason| reason.to_string()),
        };
        return Ok(Outcome::well(json::text(&Row {
            schema_version: SCHEMA_VERSION,
            path: written.path.display().to_string(),
            issuer: list.issuer().to_string(),
            number,
            this_update: instant(list.this_update()),
            next_update: list.next_update().map(instant),
            revoked: list.entries().iter().map(row).collect(),
        })?));
    }
    let screen = Screen::of_stdout();
    let until =
        list.next_update().map_or_else(String::new, |end| format!(", the next one by {}", end.date()));
    let said = format!("number {number}, {} revoked{until}", list.len());
    let path: &PathBuf = &written.path;
    let next = match role {
        Role::Client => "the server's user reads it as ssl_crl_file, after a reload",
        Role::Server => "clients read it as sslcrl",
    };
    Ok(Outcome::well(
        [
            screen.line(Mark::Holds, "revocation list", &said),
            screen.line(Mark::Holds, "written", &for_terminal(&path.display().to_string())),
            format!("    {next}"),
        ]
        .join("\n"),
    ))
}

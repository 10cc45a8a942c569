//! `pgseal cert ca`: a CA of one's own.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pgseal_pki::{AuthorityRequest, Certificate, KeyType, PermittedNames, Subject, Validity};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::issued::{CertificateRow, certificate_row};
use super::options::AuthorityPassphrase;
use crate::certs::authority::{self, Role};
use crate::certs::inventory::{self, Entry, PlaceKind, Purpose};
use crate::certs::revocation;
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::report::certificate::{self, Shown};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

/// A clock a little behind ours must not find a fresh certificate "not yet valid".
const BACKDATED: Duration = Duration::minutes(5);
const PUBLIC: u32 = 0o644;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a CA: for servers, or with --client for clients
    Init(InitOptions),
    /// Show a CA's certificate, and its revocation list
    Show(FolderOptions),
    /// Print a CA's certificate: for sslrootcert, or with --client for ssl_ca_file
    Export(ExportOptions),
    /// Renew a CA's certificate with its own key
    Renew(RenewOptions),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert ca init /etc/pgseal/ca --subject 'CN=Example server CA,O=Example'
  pgseal cert ca init ~/ca --permit example.org,10.0.0.0/8 --encrypt-key
  pgseal cert ca init /etc/pgseal/client-ca --client

Whoever has the CA's key can be any server (or any client) that its holders trust: keep the folder off
the database's machine, and encrypt the key where it must lie there.")]
pub(crate) struct InitOptions {
    /// The folder, made 0700 where there is none
    folder: PathBuf,
    /// A CA for clients' certificates: ssl_ca_file of a server
    #[arg(long)]
    client: bool,
    /// Its name [default: CN=pgseal server CA MACHINE]
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256")]
    key_type: KeyType,
    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "3650d")]
    validity: Validity,
    /// The only domains and networks that it may certify, separated by commas
    #[arg(long, value_name = "NAMES")]
    permit: Option<PermittedNames>,
    /// Encrypt its key, with a passphrase that is asked for on the terminal
    #[arg(long)]
    encrypt_key: bool,
    #[command(flatten)]
    passphrase: AuthorityPassphrase,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct FolderOptions {
    /// The folder of the CA
    folder: PathBuf,
    /// The CA for clients
    #[arg(long)]
    client: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// The folder of the CA
    folder: PathBuf,
    /// The CA for clients
    #[arg(long)]
    client: bool,
    /// Write it to a file, 0644
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The key, the name and what it issued stay: all of it leads to the new certificate as well. Clients
that verify need the new one before the old one ends."
)]
pub(crate) struct RenewOptions {
    /// The folder of the CA
    folder: PathBuf,
    /// The CA for clients
    #[arg(long)]
    client: bool,
    /// How long it is valid from now on [default: as long as before]
    #[arg(long, value_name = "TIME")]
    validity: Option<Validity>,
    #[command(flatten)]
    passphrase: AuthorityPassphrase,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `cert ca init`, `show` and `renew` (docs/schema/cert-ca.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    folder: String,
    /// `server` or `client`.
    role: String,
    certificate: CertificateRow,
    /// What it may certify, where it confines itself.
    permitted: Option<String>,
    /// Null where nothing is known of it: `show` does not read the key.
    key_encrypted: Option<bool>,
    revocation_list: Option<ListRow>,
}

#[derive(Debug, Serialize)]
struct ListRow {
    revoked: usize,
    next_update: Option<String>,
    expired: bool,
}

const fn role(client: bool) -> Role {
    if client { Role::Client } else { Role::Server }
}

pub(super) fn run(verb: Verb) -> Result<Outcome> {
    match verb {
        Verb::Init(options) => init(options),
        Verb::Show(options) => show(&options),
        Verb::Export(options) => export(&options),
        Verb::Renew(options) => renew(&options),
    }
}

fn init(options: InitOptions) -> Result<Outcome> {
    let role = role(options.client);
    let now = OffsetDateTime::now_utc();
    let subject = options.subject.map_or_else(|| default_subject(role), Ok)?;
    let permitted = options.permit.as_ref().map(ToString::to_string);
    let request = AuthorityRequest {
        subject,
        key_type: options.key_type,
        not_before: now - BACKDATED,
        not_after: now + options.validity.duration(),
        permitted: options.permit,
    };
    let encrypted = options.encrypt_key || options.passphrase.is_given();
    let passphrase = encrypted.then(|| options.passphrase.source().invent("the new CA's key")).transpose()?;
    let made = authority::create(&options.folder, role, &request, passphrase.as_ref())?;
    let folder = authority::resolved(&options.folder)?;
    let file = authority::certificate_of(&folder, role);
    let entry = Entry::new(Purpose::Authority, made.certificate(), Some(&folder), now);
    inventory::note(Some(&folder), entry.at(PlaceKind::File, file.display().to_string(), now));
    if options.format == Format::Json {
        return row_text(&folder, role, made.certificate(), permitted, Some(encrypted)).map(Outcome::well);
    }
    let screen = Screen::of_stdout();
    let key = folder.join(role.key());
    let closed = if encrypted { "encrypted" } else { "not encrypted: whoever reads it can sign" };
    let mut lines = vec![
        line(
            screen,
            "CA",
            &format!("{}, until {}", made.certificate().subject(), made.certificate().not_after().date()),
        ),
        line(screen, "certificate", &file.display().to_string()),
        line(screen, "key", &format!("{} (0600), {closed}", key.display())),
    ];
    lines.extend(permitted.map(|names| line(screen, "may certify", &names)));
    let dir = options.folder.display();
    lines.push(for_terminal(&match role {
        Role::Server => format!("    pgseal secure TARGET --ca {dir}; clients get: pgseal cert ca export {dir}"),
        Role::Client => format!("    pgseal cert client --ca {dir} --user ROLE; the server gets: pgseal cert ca export {dir} --client"),
    }));
    Ok(Outcome::well(lines.join("\n")))
}

fn line(screen: Screen, title: &str, text: &str) -> String {
    screen.line(Mark::Holds, title, &for_terminal(text))
}

fn default_subject(role: Role) -> Result<Subject> {
    let machine =
        crate::server::machine::host_name().map_or_else(|| "localhost".to_owned(), |name| name.to_string());
    // A common name holds 64 characters (RFC 5280, ub-common-name).
    let machine: String = machine.chars().take(40).collect();
    format!("CN=pgseal {role} CA {machine}")
        .parse()
        .map_err(|error| Failure::new(format!("could not name the CA: {error}")).hint("--subject CN=…"))
}

fn show(options: &FolderOptions) -> Result<Outcome> {
    let role = role(options.client);
    let found = authority::certificates(&options.folder, role)?;
    let folder = authority::resolved(&options.folder)?;
    if options.format == Format::Json {
        let first = found.first().ok_or_else(|| Failure::new("the CA's file holds no certificate"))?;
        return row_text(&folder, role, first, None, None).map(Outcome::well);
    }
    let screen = Screen::of_stdout();
    let now = OffsetDateTime::now_utc();
    let file = authority::certificate_of(&folder, role);
    let shown = Shown { source: file.display().to_string(), certificates: found, negotiated: None };
    let mut text = certificate::human(&shown, now, screen);
    if let Some(list) = revocation::in_folder(&options.folder, role)? {
        let until =
            list.next_update().map_or_else(|| "nobody said when".to_owned(), |end| end.date().to_string());
        let mark = if list.is_current(now).is_ok() { Mark::Holds } else { Mark::HoldsNot };
        let said = format!("{} revoked, next by {until}", list.len());
        text.push_str(&format!("\n\n{}", screen.line(mark, "revocation list", &said)));
    }
    Ok(Outcome::well(text))
}

fn export(options: &ExportOptions) -> Result<Outcome> {
    let found = authority::certificates(&options.folder, role(options.client))?;
    let pem: String = found.iter().map(Certificate::pem).collect();
    let Some(path) = &options.out else { return Ok(Outcome::well(pem)) };
    write_new(path, &pem)?;
    let text = line(Screen::of_stdout(), "written", &format!("{} (0644)", path.display()));
    Ok(Outcome::well(text))
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    files::create(path, PUBLIC, text.as_bytes()).map_err(|error| Failure::io("write", path, &error))
}

fn renew(options: &RenewOptions) -> Result<Outcome> {
    let role = role(options.client);
    let now = OffsetDateTime::now_utc();
    let old = authority::load(&options.folder, role, &options.passphrase.source())?;
    let before = old.certificate();
    let life =
        options.validity.map_or(before.not_after() - before.not_before() - BACKDATED, Validity::duration);
    let renewed = old.renewed(now - BACKDATED, now + life).map_err(|error| {
        Failure::new(format!("the CA in {} cannot be renewed: {error}", options.folder.display()))
            .because("nothing was changed")
    })?;
    let folder = authority::resolved(&options.folder)?;
    let file = authority::certificate_of(&folder, role);
    files::replace(&file, PUBLIC, renewed.certificate_pem().as_bytes())
        .map_err(|error| Failure::io("write", &file, &error))?;
    let entry = Entry::new(Purpose::Authority, renewed.certificate(), Some(&folder), now);
    inventory::note(Some(&folder), entry.at(PlaceKind::File, file.display().to_string(), now));
    if options.format == Format::Json {
        return row_text(&folder, role, renewed.certificate(), None, None).map(Outcome::well);
    }
    let screen = Screen::of_stdout();
    let whom = match role {
        Role::Server => format!("clients that verify need it before {}", before.not_after().date()),
        Role::Client => format!("servers with ssl_ca_file need it before {}", before.not_after().date()),
    };
    Ok(Outcome::well(
        [
            line(
                screen,
                "renewed",
                &format!(
                    "{}, until {}",
                    renewed.certificate().subject(),
                    renewed.certificate().not_after().date()
                ),
            ),
            line(screen, "certificate", &file.display().to_string()),
            screen.line(Mark::Mind, "to be given out", &whom),
        ]
        .join("\n"),
    ))
}

fn row_text(
    folder: &Path,
    role: Role,
    certificate: &Certificate,
    permitted: Option<String>,
    key_encrypted: Option<bool>,
) -> Result<String> {
    let now = OffsetDateTime::now_utc();
    let list = revocation::in_folder(folder, role)?;
    json::text(&Row {
        schema_version: SCHEMA_VERSION,
        folder: folder.display().to_string(),
        role: role.to_string(),
        certificate: certificate_row(certificate),
        permitted,
        key_encrypted,
        revocation_list: list.map(|list| ListRow {
            revoked: list.len(),
            next_update: list.next_update().map(certificate::instant),
            expired: list.is_current(now).is_err(),
        }),
    })
}

//! `pgseal cert renew`.

use std::path::{Path, PathBuf};

use clap::Args;
use pgseal_pki::{
    Bundle, Certificate, CertificateAuthority, IssuedCertificate, PrivateKey, Purpose, Validity,
    client_with_key_pem, read_bundle, server_with_key_pem,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::issued::{self, Shown};
use super::options::OwnAuthority;
use crate::certs::authority::{self, Role};
use crate::certs::inventory::{self, Entry, PlaceKind};
use crate::certs::issuer::own;
use crate::certs::issuer::{Order, Signed};
use crate::certs::output::Written;
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::privilege::files::{self, Kind};
use crate::privilege::trusted;

const LIMIT: u64 = 4 << 20;
/// A clock a little behind ours must not find a fresh certificate "not yet valid".
const BACKDATED: Duration = Duration::minutes(5);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert renew app/app.crt --ca /etc/pgseal/client-ca
  pgseal cert renew app/app.pem --ca /etc/pgseal/client-ca --new-key

The file is exchanged by one rename. With its key in another file the key stays: of two files no moment
could be without a mismatched pair. A file that holds the key as well may get a new one. A server's
certificate is better renewed by `pgseal rotate`, which has the server take it up.")]
pub(crate) struct Options {
    /// The certificate's file, the certificate first
    file: PathBuf,
    #[command(flatten)]
    authority: OwnAuthority,
    /// How long it is valid from now on [default: as long as before]
    #[arg(long, value_name = "TIME")]
    validity: Option<Validity>,
    /// With a new key, where the file holds the key as well
    #[arg(long)]
    new_key: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(options: &Options) -> Result<Outcome> {
    let now = OffsetDateTime::now_utc();
    let path = authority::resolved(&options.file)?;
    let (mode, bundle) = read(&path)?;
    let mut certificates = bundle.certificates.into_iter();
    let old = certificates
        .next()
        .ok_or_else(|| Failure::usage(format!("{} holds no certificate", path.display())))?;
    let (role, purpose) = match old.extended_key_usage() {
        Some(usage) if usage.client_auth() && !usage.server_auth() => (Role::Client, Purpose::Client),
        _ => (Role::Server, Purpose::Server),
    };
    let ca = options.authority.load(role)?;
    own::in_its_time(&ca, &options.authority.ca, now)?;
    let life = options.validity.map_or(old.not_after() - old.not_before() - BACKDATED, Validity::duration);
    let end = ca.valid_until();
    let wished = now + life;
    if let (Some(validity), true) = (options.validity, wished > end) {
        return Err(Failure::usage(format!(
            "--validity {validity} reaches past the end of the CA ({}), and a certificate never outlives its CA",
            end.date()
        ))
        .because("nothing was changed"));
    }
    let until = wished.min(end);
    let (certificate, text) = match (bundle.private_key, options.new_key) {
        (None, true) => return Err(two_files(&path)),
        (Some(PrivateKey::Encrypted(_)), _) => {
            return Err(Failure::usage(format!("the key in {} is behind a passphrase", path.display()))
                .because("nothing was changed")
                .hint("pgseal cert client, or pgseal rotate with --key-passphrase-file"));
        }
        (Some(PrivateKey::Plain(_)), true) => with_new_key(&ca, options, &old, purpose, until - now, now)?,
        (key, false) => with_its_key(&ca, (&old, purpose), key, until, now)?,
    };
    files::replace(&path, mode, text.as_bytes()).map_err(|error| Failure::io("write", &path, &error))?;
    let folder = authority::resolved(&options.authority.ca)?;
    let kind = match purpose {
        Purpose::Server => inventory::Purpose::Server,
        Purpose::Client => inventory::Purpose::Client,
    };
    let entry = Entry::new(kind, &certificate, Some(&folder), now);
    inventory::note(Some(&folder), entry.at(PlaceKind::File, path.display().to_string(), now));
    let written = [Written { path: path.clone(), mode, what: "the renewed certificate" }];
    issued::outcome(
        &Shown {
            certificate: &certificate,
            cut_short: wished > end,
            files: &written,
            notes: vec!["who has a copy needs the new one: pgseal cert list".to_owned()],
            next: Vec::new(),
        },
        options.format,
    )
}

fn two_files(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} holds no key, so that a new one would have to go into another file",
        path.display()
    ))
    .because("between two renames key and certificate would not belong together; nothing was changed")
    .hint("pgseal cert client --one-pem for one file with both, or without --new-key")
}

fn read(path: &Path) -> Result<(u32, Bundle)> {
    trusted::file_for_root(path)?;
    if let Some(folder) = path.parent() {
        trusted::folder_for_root(folder)?;
    }
    let found = files::status(path).map_err(|error| Failure::io("look at", path, &error))?;
    let found = found.filter(|found| found.kind == Kind::File);
    let found = found.ok_or_else(|| Failure::usage(format!("{} is no regular file", path.display())))?;
    let bytes = files::read(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
    let bundle = read_bundle(&bytes)
        .map_err(|error| Failure::usage(format!("{} cannot be read as PEM: {error}", path.display())))?;
    Ok((found.mode, bundle))
}

/// The same key, names and purposes, with newer dates.
fn with_its_key(
    ca: &CertificateAuthority,
    (old, purpose): (&Certificate, Purpose),
    key: Option<PrivateKey>,
    until: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(Certificate, Zeroizing<String>)> {
    let renewed = ca.renew_leaf(old, now - BACKDATED, until).map_err(|error| {
        Failure::usage(format!("it cannot be renewed: {error}")).because("nothing was changed")
    })?;
    let chain = ca.intermediates_pem();
    let text = match key {
        Some(PrivateKey::Plain(key)) if key.belongs_to(old) => {
            let certificate_pem = renewed.pem();
            one_pem(
                purpose,
                &IssuedCertificate { certificate: renewed.clone(), certificate_pem, chain_pem: chain, key },
            )
        }
        Some(_) => {
            return Err(Failure::usage("the key in the file belongs to another certificate")
                .because("nothing was changed"));
        }
        None => Zeroizing::new(format!("{}{chain}", renewed.pem())),
    };
    Ok((renewed, text))
}

fn one_pem(purpose: Purpose, issued: &IssuedCertificate) -> Zeroizing<String> {
    match purpose {
        Purpose::Server => server_with_key_pem(issued),
        Purpose::Client => client_with_key_pem(issued),
    }
}

fn with_new_key(
    ca: &CertificateAuthority,
    options: &Options,
    old: &Certificate,
    purpose: Purpose,
    life: Duration,
    now: OffsetDateTime,
) -> Result<(Certificate, Zeroizing<String>)> {
    let subject = old.subject().to_string().parse().map_err(|error| {
        Failure::usage(format!("its subject {} cannot be written again: {error}", old.subject()))
            .because("nothing was changed")
    })?;
    let hosts = old.dns_names().into_iter().filter_map(|name| name.parse().ok());
    let order = Order {
        purpose,
        subject: Some(subject),
        sans: hosts.chain(old.ip_addresses().into_iter().map(pgseal_pki::SubjectAltName::Ip)).collect(),
        key_type: own::key_type_of(old),
        life,
    };
    let folder = &options.authority.ca;
    let Signed { issued, .. } =
        own::OwnAuthority { authority: ca, folder, may_cut: true }.sign(&order, now)?;
    let text = one_pem(purpose, &issued);
    Ok((issued.certificate, text))
}

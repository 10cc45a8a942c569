//! `pgseal cert server`.

use std::path::PathBuf;

use clap::Args;
use pgseal_pki::{KeyType, Purpose, Subject, SubjectAltName, Validity, server_with_key_pem};
use time::OffsetDateTime;

use super::issued::{self, Shown};
use super::options::Signer;
use crate::certs::authority::{self, Role};
use crate::certs::inventory::{self, Entry, PlaceKind};
use crate::certs::issuer::own::OwnAuthority;
use crate::certs::issuer::{Answer, Issuer, Order, Signed};
use crate::certs::output::{self, Output, Written};
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::secure::present::flaw;

/// As every server of ours has them.
const PEM: &str = "server-with-key.pem";
const CERTIFICATE: &str = "server.crt";
const AUTHORITY: &str = "ca.crt";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert server --ca /etc/pgseal/ca --san db1.example.org --san 10.0.0.5 --out db1
  pgseal cert server --issuer-command /usr/local/bin/sign --san db1.example.org --out db1

Key and certificate are one file, which ssl_cert_file and ssl_key_file both name. For a server that
pgseal reaches, `pgseal rotate` and `pgseal secure` issue and install in one go.")]
pub(crate) struct Options {
    #[command(flatten)]
    signer: Signer,
    /// A name or address that clients use (repeatable)
    #[arg(long, value_name = "HOST|IP", required = true)]
    san: Vec<SubjectAltName>,
    /// The subject [default: the first name as common name]
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256")]
    key_type: KeyType,
    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "365d")]
    validity: Validity,
    /// The folder for the files, made 0700 where there is none
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(options: Options) -> Result<Outcome> {
    output::must_be_free(&options.out, &[PEM, CERTIFICATE, AUTHORITY])?;
    let now = OffsetDateTime::now_utc();
    let order = Order {
        purpose: Purpose::Server,
        subject: options.subject.clone(),
        sans: options.san.clone(),
        key_type: options.key_type,
        life: options.validity.duration(),
    };
    let signed = signed(&options.signer, Role::Server, &order, now).await?;
    // Signed meanwhile, and valid from then on.
    let now = OffsetDateTime::now_utc();
    if let Some(flaw) = flaw(&signed.issued.certificate, &signed.chain, &options.san, now) {
        return Err(Failure::new(format!("the certificate that was issued does not do: {flaw}"))
            .because("nothing was changed"));
    }
    let written = output::write(&options.out, &outputs(&signed))?;
    note(&signed, &options.signer, inventory::Purpose::Server, &written, CERTIFICATE, now);
    let pem =
        written.iter().find(|file| file.path.ends_with(PEM)).map(|file| file.path.display().to_string());
    let pem = pem.unwrap_or_default();
    issued::outcome(
        &Shown {
            certificate: &signed.issued.certificate,
            cut_short: signed.cut_short.is_some(),
            files: &written,
            notes: Vec::new(),
            next: vec![format!(
                "ssl_cert_file = '{pem}' and ssl_key_file = '{pem}', owned by the server's user"
            )],
        },
        options.format,
    )
}

fn outputs(signed: &Signed) -> Vec<Output> {
    let mut all = vec![
        Output::secret(
            PEM,
            server_with_key_pem(&signed.issued).as_bytes(),
            "key and certificate, for the server alone",
        ),
        Output::public(
            CERTIFICATE,
            &signed.issued.full_chain_pem(),
            "the certificate and its chain, without the key",
        ),
    ];
    if let Some(root) = &signed.root {
        all.push(Output::public(AUTHORITY, &root.pem(), "the CA, for clients (sslrootcert)"));
    }
    all
}

/// Has whoever signs sign.
pub(super) async fn signed(
    signer: &Signer,
    role: Role,
    order: &Order,
    now: OffsetDateTime,
) -> Result<Signed> {
    let answer = match (signer.command()?, &signer.ca) {
        (Some(command), _) => command.issue(order, now).await?,
        (None, Some(folder)) => {
            let loaded = authority::load(folder, role, &signer.passphrase.source())?;
            OwnAuthority { authority: &loaded, folder, may_cut: false }.issue(order, now).await?
        }
        (None, None) => {
            return Err(Failure::usage("who is to sign?").hint("--ca DIR, or --issuer-command PROGRAM"));
        }
    };
    match answer {
        Answer::Issued(signed) => Ok(*signed),
        Answer::Later { request, .. } => {
            Err(Failure::new(format!("nothing was issued yet: {} waits to be signed", request.display())))
        }
    }
}

pub(super) fn note(
    signed: &Signed,
    signer: &Signer,
    purpose: inventory::Purpose,
    written: &[Written],
    name: &str,
    now: OffsetDateTime,
) {
    let folder = signer.ca.as_deref().and_then(|folder| authority::resolved(folder).ok());
    let mut entry = Entry::new(purpose, &signed.issued.certificate, folder.as_deref(), now);
    if let Some(file) = written.iter().find(|file| file.path.ends_with(name)) {
        entry = entry.at(PlaceKind::File, file.path.display().to_string(), now);
    }
    inventory::note(folder.as_deref(), entry);
}

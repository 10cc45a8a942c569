//! `pgseal cert import`.

use std::path::PathBuf;

use clap::Args;
use pgseal_pki::{
    Certificate, IssuedCertificate, KeyPem, PrivateKey, Purpose, SubjectAltName, read_bundle,
    server_with_key_pem, verify_chain,
};
use time::OffsetDateTime;

use super::issued::{self, Shown};
use crate::certs::chain::{Ordered, ordered};
use crate::certs::inventory::{self, Entry, PlaceKind};
use crate::certs::output::{self, Output};
use crate::certs::passphrase::Passphrase;
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::secure::certificate;
use crate::secure::present::flaw;

const PEM: &str = "server-with-key.pem";
const CERTIFICATE: &str = "server.crt";
const AUTHORITY: &str = "ca.crt";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert import signed.pem --key db1/server.key --out db1-signed
  pgseal cert import signed.pem --key db1/server.key --sslrootcert company-root.pem --out db1-signed
  pgseal rotate 15/main --cert db1-signed/server.crt --key db1/server.key

The file may hold the chain in any order, with text between, and the root: the certificate of the key is
found, the order repaired, what does not belong left out, what is missing named.")]
pub(crate) struct Options {
    /// What came back: PEM, the chain in any order
    file: PathBuf,
    /// The private key that the request was made for
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The root that clients hold: the chain has to lead to it
    #[arg(long, value_name = "FILE")]
    sslrootcert: Option<PathBuf>,
    /// A name that it has to be for (repeatable)
    #[arg(long, value_name = "HOST|IP")]
    san: Vec<SubjectAltName>,
    /// The folder for the files, made 0700 where there is none
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The passphrase of the key, in the first line of a file or of stdin (-) [default: asked on the terminal]
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(options: &Options) -> Result<Outcome> {
    let now = OffsetDateTime::now_utc();
    let key = read_key(options)?;
    let ordered = chain_of(options, &key)?;
    let client =
        ordered.leaf.extended_key_usage().is_some_and(|usage| usage.client_auth() && !usage.server_auth());
    let purpose = if client { Purpose::Client } else { Purpose::Server };
    let roots = roots(options, &ordered)?;
    let mut notes = notes(&ordered);
    if roots.is_empty() {
        notes.push(format!(
            "the chain ends with {}: whether its issuer {} is a root that clients hold, or an intermediate that is \
             missing, cannot be told without --sslrootcert",
            ordered.last().subject(),
            ordered.last().issuer()
        ));
    } else {
        leads_there(options, &ordered, &roots, purpose, now)?;
    }
    in_order(options, &ordered, purpose, now)?;
    let issued = IssuedCertificate {
        certificate_pem: ordered.leaf.pem(),
        chain_pem: ordered.intermediates.iter().map(Certificate::pem).collect(),
        certificate: ordered.leaf.clone(),
        key,
    };
    let name = match purpose {
        Purpose::Server => CERTIFICATE.to_owned(),
        Purpose::Client => {
            let whose =
                issued.certificate.common_names().first().map_or_else(String::new, |name| (*name).to_owned());
            format!("{}.crt", output::file_name(&whose, "client"))
        }
    };
    let outputs = outputs(&issued, &name, purpose, roots.first());
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    output::must_be_free(&options.out, &names)?;
    let written = output::write(&options.out, &outputs)?;
    let kind = if client { inventory::Purpose::Client } else { inventory::Purpose::Server };
    let mut entry = Entry::new(kind, &issued.certificate, None, now);
    let path =
        written.iter().find(|file| file.path.ends_with(&name)).map(|file| file.path.display().to_string());
    let path = path.unwrap_or_default();
    entry = entry.at(PlaceKind::File, path.clone(), now);
    inventory::note(None, entry);
    let next = match purpose {
        Purpose::Server => format!("pgseal rotate TARGET --cert {path} --key {}", options.key.display()),
        Purpose::Client => format!("psql \"host=… sslcert={path} sslkey={}\"", options.key.display()),
    };
    issued::outcome(
        &Shown {
            certificate: &issued.certificate,
            cut_short: false,
            files: &written,
            notes,
            next: vec![next],
        },
        options.format,
    )
}

fn read_key(options: &Options) -> Result<KeyPem> {
    let path = &options.key;
    let bundle =
        read_bundle(&certificate::read(path)?).map_err(|error| certificate::unreadable(path, &error))?;
    match bundle.private_key {
        Some(PrivateKey::Plain(key)) => Ok(key),
        Some(PrivateKey::Encrypted(sealed)) => {
            let source = Passphrase::of(options.key_passphrase_file.as_deref(), None);
            let words = source.reveal(&format!("the key {}", path.display()))?;
            sealed.open(words.reveal().as_bytes()).map_err(|error| {
                Failure::usage(format!("the key {} could not be opened: {error}", path.display()))
                    .because("nothing was changed")
            })
        }
        None => {
            let failure = Failure::usage(format!("{} holds no private key", path.display()));
            let failure = if bundle.certificates.is_empty() {
                failure
            } else {
                failure.because(
                    "it holds a certificate: certificate and key are swapped, or it is the wrong file",
                )
            };
            Err(failure.because("nothing was changed"))
        }
    }
}

fn chain_of(options: &Options, key: &KeyPem) -> Result<Ordered> {
    let path = options.file.as_path();
    let bytes = certificate::read(path)?;
    let bundle = read_bundle(&bytes).map_err(|error| certificate::unreadable(path, &error))?;
    let count = bundle.certificates.len();
    let other = bundle.ignored.iter().any(|other| matches!(other.what.as_str(), "PKCS7" | "CMS"));
    let Some(ordered) = ordered(&bundle.certificates, |one| key.belongs_to(one)) else {
        let failure = Failure::usage(format!("{} holds no certificate", path.display()));
        return Err(if other {
            failure
                .because("it holds PKCS#7; nothing was changed")
                .hint("openssl pkcs7 -print_certs -in FILE")
        } else if bundle.private_key.is_some() {
            // The other one holds a key as well.
            let given_twice = certificate::read(&options.key).is_ok_and(|key| key == bytes);
            failure.because(if given_twice {
                "it is the private key once more, and what was signed is wanted; nothing was changed"
            } else {
                "it holds a private key, and what was signed is wanted; nothing was changed"
            })
        } else if bundle.ignored.iter().any(|other| other.what.ends_with("CERTIFICATE REQUEST")) {
            failure.because("it holds the request, and what was signed is wanted; nothing was changed")
        } else {
            failure.because("nothing was changed")
        });
    };
    if key.belongs_to(&ordered.leaf) {
        return Ok(ordered);
    }
    let whose = ordered.leaf.subject();
    Err(Failure::usage(match count {
        1 => format!("the certificate in {} is for another key: it is that of {whose}", path.display()),
        _ => format!("none of the {count} certificates in {} is for the key", path.display()),
    })
    .because("nothing was changed")
    .hint("the key that the request was made for; or have it signed again"))
}

fn roots(options: &Options, ordered: &Ordered) -> Result<Vec<Certificate>> {
    let Some(path) = &options.sslrootcert else { return Ok(ordered.root.clone().into_iter().collect()) };
    let bundle =
        read_bundle(&certificate::read(path)?).map_err(|error| certificate::unreadable(path, &error))?;
    if bundle.certificates.is_empty() {
        return Err(Failure::usage(format!("{} holds no certificate", path.display())));
    }
    Ok(bundle.certificates)
}

fn notes(ordered: &Ordered) -> Vec<String> {
    let mut notes = Vec::new();
    if ordered.was_in_disorder {
        notes.push("the order was another one, and was put right".to_owned());
    }
    if let Some(root) = &ordered.root {
        notes.push(format!(
            "the root {} was left out: clients hold it, and sending it helps nobody",
            root.subject()
        ));
    }
    for stranger in &ordered.strangers {
        notes.push(format!("{} does not belong to the chain, and was left out", stranger.subject()));
    }
    notes
}

fn leads_there(
    options: &Options,
    ordered: &Ordered,
    roots: &[Certificate],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<()> {
    let Err(refusal) = verify_chain(&ordered.leaf, &ordered.intermediates, roots, now, purpose) else {
        return Ok(());
    };
    let file = options.file.display();
    let failure = Failure::usage(format!("clients would refuse the chain in {file}: {refusal}"));
    let last = ordered.last();
    let known = roots.iter().any(|root| root.subject().same_as(last.issuer()));
    let failure = if known {
        failure
    } else {
        failure
            .because(format!(
                "it ends with {}; the certificate of its issuer {} is missing",
                last.subject(),
                last.issuer()
            ))
            .hint("ask whoever signed it for the intermediate certificates, and put them into the file")
    };
    Err(failure.because("nothing was changed"))
}

/// Names, dates and purposes.
fn in_order(options: &Options, ordered: &Ordered, purpose: Purpose, now: OffsetDateTime) -> Result<()> {
    let leaf = &ordered.leaf;
    let found = match purpose {
        Purpose::Server => flaw(leaf, &ordered.intermediates, &options.san, now),
        Purpose::Client if leaf.common_names().is_empty() => {
            Some("it has no common name, and PostgreSQL reads the role there".to_owned())
        }
        Purpose::Client if now < leaf.not_before() => {
            Some(format!("it is not valid before {}", leaf.not_before().date()))
        }
        Purpose::Client if now > leaf.not_after() => {
            Some(format!("it expired on {}", leaf.not_after().date()))
        }
        Purpose::Client => None,
    };
    match found {
        None => Ok(()),
        Some(flaw) => {
            Err(Failure::usage(format!("the certificate in {} does not do: {flaw}", options.file.display()))
                .because("nothing was changed"))
        }
    }
}

fn outputs(
    issued: &IssuedCertificate,
    name: &str,
    purpose: Purpose,
    root: Option<&Certificate>,
) -> Vec<Output> {
    let public = Output::public(name, &issued.full_chain_pem(), "the certificate and its chain, in order");
    match purpose {
        Purpose::Client => vec![public],
        Purpose::Server => {
            let pem = server_with_key_pem(issued);
            let mut all = vec![
                Output::secret(PEM, pem.as_bytes(), "key and certificate, for the server alone"),
                public,
            ];
            all.extend(
                root.map(|root| {
                    Output::public(AUTHORITY, &root.pem(), "the root, for clients (sslrootcert)")
                }),
            );
            all
        }
    }
}

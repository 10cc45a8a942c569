//! `pgseal cert csr`.

use std::path::{Path, PathBuf};

use clap::Args;
use pgseal_pki::{KeyPem, KeyType, PrivateKey, Purpose, Subject, SubjectAltName, read_bundle};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::certs::issuer::by_hand::ByHand;
use crate::certs::issuer::{Answer, Issuer, Order};
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::secure::certificate;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert csr --san db1.example.org --san 10.0.0.5 --out db1
  pgseal cert csr --user app --out app
  pgseal cert import signed.pem --key db1/server.key --out db1-signed     when it comes back

The key stays where it is made. Whoever signs decides about the dates.")]
pub(crate) struct Options {
    /// A name or address that clients use (repeatable)
    #[arg(long, value_name = "HOST|IP", required_unless_present = "user", conflicts_with = "user")]
    san: Vec<SubjectAltName>,
    /// The role that logs in with it: a request for a client's certificate
    #[arg(short = 'U', long, value_name = "ROLE")]
    user: Option<String>,
    /// The subject [default: the first name, or the role, as common name]
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256", conflicts_with = "key")]
    key_type: KeyType,
    /// Ask for a key that is there already
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The folder for key and request, made 0700 where there is none
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `cert csr` (docs/schema/cert-csr.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    request: String,
    key: String,
}

pub(super) async fn run(options: Options) -> Result<Outcome> {
    let (purpose, stem) = match &options.user {
        Some(user) => (Purpose::Client, crate::certs::output::file_name(user, "client")),
        None => (Purpose::Server, "server".to_owned()),
    };
    let subject = match (&options.subject, &options.user) {
        (None, None) => None,
        (Some(subject), None) => Some(subject.clone()),
        (further, Some(user)) => Some(of_role(further.as_ref(), user)?),
    };
    let key =
        options.key.as_deref().map(|path| read_key(path).map(|key| (key, path.to_owned()))).transpose()?;
    let by_hand = ByHand {
        folder: &options.out,
        key_name: format!("{stem}.key"),
        request_name: format!("{stem}.csr"),
        key,
    };
    let order = Order {
        purpose,
        subject,
        sans: options.san.clone(),
        key_type: options.key_type,
        // Whoever signs decides.
        life: Duration::ZERO,
    };
    let Answer::Later { request, key } = by_hand.issue(&order, OffsetDateTime::now_utc()).await? else {
        return Err(Failure::new("a request was answered before it was made"));
    };
    let text = match options.format {
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            request: request.display().to_string(),
            key: key.display().to_string(),
        })?,
        Format::Human => human(&request, &key),
    };
    Ok(Outcome::well(text))
}

fn human(request: &Path, key: &Path) -> String {
    let screen = Screen::of_stdout();
    [
        screen.line(
            Mark::Holds,
            "request",
            &for_terminal(&format!("{}, for whoever signs", request.display())),
        ),
        screen.line(Mark::Holds, "key", &for_terminal(&format!("{} (0600), stays here", key.display()))),
        for_terminal(&format!(
            "    when it comes back: pgseal cert import SIGNED --key {} --out DIR",
            key.display()
        )),
    ]
    .join("\n")
}

fn of_role(further: Option<&Subject>, user: &str) -> Result<Subject> {
    let common_name = Subject::common_name(user)
        .ok_or_else(|| Failure::usage(format!("--user {user:?} cannot stand in a certificate")))?;
    match further {
        None => Ok(common_name),
        Some(further) => further.with_common_name(user).map_err(|error| Failure::usage(error.to_string())),
    }
}

fn read_key(path: &Path) -> Result<KeyPem> {
    let bundle =
        read_bundle(&certificate::read(path)?).map_err(|error| certificate::unreadable(path, &error))?;
    match bundle.private_key {
        Some(PrivateKey::Plain(key)) => Ok(key),
        Some(PrivateKey::Encrypted(_)) => {
            Err(Failure::usage(format!("the key {} is behind a passphrase", path.display()))
                .hint("openssl pkey -in KEY -out NEW-KEY, in a folder that only you can read"))
        }
        None => Err(Failure::usage(format!("{} holds no private key", path.display()))),
    }
}

//! `pgseal cert client`.

use std::path::PathBuf;

use clap::Args;
use pgseal_pki::pkcs12::{self, JDBC_ALIAS};
use pgseal_pki::{KeyType, Purpose, Subject, Validity, client_with_key_pem};
use time::OffsetDateTime;

use super::issued::{self, Shown};
use super::options::Signer;
use super::server::{note, signed};
use crate::certs::authority::Role;
use crate::certs::inventory;
use crate::certs::issuer::{Order, Signed};
use crate::certs::output::{self, Output};
use crate::certs::passphrase::Passphrase;
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Failure, Result};

/// A role's name has at most 63 bytes (NAMEDATALEN - 1), and a common name 64 characters.
const LONGEST_ROLE: usize = 63;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert client --ca /etc/pgseal/client-ca --user app --out app
  pgseal cert client --ca /etc/pgseal/client-ca --user app --out app --p12 --der

The common name is the role: what `cert` and `clientcert=verify-full` of pg_hba.conf compare. libpq takes
the .crt and .key (sslcert, sslkey); Java the .p12, whose alias is user, or the .pk8 beside the .crt.")]
pub(crate) struct Options {
    #[command(flatten)]
    signer: Signer,
    /// The role that logs in with it
    #[arg(short = 'U', long, value_name = "ROLE")]
    user: String,
    /// Further attributes of its subject, such as O=Example
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256")]
    key_type: KeyType,
    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "90d")]
    validity: Validity,
    /// The folder for the files, made 0700 where there is none
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Key and certificate in one file, which sslcert and sslkey both name
    #[arg(long)]
    one_pem: bool,
    /// Also a PKCS#12 store for Java (wants a passphrase, which becomes sslpassword)
    #[arg(long)]
    p12: bool,
    /// The store's passphrase, in the first line of a file or of stdin (-) [default: asked on the terminal]
    #[arg(long, value_name = "FILE", requires = "p12", conflicts_with = "p12_passphrase_fd")]
    p12_passphrase_file: Option<PathBuf>,
    /// The same over a file descriptor
    #[arg(long, value_name = "N", requires = "p12")]
    p12_passphrase_fd: Option<u32>,
    /// Also the key as PKCS#8 in DER for Java
    #[arg(long)]
    der: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(options: Options) -> Result<Outcome> {
    let name = output::file_name(&options.user, "client");
    let of = |ending: &str| format!("{name}.{ending}");
    let names = [of("key"), of("crt"), of("pem"), of("p12"), of("pk8")];
    output::must_be_free(&options.out, &names.each_ref().map(String::as_str))?;
    let order = Order {
        purpose: Purpose::Client,
        subject: Some(subject(&options)?),
        sans: Vec::new(),
        key_type: options.key_type,
        life: options.validity.duration(),
    };
    let passphrase = Passphrase::of(options.p12_passphrase_file.as_deref(), options.p12_passphrase_fd);
    let passphrase = options.p12.then(|| passphrase.invent("the PKCS#12 store")).transpose()?;
    let now = OffsetDateTime::now_utc();
    let signed = signed(&options.signer, Role::Client, &order, now).await?;
    // Signed meanwhile, and valid from then on.
    fit(&signed, &options.user, OffsetDateTime::now_utc())?;
    let issued = &signed.issued;
    let (certificate, key) = if options.one_pem { ("pem", "pem") } else { ("crt", "key") };
    let mut outputs = if options.one_pem {
        let text = client_with_key_pem(issued);
        vec![Output::secret(of("pem"), text.as_bytes(), "key and certificate (sslkey and sslcert)")]
    } else {
        vec![
            Output::secret(of("key"), issued.key.as_str().as_bytes(), "the private key (sslkey)"),
            Output::public(of("crt"), &issued.full_chain_pem(), "the certificate (sslcert)"),
        ]
    };
    if let Some(passphrase) = &passphrase {
        let mut issuers = signed.chain.clone();
        issuers.extend(signed.root.clone());
        let store =
            pkcs12::store(JDBC_ALIAS, &issued.key, &issued.certificate, &issuers, passphrase.reveal())
                .map_err(|error| Failure::new(format!("could not make the PKCS#12 store: {error}")))?;
        outputs.push(Output::secret(of("p12"), &store, "key and certificate for Java (sslkey, alias user)"));
    }
    if options.der {
        outputs.push(Output::secret(of("pk8"), issued.key.pkcs8_der(), "the private key for Java (sslkey)"));
    }
    let written = output::write(&options.out, &outputs)?;
    note(&signed, &options.signer, inventory::Purpose::Client, &written, &of(certificate), now);
    let path = |ending: &str| {
        let file = written.iter().find(|file| file.path.ends_with(of(ending)));
        file.map(|file| file.path.display().to_string()).unwrap_or_default()
    };
    let mut next = vec![format!(
        "psql \"host=… user={} sslcert={} sslkey={}\"",
        options.user,
        path(certificate),
        path(key)
    )];
    if options.p12 {
        next.push(format!("jdbc:postgresql://…?user={}&sslkey={}&sslpassword=…", options.user, path("p12")));
    }
    if options.der {
        next.push(format!(
            "jdbc:postgresql://…?user={}&sslcert={}&sslkey={}",
            options.user,
            path(certificate),
            path("pk8")
        ));
    }
    issued::outcome(
        &Shown {
            certificate: &issued.certificate,
            cut_short: signed.cut_short.is_some(),
            files: &written,
            notes: Vec::new(),
            next,
        },
        options.format,
    )
}

/// The role as common name, behind whatever else was said.
fn subject(options: &Options) -> Result<Subject> {
    let refused = |why: &str| {
        Failure::usage(format!("--user {:?} {why}", options.user))
            .hint("the role as it is written in pg_roles")
    };
    if options.user.is_empty() || options.user.len() > LONGEST_ROLE {
        return Err(refused("is not between 1 and 63 bytes long, as roles are"));
    }
    let common_name =
        Subject::common_name(&options.user).ok_or_else(|| refused("cannot stand in a certificate"))?;
    match &options.subject {
        None => Ok(common_name),
        Some(further) => {
            further.with_common_name(&options.user).map_err(|error| Failure::usage(error.to_string()))
        }
    }
}

/// What a server that asks for it would not take.
fn fit(signed: &Signed, user: &str, now: OffsetDateTime) -> Result<()> {
    let leaf = &signed.issued.certificate;
    let no = |why: String| {
        Err(Failure::new(format!("the certificate that was issued does not do: {why}"))
            .because("nothing was changed"))
    };
    if leaf.common_names().first() != Some(&user) {
        return no(format!("its common name is {:?}, and the role is {user:?}", leaf.common_names()));
    }
    if leaf.extended_key_usage().is_some_and(|usage| !usage.client_auth()) {
        return no("it is not for clients (extended key usage)".to_owned());
    }
    if !(leaf.not_before()..=leaf.not_after()).contains(&now) {
        return no(format!("it is valid from {} to {}", leaf.not_before(), leaf.not_after()));
    }
    Ok(())
}

//! `pgseal client`.

use std::path::PathBuf;

use clap::Args;
use pgseal_wire::{LibpqVersion, SslMode};
use time::OffsetDateTime;

use super::Outcome;
use super::client_check::{self, Verdicts};
use super::client_report::{human, told};
use super::options::Format;
use super::verify::warn_about_password;
use crate::client::drivers::{self, Driver};
use crate::client::managed::{self, Roots, Service};
use crate::client::served::{Served, Verified, Wants, look, shown};
use crate::client::trusted::{self, Trusted};
use crate::client::values::{OwnCertificate, Values};
use crate::client::warnings::Shown;
use crate::client::write::Folder;
use crate::client::{client_of, compose, forms};
use crate::failure::{Ending, Failure, Result};
use crate::report::escape::for_terminal;
use crate::report::json;
use crate::report::screen::Screen;
use crate::target::{Client, Said, Target, shown as shown_word};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal client ./pgseal
  pgseal client 'host=db1 user=app dbname=shop sslrootcert=ca.crt' --driver pgjdbc --driver asyncpg
  pgseal client 15/main --driver node-postgres@8.23.1 --ca-path /etc/ssl/db-ca.crt
  pgseal client db1:5432 -U app -d shop --trust-on-first-use
  pgseal client ./pgseal --write ./app-tls
  pgseal client ./pgseal --check - --driver Npgsql < connection-string

One connection is made, as far as the request for a password, to see that what is told verifies. No password is asked for or
shown: it belongs into a password file, PGPASSWORD, or where the application keeps its secrets.
Exit status: 0 where what is told verifies (with --check: the string), 1 where it does not or that could not be seen.")]
pub(crate) struct Options {
    /// HOST or HOST:PORT, a connection string, a folder made by `pgseal up`, a data directory, a cluster such as 15/main,
    /// container:NAME, a compose file (FILE#SERVICE)
    target: String,
    /// The role to log in as
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to log in to
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// The CA that clients trust: a file here, or the system's store
    #[arg(long, value_name = "FILE|system")]
    sslrootcert: Option<String>,
    /// Where clients find the CA, if not where it lies here
    #[arg(long, value_name = "PATH")]
    ca_path: Option<String>,
    /// Believe what answers now, where no CA is known
    #[arg(long, conflicts_with = "sslrootcert")]
    trust_on_first_use: bool,
    /// Only this driver; may be said more than once
    #[arg(long, value_name = "NAME[@VERSION]")]
    driver: Vec<String>,
    /// What a connection string that you have would do there, in any driver's form; - reads it from standard input
    #[arg(long, value_name = "STRING", conflicts_with = "mode")]
    check: Option<String>,
    /// disable, allow, prefer, require, verify-ca or verify-full
    #[arg(long, value_name = "SSLMODE", default_value = "verify-full")]
    mode: String,
    /// The client's own certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of --cert, 0600
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Write CA, service file, password file, certificate and key, .env and a Secret for Kubernetes into a folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["ca_path", "check"])]
    write: Option<PathBuf>,
    /// Lines for an application in the server's compose project, where the server is called SERVICE (as TARGET has it)
    #[arg(long, value_name = "SERVICE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    compose: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Everything that is shown.
pub(super) struct Handout {
    pub(super) target: String,
    pub(super) values: Values,
    pub(super) trusted: Trusted,
    pub(super) served: Served,
    pub(super) managed: Option<Service>,
    pub(super) forms: forms::Forms,
    pub(super) drivers: Vec<Driver>,
    /// Whether drivers were asked for by name.
    pub(super) asked: bool,
    pub(super) certificate: Option<Shown>,
    pub(super) warnings: Vec<String>,
    /// What was written.
    pub(super) written: Vec<PathBuf>,
    /// Lines of a compose file.
    pub(super) compose: Option<String>,
    /// Where a string was to be checked.
    pub(super) verdicts: Option<Verdicts>,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    warn_about_password(&options.target);
    let handout = hand_out(&options).await?;
    let text = match options.format {
        Format::Human => human(&handout, Screen::of_stdout()),
        Format::Json => json::text(&told(&handout))?,
    };
    let well = match &handout.verdicts {
        Some(verdicts) => verdicts.are_good(),
        None => handout.served.verified == Verified::Yes,
    };
    let ending = if well { Ending::Well } else { Ending::NotProved };
    Ok(Outcome { text, ending })
}

/// Looks at the server, and puts together what its clients want.
async fn hand_out(options: &Options) -> Result<Handout> {
    let mode = mode_of(&options.mode)?;
    let wanted = match options.driver.as_slice() {
        [] => drivers::all()?,
        names => names.iter().map(|name| drivers::named(name)).collect::<Result<_>>()?,
    };
    let string = options.check.as_deref().map(client_check::given).transpose()?;
    let said = Said {
        username: options.username.as_deref(),
        dbname: options.dbname.as_deref(),
        sslrootcert: options.sslrootcert.as_deref(),
        libpq: LibpqVersion::NEWEST,
    };
    let mut client = client_of(&options.target, &said).await?;
    let own = own_certificate(options)?;
    if let Some(own) = &own {
        client.show_certificate(&own.certificate, &own.key)?;
    }
    let (host, port) = one_host(&client)?;
    let managed = managed::of_host(&host);
    let mut trusted = trust(options, &client, managed.as_ref()).await?;
    let folder = options.write.as_deref().map(Folder::at).transpose()?;
    let served = look(&client, SslMode::VerifyFull, &trusted.given).await;
    let chain = match served.chain.first() {
        None if served.verified == Verified::No => shown(&client).await.unwrap_or_default(),
        _ => served.chain.clone(),
    };
    let now = OffsetDateTime::now_utc();
    let certificate = chain.first().map(|leaf| Shown::of(leaf, &host, now));
    let source = own.clone();
    let own = match &folder {
        None => own,
        Some(folder) => own.map(|_| folder.own()),
    };
    if let Some(folder) = folder.as_ref().filter(|_| trusted.from != trusted::From::System) {
        trusted.path = folder.ca();
        trusted.lies_there = true;
    }
    let values = Values {
        host,
        port,
        user: client.username.clone(),
        dbname: client.dbname.clone(),
        mode,
        ca: trusted.path.clone(),
        own,
    };
    let verdicts = match string {
        None => None,
        Some(string) => {
            let leaf = chain.first();
            Some(client_check::judge(string, &options.driver, &client, &trusted, &values, leaf).await?)
        }
    };
    let mut warnings = warnings(&values, &served, &trusted, certificate.as_ref());
    let mut written = Vec::new();
    if let Some(folder) = &folder {
        verifies(&served)?;
        written = folder.fill(&values, &trusted, source.as_ref(), client.password.as_ref())?;
        warnings.extend(in_a_work_tree(folder));
    }
    let compose = match &options.compose {
        Some(said) => {
            let named = Target::service(&options.target).filter(|_| said.is_empty());
            let service = compose::service(named.as_deref().unwrap_or(said), chain.first())?;
            Some(compose::lines(&service, &values, &trusted))
        }
        None => None,
    };
    Ok(Handout {
        written,
        compose,
        verdicts,
        target: shown_word(&options.target),
        forms: forms::of(&values)?,
        warnings,
        values,
        trusted,
        served,
        managed,
        drivers: wanted,
        asked: !options.driver.is_empty(),
        certificate,
    })
}

fn mode_of(word: &str) -> Result<SslMode> {
    word.parse().map_err(|error: pgseal_wire::InvalidSslMode| {
        Failure::usage(error.to_string()).hint("--mode verify-full")
    })
}

/// The certificate and the key, as absolute paths.
fn own_certificate(options: &Options) -> Result<Option<OwnCertificate>> {
    let (Some(certificate), Some(key)) = (&options.cert, &options.key) else { return Ok(None) };
    let absolute = |path: &PathBuf| {
        let found = std::fs::canonicalize(path)
            .map_err(|error| Failure::io("find the client certificate's file", path, &error))?;
        found.to_str().map(str::to_owned).ok_or_else(|| {
            Failure::new(format!(
                "the path {} is not UTF-8, and no connection string can hold it",
                found.display()
            ))
        })
    };
    Ok(Some(OwnCertificate { certificate: absolute(certificate)?, key: absolute(key)? }))
}

/// Where clients go: one host, by name or address.
fn one_host(client: &Client) -> Result<(String, u16)> {
    let [route] = client.routes.as_slice() else {
        return Err(Failure::usage(format!("the connection string names {} servers", client.routes.len()))
            .hint("ask for them one by one"));
    };
    if route.socket_path().is_some() {
        return Err(Failure::usage(format!(
            "{} is a Unix socket, which never carries TLS",
            for_terminal(&route.host)
        ))
        .hint("name the host that clients on the network use"));
    }
    if route.host.is_empty() {
        // libpq's own words.
        return Err(Failure::usage("host name must be specified for a verified SSL connection")
            .hint("host=NAME beside hostaddr"));
    }
    Ok((route.host.clone(), route.port))
}

/// The CA that is known, or how to come to know one.
async fn trust(options: &Options, client: &Client, managed: Option<&Service>) -> Result<Trusted> {
    let path = options.ca_path.as_deref();
    if options.trust_on_first_use {
        return trusted::of_first_use(&shown(client).await?, path, client);
    }
    if let Some(trusted) = trusted::of_client(client, path)? {
        return Ok(trusted);
    }
    let target = for_terminal(&shown_word(&options.target));
    let unknown = || {
        Failure::stopped(format!("no CA of {target} is known, and without one no driver verifies the server"))
    };
    Err(match managed {
        Some(service) if service.roots == Roots::System => return trusted::of_system(path),
        Some(service) => unknown()
            .because(format!("this is {}: {}", service.name, service.how))
            .because(format!("its documentation: {}", service.documentation))
            .hint("pgseal client TARGET --sslrootcert FILE"),
        None => unknown()
            .because("the CA comes from who runs the server; one signed by a public authority verifies with --sslrootcert system")
            .because(
                "--trust-on-first-use takes the CA that the server itself shows now: somebody in the middle at this moment would be believed from then on",
            )
            .hint("pgseal client TARGET --sslrootcert FILE"),
    })
}

/// What to know before anything is handed out.
fn warnings(values: &Values, served: &Served, trusted: &Trusted, certificate: Option<&Shown>) -> Vec<String> {
    let mut said = certificate.map(Shown::for_all).unwrap_or_default();
    if trusted.from == trusted::From::FirstUse {
        said.push(
            "nobody vouched for this CA but who answered just now: compare its fingerprint with the one on the server before anything relies on it".to_owned(),
        );
    }
    if values.mode != SslMode::VerifyFull {
        said.push(format!("{}: {}", values.mode, lets_through(values.mode)));
    }
    if served.wants == Wants::NobodyWithout && values.own.is_none() {
        said.push(
            "the server wants a client certificate: pgseal client TARGET --cert FILE --key FILE".to_owned(),
        );
    }
    said
}

/// Refuses to write what does not verify.
fn verifies(served: &Served) -> Result<()> {
    if served.verified != Verified::No {
        return Ok(());
    }
    Err(Failure::stopped("nothing was written: what it would say does not verify the server")
        .because_all(served.said.lines().map(str::to_owned))
        .hint("pgseal client TARGET shows what is known"))
}

fn in_a_work_tree(folder: &Folder) -> Option<String> {
    let tree = folder.work_tree()?;
    Some(format!(
        "the folder lies in the git work tree {}: keep pgpass, client.key and secret.yaml out of it",
        tree.display()
    ))
}

/// What a weaker mode lets through, with a root file.
const fn lets_through(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "everything goes in plaintext",
        SslMode::Allow => "plaintext, unless the server refuses that",
        SslMode::Prefer => "plaintext, where the server has no TLS or its chain does not verify",
        SslMode::Require | SslMode::VerifyCa => "any certificate of the same CA, whatever its name",
        SslMode::VerifyFull => "nobody but the server",
    }
}

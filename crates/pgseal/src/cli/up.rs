//! `pgseal up`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pgseal_pki::{KeyType, Subject, SubjectAltName, Validity};

use super::Outcome;
use super::options::{Format, STDIN, folder, secret_from};
use crate::compose::image::checked_name;
use crate::failure::{Ending, Failure, Result};
use crate::folder::state;
use crate::privilege::secret::Secret;
use crate::report::json;
use crate::report::screen::Screen;
use crate::up::dry_run::dry_run;
use crate::up::report;
use crate::up::run as upping;
use crate::up::wish::{Engine, Wish, container_name, database_name, listen_addresses, superuser_name};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal up
  pgseal up /srv/db --san db1.example.org --san 10.0.0.5 --listen 10.0.0.5 -p 5433
  pgseal up --format json | jq -r .uri
  pgseal up /srv/shop --engine compose --image postgres:16-alpine --container-name shop-db

A second `up` starts what is stopped, changes nothing that is right, and proves again.")]
pub(crate) struct Options {
    /// The folder to make [default: ./pgseal]
    dir: Option<PathBuf>,
    /// What runs the server: a process of this machine, or a container [default: native]
    #[arg(long, value_enum)]
    engine: Option<EngineWord>,
    /// With --engine compose: the image [default: postgres:16-alpine]
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// With --engine compose: the container's name [default: as compose names it]
    #[arg(long, value_name = "NAME")]
    container_name: Option<String>,
    /// Another name or address for the certificate (repeatable)
    #[arg(long = "san", value_name = "HOST|IP")]
    sans: Vec<String>,
    /// The port; 0 takes a free one [default: 5432]
    #[arg(short, long)]
    port: Option<u16>,
    /// An address to listen on, `localhost` or `*` (repeatable) [default: localhost]
    #[arg(long = "listen", value_name = "ADDR")]
    listen: Vec<String>,
    /// The superuser's name [default: admin]
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to make [default: mydb]
    #[arg(short, long)]
    dbname: Option<String>,
    /// The superuser's password in the first line of a file, `-` for stdin [default: a fresh one]
    #[arg(long, value_name = "FILE|-")]
    password_file: Option<PathBuf>,
    /// The folder with postgres and initdb [default: the newest found]
    #[arg(long, value_name = "DIR")]
    bindir: Option<PathBuf>,
    /// How long the certificate is valid, as 365d, 12h or 5m [default: 365d]
    #[arg(long)]
    validity: Option<String>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096 [default: ecdsa-p256]
    #[arg(long, value_name = "TYPE")]
    key_type: Option<String>,
    /// The certificate's subject, as CN=db1,O=Example [default: CN of the first name]
    #[arg(long, value_name = "DN")]
    subject: Option<String>,
    /// As root: the user who runs the server [default: postgres]
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// Encrypt the CA's key with the first line of a file, `-` for stdin
    #[arg(long, value_name = "FILE|-")]
    ca_passphrase_file: Option<PathBuf>,
    /// Print what would be written and run, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineWord {
    /// PostgreSQL's programs of this machine
    Native,
    /// A Docker Compose project
    Compose,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let format = options.format;
    let folder = state::resolve(&folder(options.dir.clone()))?;
    let only_plan = options.dry_run;
    let wish = wish(options)?;
    if only_plan {
        let planned = dry_run(&folder, &wish).await?;
        return Ok(Outcome::well(match format {
            Format::Human => planned.human(),
            Format::Json => json::text(&planned)?,
        }));
    }
    let done = upping::up(&folder, &wish).await?;
    let ending = if done.proof.complete() { Ending::Well } else { Ending::NotProved };
    let text = match format {
        Format::Human => report::human(&done, Screen::of_stdout())?,
        Format::Json => json::text(&report::row(&done)?)?,
    };
    Ok(Outcome { text, ending })
}

fn wish(options: Options) -> Result<Wish> {
    let from_stdin = |path: &Option<PathBuf>| path.as_deref().is_some_and(|path| path == Path::new(STDIN));
    if from_stdin(&options.password_file) && from_stdin(&options.ca_passphrase_file) {
        return Err(Failure::usage(
            "--password-file and --ca-passphrase-file cannot both be read from stdin",
        )
        .hint("a file of its own for one of them"));
    }
    fits_the_engine(&options)?;
    let passphrase = secret(options.ca_passphrase_file, "--ca-passphrase-file")?;
    Ok(Wish {
        engine: options.engine.map(|word| match word {
            EngineWord::Native => Engine::Native,
            EngineWord::Compose => Engine::Compose,
        }),
        image: options.image.map(|name| checked_name("--image", &name)).transpose()?,
        container_name: options.container_name.map(|name| container_name(&name)).transpose()?,
        sans: all::<SubjectAltName>(&options.sans, "--san")?,
        port: options.port,
        listen: listen_addresses(&options.listen)?,
        username: options.username.map(|name| superuser_name("--username", &name)).transpose()?,
        dbname: options.dbname.map(|name| database_name("--dbname", &name)).transpose()?,
        password: secret(options.password_file, "--password-file")?,
        bindir: options.bindir.as_deref().map(absolute).transpose()?,
        validity: one::<Validity>(options.validity, "--validity")?,
        key_type: one::<KeyType>(options.key_type, "--key-type")?,
        subject: one::<Subject>(options.subject, "--subject")?,
        run_as: options.run_as,
        authority_passphrase: passphrase,
    })
}

/// Options that one of the engines has nothing to do with.
fn fits_the_engine(options: &Options) -> Result<()> {
    let compose = options.engine == Some(EngineWord::Compose);
    let wrong = if compose {
        [("--bindir", options.bindir.is_some()), ("--run-as", options.run_as.is_some())]
    } else {
        let native = options.engine == Some(EngineWord::Native);
        [
            ("--image", native && options.image.is_some()),
            ("--container-name", native && options.container_name.is_some()),
        ]
    };
    match wrong.into_iter().find(|(_, given)| *given) {
        Some((option, _)) if compose => Err(Failure::usage(format!("{option} goes with --engine native"))
            .hint("--image names the PostgreSQL of a container; its user is the image's own")),
        Some((option, _)) => Err(Failure::usage(format!("{option} goes with --engine compose"))),
        None => Ok(()),
    }
}

fn secret(path: Option<PathBuf>, option: &str) -> Result<Option<Secret>> {
    path.map(|path| secret_from(option, &path)).transpose()
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))
}

fn one<T>(word: Option<String>, option: &str) -> Result<Option<T>>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    word.map(|word| word.parse().map_err(|error| Failure::usage(format!("{option} {word}: {error}"))))
        .transpose()
}

fn all<T>(words: &[String], option: &str) -> Result<Vec<T>>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    words
        .iter()
        .map(|word| word.parse().map_err(|error| Failure::usage(format!("{option} {word}: {error}"))))
        .collect()
}

//! `pgseal verify`.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;

use super::Outcome;
use super::options::Format;
use crate::compose::daemon;
use crate::compose::project::{Project, Service};
use crate::delegate::Delegate;
use crate::failure::{Ending, Failure, Result};
use crate::folder::control;
use crate::folder::layout::Folder;
use crate::folder::settings::Compose;
use crate::folder::state;
use crate::place::tunnel::Tunnel;
use crate::privilege::files;
use crate::privilege::user::server_user;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::proof::{self, ClaimRow, LeftOutRow};
use crate::report::screen::Screen;
use crate::report::stderr::say;
use crate::secure::examine::examine;
use crate::secure::pending::settle_first;
use crate::target::{Asked, Target, certificate_at_home, connection_subject, folder_subject, led_to};
use crate::verify::claim::Proof;
use crate::verify::prove;
use crate::verify::subject::Subject;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal verify ./pgseal
  pgseal verify 'postgresql://app@db1:5432/shop?sslrootcert=ca.crt'
  pgseal verify service=shop --format json
  pgseal verify 15/main

The password comes from the connection string, PGPASSWORD or the password file; it is sent only to
a server whose certificate verified fully. Exit status: 0 when every claim holds, 1 otherwise.")]
pub(crate) struct Options {
    /// A folder made by `pgseal up` or a data directory (dir:PATH), a cluster such as 15/main, or a connection string
    target: String,
    /// Whom to trust, for a connection string: a file, the system's store, or nobody
    #[arg(long, value_name = "FILE|system|none")]
    sslrootcert: Option<String>,
    /// The superuser to look from inside as, for a data directory or a cluster
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to log in to, for a data directory or a cluster
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal verify` (docs/schema/verify.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    host: &'a str,
    port: u16,
    proved: bool,
    claims: Vec<ClaimRow<'a>>,
    left_out: Vec<LeftOutRow<'a>>,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let (subject, proof) = proved(&options).await?;
    let ending = if proof.complete() { Ending::Well } else { Ending::NotProved };
    let text = match options.format {
        Format::Human => human(&subject, &proof),
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            host: &subject.host,
            port: subject.port,
            proved: proof.complete(),
            claims: proof::claim_rows(&proof),
            left_out: proof::left_out_rows(&proof),
        })?,
    };
    Ok(Outcome { text, ending })
}

async fn proved(options: &Options) -> Result<(Subject, Proof)> {
    let target = Target::parse(&options.target)?;
    if options.sslrootcert.is_some() && !matches!(target, Target::Connection(_)) {
        return Err(Failure::usage("--sslrootcert goes with a connection string: a folder has its own CA"));
    }
    let asked = Asked { username: options.username.clone(), dbname: options.dbname.clone() };
    // The way to the server, held until everything is proved.
    let _tunnel;
    let subject = match target {
        Target::Connection(text) => {
            warn_about_password(&text);
            connection_subject(&text, options.sslrootcert.as_deref()).await?
        }
        Target::Folder(path) if !is_data_directory(&path) => {
            let folder = state::resolve(&path)?;
            let is_there = files::status(&folder.data()).is_ok_and(|found| found.is_some());
            if is_there && state::made(&folder).is_ok_and(|settings| settings.compose.is_none()) {
                settle_first(&mut Target::place(&options.target).await?, &asked).await?;
            }
            let (subject, tunnel) = running(&folder).await?;
            _tunnel = tunnel;
            subject
        }
        Target::Folder(_) | Target::Cluster { .. } | Target::Container(_) | Target::Compose { .. } => {
            let mut place = Target::place(&options.target).await?;
            settle_first(&mut place, &asked).await?;
            return examine(&mut place, &asked).await;
        }
    };
    let proof = prove(&subject, OffsetDateTime::now_utc()).await?;
    Ok((subject, proof))
}

/// Whether it is a data directory and no folder of ours.
fn is_data_directory(path: &Path) -> bool {
    let has = |name: &str| path.join(name).symlink_metadata().is_ok();
    !has("pgseal.toml") && has("PG_VERSION")
}

/// Other users of the machine can read every process's arguments.
pub(super) fn warn_about_password(text: &str) {
    let given =
        pgseal_conf::conninfo::Conninfo::parse(text).is_ok_and(|asked| asked.get("password").is_some());
    if given {
        say(
            "pgseal: a password on the command line can be seen by every user of this machine; PGPASSFILE keeps it apart",
        );
    }
}

/// The folder's subject, if its server runs: a port may be held by another since.
async fn running(folder: &Folder) -> Result<(Subject, Option<Tunnel>)> {
    let settings = state::made(folder)?;
    if let Some(compose) = &settings.compose {
        return running_service(folder, compose, ours(folder_subject(folder, &settings))?).await;
    }
    let mut delegate = Delegate::start(&server_user(Some(&settings.server.run_as))?).await?;
    match control::find(folder, &settings, &mut delegate).await? {
        Some(_) => Ok((ours(folder_subject(folder, &settings))?, None)),
        None => Err(Failure::new(format!("no server runs in {}", folder.root().display()))
            .hint(format!("pgseal up {}", folder.root().display()))),
    }
}

/// With what the person shows to servers that ask for a certificate.
fn ours(subject: Subject) -> Result<Subject> {
    Ok(Subject { certificate: certificate_at_home()?, ..subject })
}

/// The folder's container, which has to run, and the way to it.
async fn running_service(
    folder: &Folder,
    compose: &Compose,
    subject: Subject,
) -> Result<(Subject, Option<Tunnel>)> {
    let docker = daemon::answering().await?;
    let service = Project::named(&docker, &compose.project).service(&compose.service).await?;
    if let Some(service) = service.filter(Service::runs) {
        return led_to(subject, &docker, &service.id).await;
    }
    Err(Failure::new(format!("no server runs in {}", folder.root().display()))
        .hint(format!("pgseal up {}", folder.root().display())))
}

fn human(subject: &Subject, proof: &Proof) -> String {
    let place = for_terminal(&format!("{}:{}", subject.host, subject.port));
    format!("{place}\n{}", proof::human(proof, Screen::of_stdout()))
}

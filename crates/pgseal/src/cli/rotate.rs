//! `pgseal rotate`.

use std::path::PathBuf;

use clap::Args;
use pgseal_pki::{KeyType, SubjectAltName, Validity};

use super::Outcome;
use super::cert::options::command;
use super::options::{Format, folder_of_roots};
use super::rotate_report as report;
use crate::certs::passphrase::Passphrase;
use crate::failure::{Ending, Failure, Result};
use crate::report::screen::Screen;
use crate::rotate::drill::drill;
use crate::rotate::hook;
use crate::rotate::run::{State, rotate};
use crate::rotate::wish::{Source, Wish};
use crate::target::{Asked, Target};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal rotate 15/main                    a new certificate from where the present one came
  pgseal rotate 15/main --dry-run          what would be written
  pgseal rotate ./pgseal --if-due          for cron: only in the last third of its life
  pgseal rotate container:db --cert fullchain.pem --key privkey.pem
  pgseal undo 15/main                      the certificate of before

One rename and one reload, never a restart: no connection fails, and sessions go on. What the wire does
not show afterwards is rolled back.
Exit status: 0 done and proved, 1 stopped before anything changed (with --check: there is something to
do), 3 could not be carried out, 4 rolled back.")]
// Each is a word of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Options {
    /// A data directory (dir:PATH), a cluster such as 15/main, container:NAME, a compose file (FILE#SERVICE), or a folder made by `pgseal up`
    target: String,
    /// Issue with the CA in this folder [default: whence the present certificate came]
    #[arg(long, value_name = "DIR", conflicts_with = "cert")]
    ca: Option<PathBuf>,
    /// A certificate from elsewhere, its chain behind it
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The root that clients hold, for a certificate that is signed elsewhere
    #[arg(long, value_name = "FILE", conflicts_with = "ca")]
    sslrootcert: Option<PathBuf>,
    /// Have this program sign: it gets the request on stdin, and prints the chain
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["ca", "cert"])]
    issuer_command: Option<PathBuf>,
    /// How long the program may take for one try
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "issuer_command")]
    issuer_timeout: Validity,
    /// How often it is tried
    #[arg(long, value_name = "N", default_value_t = 3, requires = "issuer_command")]
    issuer_tries: u32,
    /// A further name or address that clients use (repeatable)
    #[arg(long, value_name = "HOST|IP")]
    san: Vec<SubjectAltName>,
    /// How long an issued certificate is valid [default: as long as the present one]
    #[arg(long, value_name = "TIME", conflicts_with = "cert")]
    validity: Option<Validity>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096 [default: as the present one]
    #[arg(long, value_name = "TYPE", conflicts_with = "cert")]
    key_type: Option<KeyType>,
    /// The passphrase of the CA's key, in the first line of a file or of stdin (-)
    #[arg(long, value_name = "FILE", conflicts_with = "ca_passphrase_fd")]
    ca_passphrase_file: Option<PathBuf>,
    /// The same over a file descriptor
    #[arg(long, value_name = "N")]
    ca_passphrase_fd: Option<u32>,
    /// The passphrase of the server's own key, as ssl_passphrase_command prints it; a file or stdin (-)
    #[arg(long, value_name = "FILE", conflicts_with = "key_passphrase_fd")]
    key_passphrase_file: Option<PathBuf>,
    /// The same over a file descriptor
    #[arg(long, value_name = "N")]
    key_passphrase_fd: Option<u32>,
    /// Make the new key without a passphrase, although the present one has one
    #[arg(long, conflicts_with_all = ["key_passphrase_file", "key_passphrase_fd"])]
    plain_key: bool,
    /// Renew the CA's own certificate first, with its key; an expired one is renewed unasked
    #[arg(long, conflicts_with = "cert")]
    renew_ca: bool,
    /// Only when the present certificate is in the last third of its life, or no good
    #[arg(long)]
    if_due: bool,
    /// The present key is in wrong hands: keep no copy of it, and say what else to do
    #[arg(long)]
    compromised: bool,
    /// Go on although clients that cannot be seen may refuse the new certificate
    #[arg(long)]
    allow_unseen: bool,
    /// As root, write root's own files in this folder, where the server's settings lead there (repeatable)
    #[arg(long, value_name = "FOLDER", value_parser = folder_of_roots)]
    write_as_root: Vec<PathBuf>,
    /// Take a change as it stands that another user's pgseal made (repeatable)
    #[arg(long, value_name = "CHANGE")]
    adopt: Vec<String>,
    /// Exchange two files whose paths the command line fixes, one after the other
    #[arg(long)]
    accept_crash_window: bool,
    /// Print the line for certbot's --deploy-hook, cron and the like, and end
    #[arg(long, conflicts_with_all = ["dry_run", "check"])]
    deploy_hook: bool,
    /// Rehearse it on a temporary server of the same version with a copy of the TLS settings; touches nothing
    #[arg(long, conflicts_with_all = ["dry_run", "check", "deploy_hook", "cert", "ca", "issuer_command"])]
    drill: bool,
    /// Show what would be written, and end
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// The same; status 1 when there is something to do
    #[arg(long)]
    check: bool,
    /// The superuser to log in as
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to log in to [default: postgres]
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    if let Target::Connection(_) = Target::parse(&options.target)? {
        return Err(Failure::usage("a connection string reaches no files, and a certificate lies in files")
            .because("nothing was changed")
            .hint("on the server's own machine, with its data directory, its cluster or its container as TARGET"));
    }
    let wish = wish(&options)?;
    if options.deploy_hook {
        return Ok(Outcome::well(hook::line(&options.target, &wish.source).await?));
    }
    let asked = Asked { username: options.username.clone(), dbname: options.dbname.clone() };
    if options.drill {
        let drilled = drill(&options.target, &asked).await?;
        return Ok(Outcome::well(match options.format {
            Format::Human => report::drill_text(&drilled, Screen::of_stdout()),
            Format::Json => report::drill_json(&drilled)?,
        }));
    }
    let only_plan = options.dry_run || options.check;
    let done = rotate(&options.target, &wish, &asked, only_plan).await?;
    let to_do = options.check && done.state == State::Planned;
    let ending = if to_do || !done.proved { Ending::NotProved } else { Ending::Well };
    let text = match options.format {
        Format::Human => report::human(&done, Screen::of_stdout()),
        Format::Json => report::json_text(&done)?,
    };
    Ok(Outcome { text, ending })
}

fn wish(options: &Options) -> Result<Wish> {
    let source = match (&options.ca, &options.cert, &options.key, &options.issuer_command) {
        (Some(folder), ..) => Source::Authority(folder.clone()),
        (_, Some(certificate), Some(key), _) => {
            Source::Files { certificate: certificate.clone(), key: key.clone() }
        }
        (.., Some(program)) => {
            let command = command(program, options.issuer_timeout, options.issuer_tries)?;
            Source::Command {
                program: command.program,
                seconds: command.timeout.as_secs(),
                tries: command.tries,
            }
        }
        _ => Source::Remembered,
    };
    Ok(Wish {
        source,
        root: options.sslrootcert.clone(),
        sans: options.san.clone(),
        validity: options.validity,
        key_type: options.key_type,
        passphrase: Passphrase::of(options.ca_passphrase_file.as_deref(), options.ca_passphrase_fd),
        key_passphrase: (options.key_passphrase_file.is_some() || options.key_passphrase_fd.is_some())
            .then(|| Passphrase::of(options.key_passphrase_file.as_deref(), options.key_passphrase_fd)),
        plain_key: options.plain_key,
        renew_ca: options.renew_ca,
        compromised: options.compromised,
        allow_unseen: options.allow_unseen,
        as_root: options.write_as_root.clone(),
        adopted: options.adopt.clone(),
        accept_crash_window: options.accept_crash_window,
        if_due: options.if_due,
    })
}

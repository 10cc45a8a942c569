//! `pgseal secure`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, Parser};
use pgseal_conf::hba::ClientCertificate;
use pgseal_pki::{KeyType, SubjectAltName, Validity};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::Outcome;
use super::options::{Format, folder_of_roots};
use super::{secure_remote, secure_report as report};
use crate::compose::mend::Mend;
use crate::failure::{Ending, Failure, Result};
use crate::findings::Severity;
use crate::hba::enforcement::Exception;
use crate::policy::{self, Policy};
use crate::report::screen::Screen;
use crate::report::stderr::say;
use crate::secure::run::{Done, How, State, secure};
use crate::secure::saved::Saved;
use crate::secure::wish::{ClientsShow, Source, Wish};
use crate::target::{Asked, Target};

/// What a plan says already.
const WORDS_OF_A_PLAN: [&str; 21] = [
    "client_ca",
    "client_cert",
    "san",
    "policy",
    "enforce",
    "ca",
    "new_ca",
    "cert",
    "key",
    "reissue",
    "validity",
    "key_type",
    "auth",
    "except",
    "until",
    "even_if_locked_out",
    "allow_unseen",
    "write_as_root",
    "accept_crash_window",
    "end_plaintext_sessions",
    "mend",
];

/// Reads the words of a saved plan again.
#[derive(Debug, Parser)]
struct Again {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal secure 15/main --new-ca /etc/pgseal/ca --dry-run    what would be done
  pgseal secure 15/main --new-ca /etc/pgseal/ca              TLS on, proved; nobody is refused
  pgseal secure 15/main --enforce --confirm-within 10m       TLS only, or back again by itself
  pgseal secure 15/main --enforce --dry-run --out plan.json  for others to read
  pgseal secure compose.yaml#db --new-ca ca --dry-run        a service of a compose project
  pgseal secure compose.yaml --mend port-published-everywhere  and its port on 127.0.0.1 alone
  pgseal secure 15/main --plan plan.json --yes               exactly that, or nothing
  pgseal secure 15/main --client-ca client-ca.crt            clients have to show a certificate, too
  pgseal undo 15/main                                        as it was before, to the byte

Reloads only, never a restart. What cannot be proved is rolled back. User and password come from -U,
PGUSER, PGPASSWORD or the password file; as the server's own user or root, peer logins work too.
Exit status: 0 done and proved, 1 not proved or stopped before anything changed (with --check: there
is something to do), 3 could not be carried out, 4 rolled back.")]
// Each is a word of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Options {
    /// A data directory (dir:PATH), a cluster such as 15/main, container:NAME, a compose file (FILE#SERVICE), a folder made by `pgseal up`, or a connection string
    target: String,
    /// A name or address that clients use, for the certificate (repeatable)
    #[arg(long, value_name = "HOST|IP")]
    san: Vec<SubjectAltName>,
    /// What TLS is held against: modern, intermediate, old, or a file
    #[arg(long, value_name = "POLICY", default_value = policy::DEFAULT)]
    policy: String,
    /// Refuse plaintext over TCP, once TLS is proved
    #[arg(long)]
    enforce: bool,
    /// Issue with the CA in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["new_ca", "cert"])]
    ca: Option<PathBuf>,
    /// Make a CA in this folder, and issue with it
    #[arg(long, value_name = "DIR", conflicts_with = "cert")]
    new_ca: Option<PathBuf>,
    /// A certificate from elsewhere, its chain behind it
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Replace the present certificate also where it is good
    #[arg(long)]
    reissue: bool,
    /// How long an issued certificate is valid
    #[arg(long, value_name = "TIME", default_value = "365d")]
    validity: Validity,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256")]
    key_type: KeyType,
    /// Exchange trust, password and md5 over TCP for this method
    #[arg(long, value_name = "METHOD", value_parser = ["scram-sha-256"])]
    auth: Option<String>,
    /// Ask every client for a certificate of a CA in this file; pgseal's own login shows PGSSLCERT and PGSSLKEY
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// How it is held against the role: verify-ca takes any, verify-full one whose common name is the role's [default: verify-full]
    #[arg(long, value_name = "LEVEL", requires = "client_ca", value_parser = ["verify-ca", "verify-full"])]
    client_cert: Option<String>,
    /// Let a user go on without TLS from these addresses (repeatable; wants --until)
    #[arg(long, value_name = "USER@CIDR", requires = "until", requires = "enforce")]
    except: Vec<String>,
    /// The last day of the exceptions, YYYY-MM-DD
    #[arg(long, value_name = "DATE", requires = "except")]
    until: Option<String>,
    /// Undo by itself unless `pgseal confirm` comes within this time (10m, 90s)
    #[arg(long, value_name = "TIME")]
    confirm_within: Option<Validity>,
    /// Go on although clients that are connected now would be refused
    #[arg(long)]
    even_if_locked_out: bool,
    /// Change the issuer although clients that verify it cannot be seen
    #[arg(long)]
    allow_unseen: bool,
    /// As root, write root's own files in this folder, where the server's settings lead there (repeatable)
    #[arg(long, value_name = "FOLDER", value_parser = folder_of_roots)]
    write_as_root: Vec<PathBuf>,
    /// Exchange key and certificate one after the other where the command line fixes two paths: a crash in between leaves a server that does not start
    #[arg(long)]
    accept_crash_window: bool,
    /// Take a change as it stands that another user's pgseal made (repeatable)
    #[arg(long, value_name = "CHANGE")]
    adopt: Vec<String>,
    /// Where the server does not run: change its files, to be proved after the next start
    #[arg(long, conflicts_with_all = ["confirm_within", "end_plaintext_sessions"])]
    offline: bool,
    /// After enforcing, end the plaintext sessions that still stand
    #[arg(long, requires = "enforce")]
    end_plaintext_sessions: bool,
    /// Mend this finding in the compose file, too (repeatable)
    #[arg(long, value_name = "FINDING", value_enum)]
    mend: Vec<Mend>,
    /// Show the plan and end
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// The same; status 1 when there is something to do
    #[arg(long)]
    check: bool,
    /// With --check: status 1 only for findings at least this bad
    #[arg(long, value_name = "SEVERITY", value_enum, requires = "check")]
    fail_on: Option<Severity>,
    /// Save the plan, with what it rests on
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    out: Option<PathBuf>,
    /// Carry out a plan that was saved; refused when the server has moved since
    #[arg(long, value_name = "FILE", conflicts_with_all = WORDS_OF_A_PLAN)]
    plan: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
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
    let saved = options.plan.as_deref().map(Saved::read).transpose()?;
    let options = match &saved {
        Some(saved) => again(saved, options)?,
        None => options,
    };
    let wish = wish(&options)?;
    let how = How {
        saved,
        only_plan: options.dry_run || options.check,
        confirm_within: options.confirm_within.map(seconds).transpose()?,
        end_plaintext: options.end_plaintext_sessions,
        offline: options.offline,
        out: options.out.is_some(),
    };
    let screen = Screen::of_stdout();
    let consent = |facts: &_, plan: &_, locked_out: &[_]| {
        if options.yes {
            for warning in report::warnings(facts, plan) {
                say(&format!("pgseal: {warning}"));
            }
            return Ok(false);
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "there is nobody to ask whether the plan is right; nothing was changed",
            )
            .hint("--dry-run to see it, --yes to carry it out"));
        }
        say(&report::plan_text(&options.target, facts, plan, locked_out, screen));
        Ok(true)
    };
    if let Target::Connection(text) = Target::parse(&options.target)? {
        return remote(&options, &text, &wish).await;
    }
    let asked = Asked { username: options.username.clone(), dbname: options.dbname.clone() };
    options.out.as_deref().map(Saved::reserve).transpose()?;
    let done = secure(&options.target, &wish, &asked, &how, &consent).await.inspect_err(|_| {
        // Whoever put something else there by now keeps it: the name was taken with an empty file.
        if let Some(path) = options.out.as_deref() {
            Saved::give_up(path);
        }
    })?;
    if let Some(path) = &options.out {
        let saved = Saved::of(&options.target, words(&options), &done.facts, &done.plan);
        saved.write(path).map_err(|failure| match &done.change {
            Some(change) => failure.because(format!("change {change} was made all the same, and stands")),
            None => failure,
        })?;
    }
    let ending = if (options.check && to_do(&done, options.fail_on)) || !done.well() {
        Ending::NotProved
    } else {
        Ending::Well
    };
    let text = match options.format {
        Format::Human => report::human(&done, screen),
        Format::Json => report::json_text(&done)?,
    };
    Ok(Outcome { text, ending })
}

/// What SQL alone can do, for a connection string.
async fn remote(options: &Options, text: &str, wish: &Wish) -> Result<Outcome> {
    let files = [
        ("--ca, --new-ca, --cert", wish.source != Source::Present),
        ("--auth", wish.scram),
        ("--mend", !wish.mends.is_empty()),
        ("--client-ca", wish.clients.is_some()),
        ("--except", !wish.exceptions.is_empty()),
        ("--confirm-within", options.confirm_within.is_some()),
        ("--offline", options.offline),
        (
            "--san, --reissue, --allow-unseen",
            !options.san.is_empty() || options.reissue || options.allow_unseen,
        ),
        ("--accept-crash-window", options.accept_crash_window),
        ("--write-as-root", !options.write_as_root.is_empty()),
        ("--out, --plan", options.out.is_some() || options.plan.is_some()),
    ];
    if let Some((option, _)) = files.into_iter().find(|(_, asked)| *asked) {
        return Err(Failure::usage(format!(
            "{option}: that needs the server's files, and a connection string reaches none"
        ))
        .hint(
            "the data directory, a cluster such as 15/main, or container:NAME, on the server's own machine",
        ));
    }
    if options.username.is_some() || options.dbname.is_some() {
        return Err(Failure::usage("-U and -d: the connection string says who logs in, and where")
            .hint("postgresql://USER@HOST/DBNAME"));
    }
    if options.end_plaintext_sessions {
        return Err(Failure::usage("--end-plaintext-sessions: nothing is enforced by a connection string")
            .hint("on the server's own machine, with its data directory or cluster as TARGET"));
    }
    let asked = secure_remote::Asked {
        text,
        policy: &wish.policy,
        enforce: wish.enforce,
        even_if_locked_out: wish.even_if_locked_out,
        only_plan: options.dry_run || options.check,
        check: options.check,
        format: options.format,
    };
    let consent = |plan: &str| {
        if options.yes {
            return Ok(false);
        }
        if !std::io::stdin().is_terminal() {
            return Err(nobody_to_ask());
        }
        say(plan);
        Ok(true)
    };
    secure_remote::secure(&asked, &consent).await
}

fn nobody_to_ask() -> Failure {
    Failure::usage("there is nobody to ask whether the plan is right; nothing was changed")
        .hint("--dry-run to see it, --yes to carry it out")
}

/// Whether `--check` has found something to do.
fn to_do(done: &Done, fail_on: Option<Severity>) -> bool {
    match fail_on {
        Some(least) => done.findings.iter().any(|finding| finding.severity >= least),
        None => done.unfinished.is_some() || (done.state == State::Planned && !done.plan.is_empty()),
    }
}

/// The options that a saved plan was made with, and what is asked beside them now.
fn again(saved: &Saved, now: Options) -> Result<Options> {
    if now.target != saved.target {
        return Err(Failure::usage(format!("the plan is for {}, not for {}", saved.target, now.target)));
    }
    let words = ["secure".to_owned(), saved.target.clone()].into_iter().chain(saved.asked.iter().cloned());
    let made = Again::try_parse_from(words)
        .map_err(|error| Failure::usage(format!("the plan's own words cannot be read: {}", error.kind())))?;
    Ok(Options {
        confirm_within: now.confirm_within,
        dry_run: now.dry_run,
        check: now.check,
        adopt: now.adopt,
        offline: now.offline,
        yes: now.yes,
        username: now.username,
        dbname: now.dbname,
        format: now.format,
        // What is written beside the server's files is said by who runs it.
        out: None,
        plan: None,
        ..made.options
    })
}

/// The words that lead to the same plan.
fn words(options: &Options) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut say = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("--{name}={value}")));
    };
    // From whatever folder it is carried out later.
    let path = |path: &Option<PathBuf>| {
        let absolute = path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        absolute.map(|path| path.display().to_string())
    };
    for san in &options.san {
        say("san", Some(san.to_string()));
    }
    let named = policy::is_built_in(&options.policy);
    say("policy", if named { Some(options.policy.clone()) } else { path(&Some((&options.policy).into())) });
    say("ca", path(&options.ca));
    say("new-ca", path(&options.new_ca));
    say("cert", path(&options.cert));
    say("key", path(&options.key));
    say("validity", Some(options.validity.to_string()));
    say("key-type", Some(options.key_type.to_string()));
    say("auth", options.auth.clone());
    say("client-ca", path(&options.client_ca));
    say("client-cert", options.client_cert.clone());
    say("until", options.until.clone());
    for except in &options.except {
        say("except", Some(except.clone()));
    }
    for folder in &options.write_as_root {
        say("write-as-root", Some(folder.display().to_string()));
    }
    let flags = [
        ("enforce", options.enforce),
        ("reissue", options.reissue),
        ("even-if-locked-out", options.even_if_locked_out),
        ("allow-unseen", options.allow_unseen),
        ("accept-crash-window", options.accept_crash_window),
        ("end-plaintext-sessions", options.end_plaintext_sessions),
    ];
    words.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| format!("--{name}")));
    words
}

fn wish(options: &Options) -> Result<Wish> {
    let source = match (&options.ca, &options.new_ca, &options.cert, &options.key) {
        (Some(folder), ..) => Source::Authority(folder.clone()),
        (_, Some(folder), ..) => Source::NewAuthority(folder.clone()),
        (_, _, Some(certificate), Some(key)) => {
            Source::Given { certificate: certificate.clone(), key: key.clone() }
        }
        _ => Source::Present,
    };
    Ok(Wish {
        policy: Policy::named(&options.policy)?,
        sans: options.san.clone(),
        source,
        reissue: options.reissue,
        validity: options.validity,
        key_type: options.key_type,
        enforce: options.enforce,
        scram: options.auth.is_some(),
        clients: options.client_ca.as_ref().map(|authorities| ClientsShow {
            authorities: authorities.clone(),
            level: match options.client_cert.as_deref() {
                Some("verify-ca") => ClientCertificate::VerifyCa,
                _ => ClientCertificate::VerifyFull,
            },
        }),
        exceptions: exceptions(options)?,
        even_if_locked_out: options.even_if_locked_out,
        allow_unseen: options.allow_unseen,
        as_root: options.write_as_root.clone(),
        accept_crash_window: options.accept_crash_window,
        mends: options.mend.clone(),
        adopted: options.adopt.clone(),
    })
}

fn exceptions(options: &Options) -> Result<Vec<Exception>> {
    let Some(until) = &options.until else { return Ok(Vec::new()) };
    let until = Date::parse(until, format_description!("[year]-[month]-[day]"))
        .map_err(|_| Failure::usage(format!("--until {until} is no date")).hint("--until 2027-01-31"))?;
    if until < OffsetDateTime::now_utc().date() {
        return Err(Failure::usage(format!("--until {until} is past")).hint("a day to come"));
    }
    options.except.iter().map(|word| Exception::parse(word, until)).collect()
}

/// `--confirm-within`: a second at least, a day at most.
fn seconds(time: Validity) -> Result<u32> {
    let seconds = time.duration().whole_seconds();
    u32::try_from(seconds).ok().filter(|seconds| (1..=86_400).contains(seconds)).ok_or_else(|| {
        Failure::usage(format!("--confirm-within {time} is not between one second and one day"))
            .hint("--confirm-within 10m")
    })
}

//! `pgseal cert verify`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pgseal_pki::crl::{RevocationList, read_revocation_lists};
use pgseal_pki::{
    Certificate, LibpqRules, PrivateKey, Purpose, libpq_matches, order_of, read_bundle, strict_matches,
    strict_verify_chain, verify_chain, verify_chain_with_lists,
};
use pgseal_wire::Roots;
use serde::Serialize;
use time::OffsetDateTime;

use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Ending, Failure, Result};
use crate::privilege::files;
use crate::report::certificate::mark_of;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

const LIMIT: u64 = 8 << 20;
const LIST_LIMIT: u64 = 24 << 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert verify server.crt --sslrootcert ca.crt --host db1.example.org
  pgseal cert verify app.crt --purpose client --sslrootcert client-ca.crt --sslcrl client-ca.crl
  pgseal cert verify server-with-key.pem --sslrootcert system --host db1.example.org

As libpq judges it (OpenSSL's rules, the common name where there is no other), and as strict clients do (Go,
rustls). Nothing is connected to. Exit status: 0 when all of it holds, 1 otherwise.")]
pub(crate) struct Options {
    /// PEM: the certificate first, its chain behind it, perhaps the key
    file: PathBuf,
    /// Whom to trust: a file, or the system's store
    #[arg(long, value_name = "FILE|system")]
    sslrootcert: String,
    /// A name that clients connect to (repeatable)
    #[arg(long, value_name = "HOST|IP")]
    host: Vec<String>,
    /// A revocation list; every CA of the chain then needs one in it
    #[arg(long, value_name = "FILE")]
    sslcrl: Option<PathBuf>,
    /// What it is to be good for
    #[arg(long, value_enum, default_value_t)]
    purpose: For,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum For {
    /// A server that clients verify
    #[default]
    Server,
    /// A client that a server verifies
    Client,
}

/// The JSON of `cert verify` (docs/schema/cert-verify.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    file: String,
    sha256: String,
    good: bool,
    verdicts: &'a [Verdict],
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Verdict {
    /// Stable kebab-case name.
    name: &'static str,
    holds: bool,
    evidence: String,
}

pub(super) fn run(options: &Options) -> Result<Outcome> {
    let now = OffsetDateTime::now_utc();
    let bundle = read_bundle(&read(&options.file, LIMIT)?).map_err(|error| {
        Failure::usage(format!("{} cannot be read as PEM: {error}", options.file.display()))
    })?;
    let mut certificates = bundle.certificates;
    if certificates.is_empty() {
        return Err(Failure::usage(format!("{} holds no certificate", options.file.display())));
    }
    let leaf = certificates.remove(0);
    let roots = match options.sslrootcert.as_str() {
        "system" => Roots::system(),
        path => return_roots(path),
    };
    let roots =
        roots.map_err(|error| Failure::new(format!("--sslrootcert {}: {error}", options.sslrootcert)))?;
    let lists = options.sslcrl.as_deref().map(lists).transpose()?;
    let mut verdicts = Vec::new();
    chain(&leaf, &certificates, &roots, lists.as_deref(), options.purpose, now, &mut verdicts);
    order(&leaf, &certificates, &mut verdicts);
    dates(&leaf, now, &mut verdicts);
    for host in &options.host {
        name(&leaf, host, &mut verdicts);
    }
    if options.purpose == For::Server {
        let strict = strict_verify_chain(&leaf, &certificates, roots.certificates(), now);
        say(&mut verdicts, "strict-chain", strict.map(|()| "as Go and rustls judge it".to_owned()));
    }
    if let Some(key) = &bundle.private_key {
        say(&mut verdicts, "key-belongs", key_of(key, &leaf));
    }
    let good = verdicts.iter().all(|verdict| verdict.holds);
    let text = match options.format {
        Format::Json => json::text(&Row {
            schema_version: SCHEMA_VERSION,
            file: options.file.display().to_string(),
            sha256: leaf.fingerprint().to_string(),
            good,
            verdicts: &verdicts,
        })?,
        Format::Human => human(options, &leaf, &verdicts, now),
    };
    Ok(Outcome { text, ending: if good { Ending::Well } else { Ending::NotProved } })
}

fn return_roots(path: &str) -> Result<Roots, pgseal_wire::RootsError> {
    match pgseal_wire::RootFile::read(Path::new(path)) {
        pgseal_wire::RootFile::Loaded(roots) => Ok(roots),
        pgseal_wire::RootFile::Unusable(error) => Err(error),
        pgseal_wire::RootFile::Absent { .. } => Roots::from_certificates(path, Vec::new()),
    }
}

fn read(path: &Path, limit: u64) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    files::read_named(path, limit).map_err(|error| Failure::io("read", path, &error))
}

fn lists(path: &Path) -> Result<Vec<RevocationList>> {
    let lists = read_revocation_lists(&read(path, LIST_LIMIT)?)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
    if lists.is_empty() {
        return Err(Failure::usage(format!("{} holds no revocation list", path.display())));
    }
    Ok(lists)
}

fn say<E: std::fmt::Display>(verdicts: &mut Vec<Verdict>, name: &'static str, outcome: Result<String, E>) {
    verdicts.push(match outcome {
        Ok(evidence) => Verdict { name, holds: true, evidence },
        Err(why) => Verdict { name, holds: false, evidence: why.to_string() },
    });
}

fn chain(
    leaf: &Certificate,
    presented: &[Certificate],
    roots: &Roots,
    lists: Option<&[RevocationList]>,
    purpose: For,
    now: OffsetDateTime,
    verdicts: &mut Vec<Verdict>,
) {
    let purpose = match purpose {
        For::Server => Purpose::Server,
        For::Client => Purpose::Client,
    };
    let trusted = roots.certificates();
    let path = |found: pgseal_pki::VerifiedChain| {
        format!("{} certificates, to {}", found.path().len(), roots.described_as())
    };
    say(verdicts, "chain", verify_chain(leaf, presented, trusted, now, purpose).map(path));
    if let Some(lists) = lists {
        let judged = verify_chain_with_lists(leaf, presented, trusted, lists, now, purpose);
        say(verdicts, "not-revoked", judged.map(|_| format!("by {} lists", lists.len())));
    }
}

/// A server sends them as they stand; clients that do not sort fail.
fn order(leaf: &Certificate, presented: &[Certificate], verdicts: &mut Vec<Verdict>) {
    let order = order_of(leaf, presented);
    let in_order = order.issuers.iter().copied().eq(0..order.issuers.len()) && order.strangers.is_empty();
    let outcome = if in_order {
        Ok(format!("{} certificates behind it", presented.len()))
    } else if order.strangers.is_empty() {
        Err("its issuers stand in another order; pgseal cert import puts them right".to_owned())
    } else {
        Err(format!("{} certificates do not belong to its chain", order.strangers.len()))
    };
    say(verdicts, "order", outcome);
}

fn dates(leaf: &Certificate, now: OffsetDateTime, verdicts: &mut Vec<Verdict>) {
    let text = format!(
        "{} to {} ({} days left)",
        leaf.not_before().date(),
        leaf.not_after().date(),
        leaf.days_left(now)
    );
    let outcome = if now < leaf.not_before() {
        Err(format!("{text}: not yet valid"))
    } else if now > leaf.not_after() {
        Err(format!("{text}: expired"))
    } else {
        Ok(text)
    };
    say(verdicts, "dates", outcome);
}

fn name(leaf: &Certificate, host: &str, verdicts: &mut Vec<Verdict>) {
    let libpq = libpq_matches(leaf, host, LibpqRules::default());
    say(verdicts, "name", libpq.map(|()| host.to_owned()));
    say(verdicts, "strict-name", strict_matches(leaf, host).map(|()| host.to_owned()));
}

fn key_of(key: &PrivateKey, leaf: &Certificate) -> Result<String, String> {
    match key {
        PrivateKey::Plain(key) if key.belongs_to(leaf) => Ok("the key in the file is its own".to_owned()),
        PrivateKey::Plain(_) => Err("the key in the file belongs to another certificate".to_owned()),
        PrivateKey::Encrypted(_) => {
            Err("the key in the file is behind a passphrase, and was not looked at".to_owned())
        }
    }
}

fn human(options: &Options, leaf: &Certificate, verdicts: &[Verdict], now: OffsetDateTime) -> String {
    let screen = Screen::of_stdout();
    let mut lines = vec![for_terminal(&format!("{}  {}", options.file.display(), leaf.subject()))];
    for verdict in verdicts {
        let mark = match (verdict.holds, verdict.name) {
            (true, "dates") => mark_of(leaf, now),
            (true, _) => Mark::Holds,
            (false, _) => Mark::HoldsNot,
        };
        lines.push(screen.line(mark, verdict.name, &for_terminal(&verdict.evidence)));
    }
    lines.join("\n")
}

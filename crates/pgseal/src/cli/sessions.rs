//! `pgseal sessions`.

use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::options::Format;
use crate::failure::{Failure, Result};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::sessions::{Seen, sessions};
use crate::target::{Asked, Target, connection_subject, login};
use crate::verify::administrator::administrator;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal sessions 15/main
  pgseal sessions 'postgresql://admin@db1/postgres?sslrootcert=ca.crt' --format json

Plaintext comes first. Sessions over the Unix socket never carry TLS, and need none.")]
pub(crate) struct Options {
    /// A data directory, a cluster such as 15/main, a folder made by `pgseal up`, or a connection string
    target: String,
    /// The role to log in as
    #[arg(short = 'U', long, value_name = "USER")]
    username: Option<String>,
    /// The database to log in to
    #[arg(short = 'd', long, value_name = "DBNAME")]
    dbname: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `pgseal sessions` (docs/schema/sessions.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    plaintext: usize,
    tls: usize,
    gss: usize,
    local: usize,
    sessions: &'a [Seen],
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    let seen = look(&options).await?;
    let row = Row {
        schema_version: SCHEMA_VERSION,
        target: &options.target,
        plaintext: seen.iter().filter(|seen| seen.is_plaintext()).count(),
        tls: seen.iter().filter(|seen| seen.tls.is_some()).count(),
        gss: seen.iter().filter(|seen| seen.gss).count(),
        local: seen.iter().filter(|seen| seen.address.is_none()).count(),
        sessions: &seen,
    };
    Ok(Outcome::well(match options.format {
        Format::Human => human(&row, Screen::of_stdout()),
        Format::Json => json::text(&row)?,
    }))
}

async fn look(options: &Options) -> Result<Vec<Seen>> {
    let failed = |why: String| {
        Failure::new(format!("could not list the sessions of {}: {why}", options.target))
            .hint("a superuser, or a member of pg_monitor")
    };
    if let Target::Connection(text) = Target::parse(&options.target)? {
        let subject = connection_subject(&text, None).await?;
        let session = administrator(&subject).await.map_err(failed)?;
        let seen = sessions(&session).await.map_err(failed);
        session.close().await;
        return seen;
    }
    let mut place = Target::place(&options.target).await?;
    let server = place.running().await?;
    let asked = Asked { username: options.username.clone(), dbname: options.dbname.clone() };
    let who = login(&place, &server, &asked)?;
    let session = place.session(&server, &who).await?;
    let seen = sessions(&session).await.map_err(failed);
    session.close().await;
    seen
}

fn human(row: &Row<'_>, screen: Screen) -> String {
    let total = row.sessions.len();
    let mut lines = vec![format!(
        "{}  {total} sessions: {} plaintext, {} TLS, {} GSSAPI, {} local",
        for_terminal(row.target),
        row.plaintext,
        row.tls,
        row.gss,
        row.local
    )];
    lines.extend(row.sessions.iter().map(|seen| line(seen, screen)));
    lines.join("\n")
}

fn line(seen: &Seen, screen: Screen) -> String {
    let mark = if seen.is_plaintext() { Mark::HoldsNot } else { Mark::Holds };
    let how = match (&seen.tls, seen.gss, seen.address) {
        (Some(tls), ..) => {
            let certificate =
                tls.client_certificate.as_ref().map(|dn| format!(", certificate {dn}")).unwrap_or_default();
            format!("{} {}{certificate}", tls.version, tls.suite)
        }
        (None, true, _) => "GSSAPI".to_owned(),
        (None, false, None) => "Unix socket".to_owned(),
        (None, false, Some(_)) => "plaintext".to_owned(),
    };
    let from = seen.address.map_or_else(|| "local".to_owned(), |ip| ip.to_string());
    let application =
        if seen.application.is_empty() { String::new() } else { format!(" \"{}\"", seen.application) };
    let own = if seen.own { ", this very look" } else { "" };
    let database = seen.database.as_deref().unwrap_or("replication");
    let user = seen.user.as_deref().unwrap_or("-");
    let text = format!("{user} on {database} from {from}{application} since {}{own}", seen.since);
    screen.line(mark, &for_terminal(&how), &for_terminal(&text))
}

//! `pgseal modes`.

use clap::Args;
use pgseal_wire::LibpqVersion;
use time::OffsetDateTime;

use super::Outcome;
use super::modes_report::{Table, human};
use super::modes_rows::row_of;
use super::options::Format;
use super::verify::warn_about_password;
use crate::client::client_of;
use crate::failure::{Ending, Failure, Result};
use crate::modes::against::Psql;
use crate::modes::certificate::judged;
use crate::modes::survey::survey;
use crate::report::json;
use crate::report::screen::Screen;
use crate::target::Said;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal modes db1.example.org:5432
  pgseal modes 'host=db1 user=app dbname=shop sslrootcert=ca.crt'
  pgseal modes ./pgseal --against psql
  pgseal modes 15/main --format json

Each mode is tried as libpq tries it, up to where the server would ask for a password. At most one login is made, with
verify-full, where the server's chain and name have been verified; nobody else is given the password, and nobody in clear.
Exit status: 0, and 1 where --against finds a difference.")]
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
    /// Whom clients trust: a file, the system's store, or nobody
    #[arg(long, value_name = "FILE|system|none")]
    sslrootcert: Option<String>,
    /// Whose behaviour: a libpq of this major version
    #[arg(long, value_name = "13..18", value_parser = clap::value_parser!(u8).range(13..=18))]
    libpq: Option<u8>,
    /// Have the real psql try every row too, and mark what differs
    #[arg(long, value_name = "psql[=PATH]", conflicts_with = "libpq")]
    against: Option<String>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(options: Options) -> Result<Outcome> {
    warn_about_password(&options.target);
    let psql = match &options.against {
        Some(word) => Some(Psql::find(word).await?),
        None => None,
    };
    let libpq = match (&psql, options.libpq) {
        (Some(psql), _) => psql.libpq,
        (None, version) => version.map_or(LibpqVersion::NEWEST, LibpqVersion::new),
    };
    let said = Said {
        username: options.username.as_deref(),
        dbname: options.dbname.as_deref(),
        sslrootcert: options.sslrootcert.as_deref(),
        libpq,
    };
    let client = client_of(&options.target, &said).await?;
    // What contradicts itself in every row is wrong usage, and nothing is tried.
    if let Some(error) = contradiction(&client) {
        return Err(Failure::usage(error)
            .hint("leave it out of the connection string, the service and the environment"));
    }
    let survey = survey(&client).await?;
    let mut heard = Vec::new();
    if let Some(psql) = &psql {
        for row in &survey.rows {
            heard.push(psql.hear(&client, row).await?);
        }
    }
    let host = client.routes.first().map(|route| route.host.clone()).unwrap_or_default();
    let judged = survey.chain.first().map(|leaf| judged(leaf, &host, OffsetDateTime::now_utc()));
    let differences = heard.iter().filter(|heard| heard.same == Some(false)).count();
    let table = Table {
        client: &client,
        survey: &survey,
        judged: judged.as_ref(),
        psql: psql.as_ref(),
        heard: &heard,
    };
    let text = match options.format {
        Format::Human => human(&table, Screen::of_stdout()),
        Format::Json => json::text(&row_of(&table))?,
    };
    let ending = if differences == 0 { Ending::Well } else { Ending::NotProved };
    Ok(Outcome { text, ending })
}

/// What libpq refuses whatever mode and roots are: a word that is none, most of the time.
fn contradiction(client: &crate::target::Client) -> Option<String> {
    let strongest = client.with(pgseal_wire::SslMode::VerifyFull, &crate::target::Given::System);
    strongest.err().map(|error| error.to_string())
}

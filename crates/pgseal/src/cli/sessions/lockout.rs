//! `pgseal sessions --would-lock-out`: the ledger and who is connected now, held against other rules.

use std::collections::BTreeMap;

use pgseal_conf::PgVersion;
use pgseal_conf::hba::{Ruleset, World};
use serde::Serialize;
use time::OffsetDateTime;

use super::Outcome;
use super::eye::Eye;
use crate::cli::options::Format;
use crate::failure::{Ending, Failure, Result};
use crate::hba::enforcement::{NOTE, enforced};
use crate::hba::loading::first_errors;
use crate::hba::source::Source;
use crate::journal::state::ledger_file;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};
use crate::sessions::client::Client;
use crate::sessions::ledger::{Ledger, Times, text};
use crate::sessions::replay::{Fate, driver, fate};
use crate::sql::text_of;

/// The JSON of `pgseal sessions --would-lock-out` (docs/schema/lock-out.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    target: &'a str,
    /// `enforce`, or the file.
    rules: &'a str,
    /// Since when clients have been recorded; null: only those connected now are known.
    since: Option<&'a str>,
    clients: usize,
    refused: usize,
    cannot_tell: usize,
    locked_out: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    client: &'a Client,
    #[serde(flatten)]
    times: &'a Times,
    fate: Fate,
    driver: Option<&'static str>,
}

pub(super) async fn forecast(
    eye: &mut Eye,
    target: &str,
    file: Option<&str>,
    format: Format,
) -> Result<Outcome> {
    let (rules, world) = rules(eye, file).await?;
    if !rules.loads() {
        let errors = first_errors(&rules);
        return Err(errors.into_iter().fold(
            Failure::stopped("the server would not load those rules, and keep those it has"),
            Failure::because,
        ));
    }
    let ledger = Ledger::read(&ledger_file(&eye.server().await?)?)?;
    let since = ledger.as_ref().map(|ledger| ledger.began.clone());
    let mut clients: BTreeMap<Client, Times> = ledger.map(|ledger| ledger.clients).unwrap_or_default();
    let now = text(OffsetDateTime::now_utc());
    for seen in eye.look().await?.iter().filter(|seen| !seen.own) {
        clients
            .entry(Client::of(seen))
            .and_modify(|times| times.last.clone_from(&now))
            .or_insert_with(|| Times { first: seen.since.clone(), last: now.clone(), count: 1 });
    }
    let locked_out: Vec<Entry<'_>> = clients
        .iter()
        .map(|(client, times)| Entry {
            client,
            times,
            fate: fate(client, &rules, &world),
            driver: driver(&client.application),
        })
        .filter(|entry| entry.fate != Fate::LetIn)
        .collect();
    let name = file.unwrap_or("enforce");
    let row = Row {
        schema_version: SCHEMA_VERSION,
        target,
        rules: name,
        since: since.as_deref(),
        clients: clients.len(),
        refused: locked_out.iter().filter(|entry| entry.fate == Fate::Refused).count(),
        cannot_tell: locked_out.iter().filter(|entry| entry.fate == Fate::CannotTell).count(),
        locked_out,
    };
    let ending = if row.locked_out.is_empty() { Ending::Well } else { Ending::NotProved };
    let text = match format {
        Format::Json => json::text(&row)?,
        Format::Human => human(&row, Screen::of_stdout()),
    };
    Ok(Outcome { text, ending })
}

/// Those of the file, or the server's own with plaintext refused.
async fn rules(eye: &mut Eye, file: Option<&str>) -> Result<(Ruleset, World)> {
    let (session, place) = eye.parts()?;
    let number =
        text_of(session, "SELECT current_setting('server_version_num')", &[]).await.map_err(Failure::new)?;
    let version = PgVersion::from_version_num(number.parse().unwrap_or(0))
        .map_err(|error| Failure::new(error.to_string()))?;
    let roles = crate::hba::roles::roles(session).await.ok();
    let world = World { roles, interfaces: None };
    if let Some(file) = file {
        let source = Source::from_word(file).await?;
        return Ok((source.ruleset(version), world));
    }
    let cannot = |why: String| Failure::new(format!("could not read the server's pg_hba.conf: {why}"));
    let source = match place {
        None => crate::hba::fetch::over_sql(session).await.map_err(cannot)?,
        Some(place) => {
            use std::os::unix::ffi::OsStrExt as _;
            let path = place.hba_file(version).await?;
            crate::hba::fetch::fetch(&mut place.hands, &path.as_os_str().as_bytes().into(), version)
                .await
                .map_err(cannot)?
        }
    };
    let before = source.ruleset(version);
    let after = enforced(&before, &source.text, &[], false, NOTE)?;
    Ok((source.ruleset_of(after, version), world))
}

fn human(row: &Row<'_>, screen: Screen) -> String {
    let known = row.since.map_or_else(
        || "those connected now (no ledger yet: pgseal sessions --record)".to_owned(),
        |since| format!("those connected now and recorded since {since}"),
    );
    let rules = if row.rules == "enforce" { "with plaintext refused" } else { row.rules };
    let mut lines = vec![for_terminal(&format!("{}  {} clients {known}, {rules}", row.target, row.clients))];
    for entry in &row.locked_out {
        let (mark, title) = match entry.fate {
            Fate::Refused => (Mark::HoldsNot, "refused"),
            Fate::CannotTell | Fate::LetIn => (Mark::CannotTell, "could not tell"),
        };
        let driver = entry.driver.map(|driver| format!(", {driver}")).unwrap_or_default();
        let times = entry.times;
        let seen = format!(
            "{}, {}{driver} ({}×, {} … {})",
            entry.client.words(),
            entry.client.how.words(),
            times.count,
            times.first,
            times.last
        );
        lines.push(screen.line(mark, title, &for_terminal(&screen.spelled(&seen))));
    }
    lines.push(if row.locked_out.is_empty() {
        screen.line(Mark::Holds, "nobody is locked out", &format!("of the {} clients that are known", row.clients))
    } else {
        format!(
            "Give their owners: sslmode=verify-full and the server's CA (in its folder of key and certificate, ca.crt); {} would be refused, of {} it could not be told",
            row.refused, row.cannot_tell
        )
    });
    lines.join("\n")
}

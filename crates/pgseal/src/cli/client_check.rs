//! `pgseal client TARGET --check STRING`: what a string that somebody has would do there.

use std::io::Read as _;

use pgseal_pki::Certificate;
use serde::Serialize;
use zeroize::Zeroizing;

use super::options::STDIN;
use super::verify::warn_about_password;
use crate::client::check::string::{self, Said};
use crate::client::check::{Checked, Outcome, ask, check};
use crate::client::drivers::{self, Driver, Known};
use crate::client::trusted::Trusted;
use crate::client::values::Values;
use crate::failure::{Failure, Result};
use crate::report::escape::{for_terminal, lines_for_terminal};
use crate::report::screen::{Mark, Screen};
use crate::target::Client;

/// A connection string is a line.
const LIMIT: u64 = 64 << 10;

/// A string, and what it comes to with each driver.
pub(super) struct Verdicts {
    said: Said,
    drivers: Vec<(Driver, Checked, Option<String>)>,
}

impl Verdicts {
    pub(super) fn are_good(&self) -> bool {
        self.drivers.iter().all(|(_, checked, _)| checked.is_good())
    }
}

/// One of them in JSON.
#[derive(Debug, Serialize)]
pub(super) struct CheckRow<'v> {
    string: &'v str,
    form: &'static str,
    driver: &'v str,
    version: &'v str,
    known: &'static str,
    sslmode: &'v str,
    ca: Option<&'v str>,
    comes_to: Option<&'v str>,
    outcome: &'static str,
    encrypted: Option<bool>,
    chain_verified: Option<bool>,
    name_verified: Option<bool>,
    said: &'v [String],
    change: Option<&'v str>,
}

/// The string of the option, or that of standard input.
pub(super) fn given(word: &str) -> Result<Said> {
    if word != STDIN {
        let said = string::read(word)?;
        if said.has_secret {
            warn_about_password("password=x");
        }
        return Ok(said);
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    std::io::stdin()
        .lock()
        .take(LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("could not read the connection string from stdin: {error}")))?;
    string::read(&text)
}

/// Judges it for each driver that was named, or for the one whose form it is.
pub(super) async fn judge(
    said: Said,
    named: &[String],
    client: &Client,
    trusted: &Trusted,
    values: &Values,
    leaf: Option<&Certificate>,
) -> Result<Verdicts> {
    let drivers = match named {
        [] => vec![drivers::named(said.form.driver())?],
        names => names.iter().map(|name| drivers::named(name)).collect::<Result<_>>()?,
    };
    let server = ask(client, leaf.cloned()).await;
    let mut judged = Vec::new();
    for driver in drivers {
        let checked = check(&said, &driver, client, trusted, &server, &values.host).await;
        let change =
            if checked.is_good() { None } else { driver.url(values).or_else(|| driver.told(values).ok()) };
        judged.push((driver, checked, change));
    }
    Ok(Verdicts { said, drivers: judged })
}

pub(super) fn rows(verdicts: &Verdicts) -> Vec<CheckRow<'_>> {
    let rows = verdicts.drivers.iter();
    rows.map(|(driver, checked, change)| row(&verdicts.said, driver, checked, change.as_deref())).collect()
}

fn row<'v>(
    said: &'v Said,
    driver: &'v Driver,
    checked: &'v Checked,
    change: Option<&'v str>,
) -> CheckRow<'v> {
    CheckRow {
        string: &said.masked,
        form: said.form.as_str(),
        driver: &driver.name,
        version: &driver.version,
        known: driver.known.as_str(),
        sslmode: &checked.sslmode,
        ca: checked.ca.as_deref(),
        comes_to: checked.comes_to.as_deref(),
        outcome: checked.outcome.as_str(),
        encrypted: match checked.outcome {
            Outcome::Tls => Some(true),
            Outcome::Plaintext => Some(false),
            Outcome::Refused | Outcome::Untold => None,
        },
        chain_verified: checked.chain_verified,
        name_verified: checked.name_verified,
        said: &checked.said,
        change,
    }
}

pub(super) fn human(verdicts: &Verdicts, screen: Screen) -> Vec<String> {
    let mut lines = vec![format!("string        {}", for_terminal(&verdicts.said.masked))];
    for (driver, checked, change) in &verdicts.drivers {
        let mark = match checked.outcome {
            _ if checked.is_good() => Mark::Holds,
            Outcome::Untold => Mark::CannotTell,
            _ => Mark::HoldsNot,
        };
        let mode = if checked.sslmode == "default" { "no sslmode" } else { &checked.sslmode };
        let known = match driver.known {
            Known::Run => String::new(),
            known => format!(" ({})", known.as_str()),
        };
        let head = format!("{} {}, {mode}{known}", driver.name, driver.version);
        lines.push(format!("  {} {}", screen.mark(mark), for_terminal(&head)));
        lines.extend(checked.said.iter().map(|said| format!("      {}", for_terminal(said))));
        if let Some(change) = change {
            lines.push("    write instead:".to_owned());
            lines.extend(lines_for_terminal(change).lines().map(|line| format!("      {line}")));
        }
    }
    lines
}

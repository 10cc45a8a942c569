//! What a connection string that somebody has would do against a server, with a driver, and what to change.
//!
//! Knows how a driver's word for sslmode (drivers.toml) meets what a server does; refuses to know how servers are asked.

pub(crate) mod string;

use std::net::IpAddr;

use pgseal_pki::Certificate;
use pgseal_wire::{RootFile, SslMode};
use time::OffsetDateTime;

use self::string::Said;
use super::drivers::Driver;
use super::served::{Verified, look};
use super::trusted::Trusted;
use super::warnings::Shown;
use crate::target::{Client, Given};

/// What a server does with those that come to it, as far as it was seen.
pub(crate) struct Server {
    /// Whether it speaks TLS; None where it was not reached.
    pub(crate) tls: Option<bool>,
    /// Whether it lets clients in without.
    pub(crate) plaintext: Option<bool>,
    pub(crate) leaf: Option<Certificate>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Tls,
    Plaintext,
    Refused,
    Untold,
}

impl Outcome {
    /// The word in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Plaintext => "plaintext",
            Self::Refused => "refused",
            Self::Untold => "untold",
        }
    }
}

/// A string judged for one driver.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The driver's word, `default` where none is said.
    pub(crate) sslmode: String,
    pub(crate) ca: Option<String>,
    /// What the word comes to, as the data has it; None where the driver has no such word.
    pub(crate) comes_to: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) chain_verified: Option<bool>,
    pub(crate) name_verified: Option<bool>,
    /// Why.
    pub(crate) said: Vec<String>,
}

impl Checked {
    /// Whether such a client verifies the server, and gets in.
    pub(crate) fn is_good(&self) -> bool {
        self.outcome == Outcome::Tls && self.chain_verified == Some(true) && self.name_verified == Some(true)
    }
}

/// Asks a server as much as judging wants: with TLS whoever it is, and without.
pub(crate) async fn ask(client: &Client, leaf: Option<Certificate>) -> Server {
    let plain = look(client, SslMode::Disable, &Given::Nothing).await;
    let tls = look(client, SslMode::Require, &Given::Nothing).await;
    let reached = |verified, seen: bool| (seen || verified != Verified::Untold).then_some(seen);
    Server {
        tls: reached(tls.verified, !tls.chain.is_empty()),
        plaintext: reached(plain.verified, plain.plaintext),
        leaf: leaf.or_else(|| tls.chain.first().cloned()),
    }
}

/// What Prisma's engine of its own, before version 7, makes of sslmode=require with sslaccept=strict: it verifies.
const STRICT: &str = "require-strict";

fn is_engine(driver: &Driver) -> bool {
    driver.mode(STRICT).is_some()
}

/// The word for sslmode, as the driver's data calls it.
fn word(said: &Said, driver: &Driver) -> String {
    let told = said.get(&["sslmode"]).map(str::to_ascii_lowercase);
    let ssl = said.get(&["ssl"]).map(str::to_ascii_lowercase);
    let on = matches!(ssl.as_deref(), Some("true" | "1"));
    match (driver.name.as_str(), told, ssl.as_deref()) {
        ("Npgsql" | "EF Core", Some(told), _) => told.replace('-', ""),
        ("Prisma", Some(told), _)
            if is_engine(driver) && told == "require" && said.get(&["sslaccept"]) == Some("strict") =>
        {
            STRICT.to_owned()
        }
        (_, Some(told), _) => told,
        ("pgjdbc" | "R2DBC" | "node-postgres" | "Prisma", None, Some(_)) if on && !is_engine(driver) => {
            "verify-full".to_owned()
        }
        ("postgres.js", None, Some(word)) => if on { "verify-full" } else { word }.to_owned(),
        _ => "default".to_owned(),
    }
}

/// The file with the CA that the string names.
fn authority(said: &Said, driver: &Driver) -> Option<String> {
    match driver.name.as_str() {
        "Npgsql" | "EF Core" => said.get(&["rootcertificate"]).map(str::to_owned),
        "Prisma" if is_engine(driver) => said.get(&["sslcert"]).map(str::to_owned),
        "psqlODBC" => {
            let handed = said.get(&["pqopt"])?;
            let parsed = pgseal_conf::conninfo::Conninfo::parse(handed).ok()?;
            parsed.get("sslrootcert").map(str::to_owned)
        }
        _ => said.get(&["sslrootcert"]).map(str::to_owned),
    }
}

/// Judges a string. `trusted` stands for the CA that it names where that file does not lie here.
pub(crate) async fn check(
    said: &Said,
    driver: &Driver,
    client: &Client,
    trusted: &Trusted,
    server: &Server,
    host: &str,
) -> Checked {
    let sslmode = word(said, driver);
    let ca = authority(said, driver);
    let mut checked = Checked {
        comes_to: driver
            .mode(&sslmode)
            .map(|(without, with)| if ca.is_some() { with } else { without }.to_owned()),
        sslmode,
        ca,
        outcome: Outcome::Untold,
        chain_verified: None,
        name_verified: None,
        said: Vec::new(),
    };
    if let Some(other) = said.host.as_deref().filter(|other| !other.eq_ignore_ascii_case(host)) {
        checked.said.push(format!(
            "its host is {other}, and TARGET's is {host}: the name is judged for the string's"
        ));
    }
    for (name, why) in driver.minds(said) {
        checked.said.push(format!("{name}: {why}"));
    }
    let Some(comes_to) = checked.comes_to.clone() else {
        let words = driver.modes().into_iter().map(|(word, _, _)| word).filter(|word| *word != "default");
        let words = words.collect::<Vec<_>>().join(", ");
        checked.said.push(if words.is_empty() {
            format!("nothing is known of what {} makes of a string", driver.name)
        } else {
            format!("{} has no sslmode {:?}, only {words}", driver.name, checked.sslmode)
        });
        return checked;
    };
    let host = said.host.as_deref().unwrap_or(host);
    let by_address = host.parse::<IpAddr>().is_ok();
    let comes_to = match comes_to.as_str() {
        "full-by-name" if by_address => "chain".to_owned(),
        "full-by-name" => "full".to_owned(),
        _ => comes_to,
    };
    let roots = match (&checked.ca, comes_to.as_str()) {
        (_, "public" | "public-chain") => Given::System,
        (Some(file), _) => named(file, trusted, &mut checked.said),
        (None, _) => trusted.given.clone(),
    };
    let chain = if matches!(
        comes_to.as_str(),
        "chain" | "chain-or-plaintext" | "plaintext-first-chain" | "full" | "public" | "public-chain"
    ) {
        chain_verifies(client, &roots).await
    } else {
        None
    };
    let shown = server.leaf.as_ref().map(|leaf| Shown::of(leaf, host, OffsetDateTime::now_utc()));
    judge(&mut checked, &comes_to, driver, server, chain, shown.as_ref());
    checked
}

/// The roots of a file that the string names.
fn named(file: &str, trusted: &Trusted, said: &mut Vec<String>) -> Given {
    if file == trusted.path {
        return trusted.given.clone();
    }
    match RootFile::read(std::path::Path::new(file)) {
        RootFile::Loaded(roots) => Given::Known(roots),
        RootFile::Absent { .. } => {
            said.push(format!("{file} does not lie here: it is taken to hold the CA of TARGET"));
            trusted.given.clone()
        }
        RootFile::Unusable(error) => {
            said.push(error.to_string());
            Given::Nothing
        }
    }
}

/// Whether the chain leads to these roots, whatever the name.
async fn chain_verifies(client: &Client, roots: &Given) -> Option<bool> {
    // libpq takes the public authorities with verify-full alone; there the name counts too, and is judged after that.
    let mode = if matches!(roots, Given::System) { SslMode::VerifyFull } else { SslMode::VerifyCa };
    let served = look(client, mode, roots).await;
    match served.verified {
        Verified::Untold if served.chain.is_empty() => None,
        _ => Some(served.chain_verified),
    }
}

/// The word of the data against what the server does.
fn judge(
    checked: &mut Checked,
    comes_to: &str,
    driver: &Driver,
    server: &Server,
    chain: Option<bool>,
    shown: Option<&Shown>,
) {
    let never = shown.and_then(|shown| shown.never(driver));
    let mut end = |outcome, chain, name, why: &str| {
        checked.outcome = outcome;
        (checked.chain_verified, checked.name_verified) = (chain, name);
        checked.said.push(why.to_owned());
    };
    let untold = "the server was not reached, and nothing is said of what would come of it";
    let plain = |server: &Server| match server.plaintext {
        Some(true) => {
            (Outcome::Plaintext, "it connects WITHOUT encryption, and everything can be read on the way")
        }
        Some(false) => (Outcome::Refused, "it comes in plaintext, and the server takes none"),
        None => (Outcome::Untold, untold),
    };
    match (comes_to, server.tls) {
        ("refused", _) => end(Outcome::Refused, None, None, "it does not connect in that form at all"),
        ("unknown", _) => end(Outcome::Untold, None, None, "what it comes to is not known"),
        ("plaintext", _) | ("tls-or-plaintext" | "chain-or-plaintext", Some(false)) => {
            let (outcome, why) = plain(server);
            end(
                outcome,
                Some(false).filter(|_| outcome == Outcome::Plaintext),
                Some(false).filter(|_| outcome == Outcome::Plaintext),
                why,
            );
        }
        ("plaintext-first" | "plaintext-first-chain", _) if server.plaintext == Some(true) => {
            end(Outcome::Plaintext, Some(false), Some(false), plain(server).1);
        }
        (_, None) => end(Outcome::Untold, None, None, untold),
        (_, Some(false)) => end(Outcome::Refused, None, None, "it wants TLS, and the server has none"),
        (_, Some(true)) if never.is_some() => {
            end(Outcome::Refused, None, None, never.as_deref().unwrap_or_default());
        }
        ("plaintext-first" | "tls" | "tls-or-plaintext", _) => end(
            Outcome::Tls,
            Some(false),
            Some(false),
            "it connects with TLS and verifies nothing: somebody in the middle with any certificate reads and changes everything",
        ),
        _ => verifying(end, comes_to, driver, server, chain, shown),
    }
}

/// The words that verify something.
fn verifying(
    mut end: impl FnMut(Outcome, Option<bool>, Option<bool>, &str),
    comes_to: &str,
    driver: &Driver,
    server: &Server,
    chain: Option<bool>,
    shown: Option<&Shown>,
) {
    let refusal = shown.and_then(|shown| shown.refuses_name(driver));
    match (comes_to, chain, refusal) {
        (_, None, _) => end(Outcome::Untold, None, None, "whether the chain verifies could not be seen"),
        ("chain-or-plaintext", Some(false), _) if server.plaintext == Some(true) => end(
            Outcome::Plaintext,
            Some(false),
            Some(false),
            "the chain does not verify, and it goes on WITHOUT encryption, telling nobody",
        ),
        (_, Some(false), _) => {
            end(Outcome::Refused, None, None, "it refuses the server: the chain does not verify");
        }
        ("chain" | "public-chain" | "chain-or-plaintext" | "plaintext-first-chain", Some(true), _) => end(
            Outcome::Tls,
            Some(true),
            Some(false),
            "it connects with TLS and verifies the chain, not the name: any certificate of the same CA will do for somebody in the middle",
        ),
        (_, Some(true), Some(why)) => {
            end(Outcome::Refused, None, None, &format!("it refuses the server's name: {why}"));
        }
        (_, Some(true), None) => {
            end(Outcome::Tls, Some(true), Some(true), "it connects with TLS, and verifies chain and name");
        }
    }
}

//! Clients held against rules: who would be refused. Pure.

use pgseal_conf::hba::{Channel, ClientName, Connection, Purpose, Rule, Ruleset, World, decide};
use serde::Serialize;

use super::client::{Client, How};

/// What would become of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fate {
    /// A line lets it try, as before.
    LetIn,
    /// No line, or one that rejects.
    Refused,
    /// It hinges on more than is known.
    CannotTell,
}

/// Whether these rules would still let this client try.
pub(crate) fn fate(client: &Client, rules: &Ruleset, world: &World) -> Fate {
    let Some(who) = connection(client, rules) else { return Fate::CannotTell };
    match decide(&rules.rules, &who, world).admits(&rules.rules) {
        Some(true) => Fate::LetIn,
        Some(false) => Fate::Refused,
        None => Fate::CannotTell,
    }
}

/// The rule that certainly decides about this client; `None` also where there is none.
pub(crate) fn decided<'r>(client: &Client, rules: &'r Ruleset, world: &World) -> Option<&'r Rule> {
    let index = decide(&rules.rules, &connection(client, rules)?, world).certain()??;
    rules.rules.get(index)
}

/// What the rules see of it, where that is known.
fn connection(client: &Client, rules: &Ruleset) -> Option<Connection> {
    let channel = match client.how {
        How::Plaintext => Channel::Plain,
        How::Tls { .. } => Channel::Tls,
        How::Gss => Channel::Gss,
        How::Local => Channel::Local,
        How::Unknown => return None,
    };
    // A server without rules that it can load keeps those it has.
    if !rules.loads() {
        return None;
    }
    let address = client.address.as_deref().and_then(|text| text.parse().ok());
    if address.is_none() && client.how != How::Local {
        return None;
    }
    let purpose = client
        .database
        .as_deref()
        .map_or(Purpose::Replication, |database| Purpose::Database(database.into()));
    Some(Connection {
        channel,
        address,
        name: ClientName::Unknown,
        user: client.user.as_str().into(),
        purpose,
    })
}

/// What connects so, as far as its name tells.
pub(crate) fn driver(application: &str) -> Option<&'static str> {
    // What these call themselves unless told otherwise.
    const KNOWN: [(&str, &str); 8] = [
        ("psql", "libpq"),
        ("pg_dump", "libpq"),
        ("pg_basebackup", "libpq"),
        ("pg_receivewal", "libpq"),
        ("pgbench", "libpq"),
        ("walreceiver", "libpq, by primary_conninfo"),
        ("PostgreSQL JDBC Driver", "pgjdbc"),
        ("pgAdmin 4", "psycopg"),
    ];
    KNOWN.iter().find(|(name, _)| application.starts_with(name)).map(|(_, driver)| *driver)
}

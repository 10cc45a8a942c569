//! PgBouncer before a server: how it makes sure of the servers behind it, by the words of its own console. A client that
//! verifies PgBouncer knows nothing of that second half of the way.

use std::collections::BTreeMap;

use tokio_postgres::SimpleQueryMessage;

use super::Notes;
use crate::sql::answer;
use crate::target::connection_subject;
use crate::verify::administrator::administrator;

/// The database that is no database but PgBouncer itself.
const CONSOLE: &str = "pgbouncer";
/// What a PgBouncer before 1.7 comes to, whose console does not list the setting: it has no TLS.
const WITHOUT: &str = "disable";

/// Asks the console as whom the connection string names.
pub(super) async fn look(text: &str, notes: &mut Notes<'_>) {
    match told(text).await {
        Ok((mode, hosts)) => match behind(&mode, &hosts) {
            Behind::Verified => {}
            Behind::Unverified(evidence) => notes.find("pooler-unverified", evidence),
            Behind::Sockets => notes.unseen(
                "whether PgBouncer has a fallback entry (*) that leads elsewhere than to a socket",
                "its console lists none before it is used",
                "its pgbouncer.ini",
            ),
        },
        Err(why) => notes.unseen(
            "how PgBouncer verifies the servers behind it",
            why,
            "a login of its admin_users or stats_users in the connection string",
        ),
    }
}

/// `server_tls_sslmode`, and the hosts of its databases.
async fn told(text: &str) -> Result<(String, Vec<String>), String> {
    let subject = connection_subject(text, None).await;
    let mut subject = subject.map_err(|failure| failure.sentence().to_owned())?;
    CONSOLE.clone_into(&mut subject.dbname);
    let session = administrator(&subject).await?;
    // It speaks the simple protocol alone, and knows no transactions.
    let client = session.client();
    let config = answer(client.simple_query("SHOW CONFIG")).await;
    let databases = answer(client.simple_query("SHOW DATABASES")).await;
    session.close().await;
    let (config, databases) = (config?, databases?);
    let settings: BTreeMap<String, String> = pairs(&config, ["key", "value"]).collect();
    let mode = settings.get("server_tls_sslmode").map_or(WITHOUT, String::as_str).to_owned();
    let hosts = pairs(&databases, ["name", "host"]).filter(|(name, _)| name != CONSOLE);
    Ok((mode, hosts.map(|(_, host)| host).collect()))
}

/// Two columns of each row; an empty text for NULL.
fn pairs(
    messages: &[SimpleQueryMessage],
    [one, two]: [&'static str; 2],
) -> impl Iterator<Item = (String, String)> {
    messages.iter().filter_map(move |message| match message {
        SimpleQueryMessage::Row(row) => {
            let text = |name| row.try_get(name).ok().map(|text| text.unwrap_or_default().to_owned());
            text(one).zip(text(two))
        }
        _ => None,
    })
}

/// How the servers behind it are come to.
#[derive(Debug, PartialEq, Eq)]
enum Behind {
    Verified,
    /// Somebody else could answer.
    Unverified(String),
    /// Over Unix sockets, where nobody else can, as far as entries are listed.
    Sockets,
}

/// An empty host is a Unix socket; databases that are made from a fallback entry are not listed before they are used.
fn behind(mode: &str, hosts: &[String]) -> Behind {
    let over_socket = |host: &String| host.is_empty() || host.starts_with('/');
    if mode.starts_with("verify-") {
        Behind::Verified
    } else if !hosts.is_empty() && hosts.iter().all(over_socket) {
        Behind::Sockets
    } else {
        Behind::Unverified(format!("PgBouncer's console says server_tls_sslmode = {mode}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_verifies_is_left_alone_and_sockets_leave_a_fallback_open() {
        let hosts = |all: &[&str]| all.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        for (mode, all) in [("verify-full", hosts(&["db"])), ("verify-ca", hosts(&[]))] {
            assert_eq!(behind(mode, &all), Behind::Verified, "{mode} {all:?}");
        }
        assert_eq!(behind("disable", &hosts(&["/run/postgresql", ""])), Behind::Sockets);
        for (mode, all) in [("disable", hosts(&[])), ("require", hosts(&["/run/postgresql", "db"]))] {
            assert!(matches!(behind(mode, &all), Behind::Unverified(_)), "{mode} {all:?}");
        }
    }
}

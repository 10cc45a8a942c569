//! Who is connected now and could not come back after the change. Pure.

use std::collections::BTreeMap;

use pgseal_conf::hba::{Channel, ClientName, Connection, Purpose, World, decide};

use super::facts::Facts;
use super::plan::{Plan, StageKind};
use crate::policy::Policy;
use crate::sessions::Seen;

/// Sessions of one client that fare alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockedOut {
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) address: String,
    pub(crate) application: String,
    pub(crate) sessions: usize,
    pub(crate) since: String,
    pub(crate) why: String,
}

impl LockedOut {
    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let application =
            if self.application.is_empty() { String::new() } else { format!(" \"{}\"", self.application) };
        let times = if self.sessions == 1 { String::new() } else { format!(", {} sessions", self.sessions) };
        format!(
            "{} on {} from {}{application}: {} (since {}{times})",
            self.user, self.database, self.address, self.why, self.since
        )
    }
}

/// Every client that would be refused, or of whom that cannot be told.
pub(crate) fn locked_out(facts: &Facts, plan: &Plan, policy: &Policy) -> Vec<LockedOut> {
    let mut clients: BTreeMap<(String, String, String, String, String), LockedOut> = BTreeMap::new();
    for seen in facts.sessions.iter().filter(|seen| !seen.own) {
        let Some(why) = refused(facts, plan, policy, seen) else { continue };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let address = seen.address.map_or_else(|| "local".to_owned(), |ip| ip.to_string());
        let database = seen.database.clone().unwrap_or_else(|| "replication".to_owned());
        let key =
            (text(&seen.user), database.clone(), address.clone(), seen.application.clone(), why.clone());
        let client = clients.entry(key).or_insert_with(|| LockedOut {
            user: text(&seen.user),
            database,
            address,
            application: seen.application.clone(),
            sessions: 0,
            since: seen.since.clone(),
            why,
        });
        client.sessions += 1;
        if seen.since < client.since {
            client.since.clone_from(&seen.since);
        }
    }
    clients.into_values().collect()
}

fn refused(facts: &Facts, plan: &Plan, policy: &Policy, seen: &Seen) -> Option<String> {
    if let Some(tls) = &seen.tls {
        if policy.allows_protocol(&tls.version) == Some(false) {
            return Some(format!("speaks {}, and {} will be the oldest", tls.version, policy.min_protocol));
        }
        if policy.allows_suite(&tls.suite) == Some(false) {
            return Some(format!("speaks {}, which will not be offered", tls.suite));
        }
        return None;
    }
    if !plan.enforce || !seen.is_plaintext() {
        return None;
    }
    let rules = after(facts, plan);
    let world = World { roles: facts.roles.clone(), interfaces: None };
    match decide(&rules.rules, &connection(seen), &world).admits(&rules.rules) {
        Some(true) => None,
        _ if !facts.offers_tls() => {
            Some("in plaintext, and no TLS was offered yet: whether it could is not known".to_owned())
        }
        Some(false) => Some("in plaintext, though TLS is offered".to_owned()),
        None => Some("in plaintext, and what decides about it hinges on more than the file".to_owned()),
    }
}

/// The rules as they will be.
fn after(facts: &Facts, plan: &Plan) -> pgseal_conf::hba::Ruleset {
    let written = plan
        .stages
        .iter()
        .filter(|stage| stage.kind == StageKind::Rules)
        .flat_map(|stage| &stage.steps)
        .flat_map(|step| &step.writes)
        .next();
    let text = written.map_or_else(|| facts.hba.bytes.clone(), |write| write.bytes.to_vec());
    facts.rules.ruleset_of(text, facts.version)
}

fn connection(seen: &Seen) -> Connection {
    Connection {
        channel: Channel::Plain,
        address: seen.address,
        name: ClientName::Unknown,
        user: seen.user.as_deref().unwrap_or_default().into(),
        purpose: seen
            .database
            .as_deref()
            .map_or(Purpose::Replication, |database| Purpose::Database(database.into())),
    }
}

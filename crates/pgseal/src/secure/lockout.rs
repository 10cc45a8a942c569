//! Who is connected now, or was recorded in the ledger, and could not come back after the change. Pure.

use std::collections::BTreeMap;

use pgseal_conf::hba::{Method, Rule, Ruleset, World};

use super::clients::{after, kept_out};
use super::facts::Facts;
use super::plan::Plan;
use crate::policy::Policy;
use crate::sessions::Seen;
use crate::sessions::client::{Client, How};
use crate::sessions::ledger::Times;
use crate::sessions::replay::{Fate, decided, driver, fate};
use crate::sql::APPLICATION;

/// Sessions of one client that fare alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockedOut {
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) address: String,
    pub(crate) application: String,
    /// Those that stand now; 0: it is known from the ledger alone.
    pub(crate) sessions: usize,
    pub(crate) since: String,
    /// How often it came, and when last, where the ledger tells.
    pub(crate) recorded: Option<Times>,
    pub(crate) why: String,
    /// Whether it comes encrypted by GSSAPI.
    pub(crate) gss: bool,
    /// Whether all that it lacks is a password that was never asked for.
    pub(crate) by_trust: bool,
}

impl LockedOut {
    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let application =
            if self.application.is_empty() { String::new() } else { format!(" \"{}\"", self.application) };
        let driver = driver(&self.application).map(|driver| format!(", by {driver}")).unwrap_or_default();
        let known = match (&self.recorded, self.sessions) {
            (Some(times), 0) => {
                format!("not connected now; came {}×, {} … {}", times.count, times.first, times.last)
            }
            (Some(times), _) => format!("since {}, came {}× since {}", self.since, times.count, times.first),
            (None, 1) => format!("since {}", self.since),
            (None, sessions) => format!("since {}, {sessions} sessions", self.since),
        };
        format!(
            "{} on {} from {}{application}{driver}: {} ({known})",
            self.user, self.database, self.address, self.why
        )
    }

    pub(crate) const fn is_connected(&self) -> bool {
        self.sessions > 0
    }
}

/// A client that is known, from now or from the ledger.
struct Known {
    sessions: usize,
    since: String,
    recorded: Option<Times>,
}

/// Every client that would be refused, or of whom that cannot be told: those connected now first.
pub(crate) fn locked_out(facts: &Facts, plan: &Plan, policy: &Policy) -> Vec<LockedOut> {
    let rules = after(facts, plan);
    let judged = Judged { facts, plan, policy, rules: &rules };
    let known = known(facts);
    let mut all: Vec<LockedOut> = known
        .iter()
        .filter_map(|(client, told)| Some((client, told, judged.refused(client)?)))
        .filter(|(client, told, _)| told.sessions > 0 || !judged.has_moved(client, told, &known))
        .map(|(client, told, why)| LockedOut {
            user: client.user.clone(),
            database: client.database.clone().unwrap_or_else(|| "replication".to_owned()),
            address: client.address.clone().unwrap_or_else(|| "local".to_owned()),
            application: client.application.clone(),
            sessions: told.sessions,
            since: told.since.clone(),
            recorded: told.recorded.clone(),
            why,
            gss: client.how == How::Gss,
            by_trust: judged.asked_for_a_password(client).is_some(),
        })
        .collect();
    all.sort_by_key(|client| !client.is_connected());
    all
}

/// Whether a session in plaintext could come again under the rules as they will be.
pub(super) fn comes_back(facts: &Facts, plan: &Plan, seen: &Seen) -> bool {
    let world = World { roles: facts.roles.clone(), interfaces: None };
    fate(&Client::of(seen), &after(facts, plan), &world) == Fate::LetIn
}

/// Who is connected now, and who is in the ledger.
fn known(facts: &Facts) -> BTreeMap<Client, Known> {
    let mut all: BTreeMap<Client, Known> = BTreeMap::new();
    for seen in facts.sessions.iter().filter(|seen| !seen.own) {
        let client = all.entry(Client::of(seen)).or_insert_with(|| Known {
            sessions: 0,
            since: seen.since.clone(),
            recorded: None,
        });
        client.sessions += 1;
        if seen.since < client.since {
            client.since.clone_from(&seen.since);
        }
    }
    // Our own looks come in plaintext where no TLS verifies yet, and with TLS as soon as it does.
    let others = facts.recorded.iter().filter(|(client, _)| client.application != APPLICATION);
    for (client, times) in others {
        let known = all.entry(client.clone()).or_insert_with(|| Known {
            sessions: 0,
            since: times.first.clone(),
            recorded: None,
        });
        known.recorded = Some(times.clone());
    }
    all
}

struct Judged<'f> {
    facts: &'f Facts,
    plan: &'f Plan,
    policy: &'f Policy,
    /// As they will be.
    rules: &'f Ruleset,
}

impl Judged<'_> {
    fn refused(&self, client: &Client) -> Option<String> {
        match &client.how {
            How::Tls { version, .. } if self.policy.allows_protocol(version) == Some(false) => {
                Some(format!("speaks {version}, and {} will be the oldest", self.policy.min_protocol))
            }
            How::Tls { suite, .. } if self.policy.allows_suite(suite) == Some(false) => {
                Some(format!("speaks {suite}, which will not be offered"))
            }
            How::Tls { .. } => kept_out(self.facts, self.plan, self.rules, client)
                .or_else(|| self.asked_for_a_password(client)),
            How::Plaintext if self.closes_plaintext() => self.refused_in_plaintext(client),
            How::Unknown if self.closes_plaintext() => {
                Some("whether it has TLS was not to be seen".to_owned())
            }
            How::Gss if self.closes_plaintext() => refused_over_gss(client, self.rules, &self.world()),
            How::Plaintext => self.asked_for_a_password(client),
            How::Unknown | How::Gss | How::Local => None,
        }
    }

    /// By the lines that refuse it, or since lines for any TCP become lines for TLS.
    const fn closes_plaintext(&self) -> bool {
        self.plan.enforce || self.plan.clients.is_some()
    }

    fn refused_in_plaintext(&self, client: &Client) -> Option<String> {
        match fate(client, self.rules, &self.world()) {
            Fate::LetIn => self.asked_for_a_password(client),
            _ if !self.facts.offers_tls() => {
                Some("in plaintext, and no TLS was offered yet: whether it could is not known".to_owned())
            }
            Fate::Refused => Some("in plaintext, though TLS is offered".to_owned()),
            Fate::CannotTell => {
                Some("in plaintext, and what decides about it hinges on more than the file".to_owned())
            }
        }
    }

    fn world(&self) -> World {
        World { roles: self.facts.roles.clone(), interfaces: None }
    }

    /// Let in by trust so far, and asked for a password from then on: whether it has one is not known.
    fn asked_for_a_password(&self, client: &Client) -> Option<String> {
        let (before, world) = (self.facts.rules.ruleset(self.facts.version), self.world());
        let new = decided(client, self.rules, &world)?;
        let old = decided(client, &before, &world).filter(|old| old.method == Method::Trust)?;
        asks_now(old, new)
    }

    /// Whether the same client came in a way that stays open only after it was last seen in this one.
    fn has_moved(&self, client: &Client, told: &Known, known: &BTreeMap<Client, Known>) -> bool {
        let last = told.recorded.as_ref().map_or(told.since.as_str(), |times| times.last.as_str());
        let same = |other: &Client| Client { how: client.how.clone(), ..other.clone() } == *client;
        let first = |other: &Known| {
            let recorded = other.recorded.as_ref().map(|times| times.first.clone());
            recorded.into_iter().chain((other.sessions > 0).then(|| other.since.clone())).min()
        };
        let since = known
            .iter()
            .filter(|(other, _)| other.how != client.how && same(other) && self.refused(other).is_none())
            .filter_map(|(_, told)| first(told))
            .min();
        since.is_some_and(|since| since.as_str() > last)
    }
}

fn asks_now(old: &Rule, new: &Rule) -> Option<String> {
    (new.method == Method::ScramSha256).then(|| {
        format!(
            "comes in by trust (line {} of pg_hba.conf), and has shown no password so far, which {} asks for",
            old.line,
            new.method.name()
        )
    })
}

/// `hostnossl` meets GSS encryption as well, and `hostssl` does not (hba.c, check_hba).
fn refused_over_gss(client: &Client, rules: &Ruleset, world: &World) -> Option<String> {
    match fate(client, rules, world) {
        Fate::LetIn => None,
        Fate::Refused => {
            Some("encrypted by GSSAPI, which the lines that refuse plaintext meet as well".to_owned())
        }
        Fate::CannotTell => {
            Some("encrypted by GSSAPI, and what decides about it hinges on more than the file".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use pgseal_conf::PgVersion;
    use pgseal_conf::files::NoFiles;
    use pgseal_conf::hba::Server;

    use super::*;

    fn by_gss(text: &str) -> Option<String> {
        let client = Client {
            how: How::Gss,
            user: "app".to_owned(),
            database: Some("app".to_owned()),
            address: Some("10.0.0.7".to_owned()),
            application: String::new(),
        };
        let server = Server::of(PgVersion::V16);
        let rules = Ruleset::read(&"pg_hba.conf".into(), text.as_bytes().to_vec(), &NoFiles, server);
        assert!(rules.loads(), "{text}");
        refused_over_gss(&client, &rules, &World { roles: None, interfaces: None })
    }

    #[test]
    fn a_client_encrypted_by_gssapi_is_refused_with_plaintext_unless_its_lines_are_copied_above() {
        let before = "host all all all gss\n";
        let enforced = format!("hostnossl all all all reject\n{before}");
        let copied = format!("hostgssenc all all all gss\n{enforced}");
        assert_eq!(by_gss(before), None);
        assert!(by_gss(&enforced).is_some_and(|why| why.starts_with("encrypted by GSSAPI, which")));
        assert_eq!(by_gss(&copied), None);
        // What --client-ca makes of a line for any TCP.
        assert!(by_gss("hostssl all all all gss clientcert=verify-ca\n").is_some());
    }
}

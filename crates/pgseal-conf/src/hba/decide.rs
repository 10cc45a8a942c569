//! Which rule decides a connection: `check_hba`. The first that fits; where the file and what is known do not tell
//! whether one fits, each possible outcome is given with what it hinges on. Never a guess.

use std::collections::BTreeSet;
use std::fmt;

use super::connection::{Channel, ClientName, Connection, Purpose, cut};
use super::method::Method;
use super::rule::{AddressMatch, DatabaseMatch, RoleMatch, Rule};
use super::world::World;
use crate::ByteString;
use crate::regex::Pattern;

/// Why a rule does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Passed {
    /// It is for the other of local and TCP connections.
    Socket,
    /// It is for the other of connections with and without TLS.
    Tls,
    /// It is for the other of connections with and without GSS encryption.
    Gss,
    /// The client's address is another.
    Address,
    /// The client's host name is another, or none.
    HostName,
    /// The database is not among its own.
    Database,
    /// Physical replication, and the rule does not say `replication`.
    NotForReplication,
    /// The user is not among its own.
    User,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Socket => "for the other of local and TCP connections",
            Self::Tls => "for the other of connections with and without TLS",
            Self::Gss => "for the other of connections with and without GSS encryption",
            Self::Address => "another address",
            Self::HostName => "another host name",
            Self::Database => "another database",
            Self::NotForReplication => "not for physical replication, which only the word replication fits",
            Self::User => "another user",
        })
    }
}

/// What an answer hinges on: something the file does not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hinge {
    /// What the client's address resolves to.
    HostName(ByteString),
    /// Who is a member of a role.
    Membership(ByteString),
    /// Whether the user is a member of the role of the database's name (`samerole`).
    SameRole,
    /// What a regular expression matches.
    Regex(ByteString),
    /// The addresses of the server's interfaces (`samehost`, `samenet`).
    Interfaces,
    /// Whether the server has an interface of the name in this address.
    Zone(ByteString),
    /// More combinations than are worth looking through.
    TooComplex,
}

impl fmt::Display for Hinge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostName(name) => write!(f, "which addresses resolve to {name}"),
            Self::Membership(role) => write!(f, "who is a member of {role}"),
            Self::SameRole => f.write_str("who is a member of the role of the database's name"),
            Self::Regex(pattern) => write!(f, "what /{pattern} matches"),
            Self::Interfaces => f.write_str("the addresses of the server's interfaces"),
            Self::Zone(address) => write!(f, "whether {address} is an address on the server"),
            Self::TooComplex => f.write_str("more combinations than were looked through"),
        }
    }
}

/// How a connection fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rule that decides, by its place; `None`: no rule fits, so the connection is refused.
    pub rule: Option<usize>,
    /// What must be so for this rule to fit; empty for the last outcome, which holds when none before it does.
    pub hinges: BTreeSet<Hinge>,
}

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rules passed over for sure, with the first reason `check_hba` finds, in their order.
    pub passed: Vec<(usize, Passed)>,
    /// What may come of it, in order; one alone when it is certain.
    pub outcomes: Vec<Outcome>,
}

impl Decision {
    /// The rule that decides for certain: `Some(None)` when no rule fits, `None` when it is not certain.
    pub fn certain(&self) -> Option<Option<usize>> {
        match self.outcomes.as_slice() {
            [only] => Some(only.rule),
            _ => None,
        }
    }

    /// Whether the client is let as far as authentication; `None` when that depends.
    pub fn admits(&self, rules: &[Rule]) -> Option<bool> {
        let admits = |outcome: &Outcome| {
            let rule = outcome.rule.and_then(|index| rules.get(index));
            rule.is_some_and(|rule| rule.method != Method::Reject)
        };
        let mut answers = self.outcomes.iter().map(admits);
        let first = answers.next()?;
        answers.all(|answer| answer == first).then_some(first)
    }

    /// Everything it hinges on.
    pub fn hinges(&self) -> BTreeSet<Hinge> {
        self.outcomes.iter().flat_map(|outcome| outcome.hinges.iter().cloned()).collect()
    }
}

/// Whether something fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    Depends(BTreeSet<Hinge>),
}

impl Fit {
    pub(super) fn on(hinge: Hinge) -> Self {
        Self::Depends(BTreeSet::from([hinge]))
    }

    pub(super) fn known(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }

    /// Both of two conditions.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, fit) | (fit, Self::Yes) => fit,
            (Self::Depends(mut hinges), Self::Depends(more)) => {
                hinges.extend(more);
                Self::Depends(hinges)
            }
        }
    }

    /// Either of two alternatives.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, fit) | (fit, Self::No) => fit,
            (Self::Depends(mut hinges), Self::Depends(more)) => {
                hinges.extend(more);
                Self::Depends(hinges)
            }
        }
    }
}

/// Which rule decides this connection.
pub fn decide(rules: &[Rule], who: &Connection, world: &World) -> Decision {
    let mut decision = Decision { passed: Vec::new(), outcomes: Vec::new() };
    for (index, rule) in rules.iter().enumerate() {
        match meets(rule, who, world) {
            Ok(hinges) => {
                let certain = hinges.is_empty();
                decision.outcomes.push(Outcome { rule: Some(index), hinges });
                if certain {
                    return decision;
                }
            }
            Err(why) => decision.passed.push((index, why)),
        }
    }
    decision.outcomes.push(Outcome { rule: None, hinges: BTreeSet::new() });
    decision
}

/// What a rule's fitting hinges on, or why it does not fit, in `check_hba`'s order of tests.
fn meets(rule: &Rule, who: &Connection, world: &World) -> Result<BTreeSet<Hinge>, Passed> {
    if !who.channel.meets(rule.connection) {
        return Err(wrong_channel(rule, who.channel));
    }
    let mut hinges = BTreeSet::new();
    let mut require = |fit: Fit, why: Passed| match fit {
        Fit::Yes => Ok(()),
        Fit::No => Err(why),
        Fit::Depends(more) => {
            hinges.extend(more);
            Ok(())
        }
    };
    if let Some(address) = &rule.address {
        let why =
            if matches!(address, AddressMatch::HostName(_)) { Passed::HostName } else { Passed::Address };
        require(fits_address(address, who, world), why)?;
    }
    let why = if who.purpose == Purpose::Replication { Passed::NotForReplication } else { Passed::Database };
    let databases = rule.databases.iter().map(|word| fits_database(word, who, world));
    require(databases.fold(Fit::No, Fit::or), why)?;
    let roles = rule.roles.iter().map(|word| fits_role(word, &who.user, world));
    require(roles.fold(Fit::No, Fit::or), Passed::User)?;
    Ok(hinges)
}

fn wrong_channel(rule: &Rule, channel: Channel) -> Passed {
    use super::rule::ConnectionType::{HostGssEnc, HostNoGssEnc, HostNoSsl, HostSsl, Local};
    match (channel, rule.connection) {
        (Channel::Local, _) | (_, Local) => Passed::Socket,
        (_, HostSsl | HostNoSsl) => Passed::Tls,
        (_, HostGssEnc | HostNoGssEnc) => Passed::Gss,
        _ => Passed::Socket,
    }
}

pub(super) fn fits_address(address: &AddressMatch, who: &Connection, world: &World) -> Fit {
    let Some(client) = who.address else { return Fit::No };
    let any =
        |ranges: Vec<super::AddressRange>| Fit::known(ranges.iter().any(|range| range.contains(client)));
    match address {
        AddressMatch::All => Fit::Yes,
        AddressMatch::Range(range) => Fit::known(range.contains(client)),
        AddressMatch::SameHost => world.same_host().map_or(Fit::on(Hinge::Interfaces), any),
        AddressMatch::SameNet => world.same_net().map_or(Fit::on(Hinge::Interfaces), any),
        AddressMatch::Scoped(text) => Fit::on(Hinge::Zone(text.clone())),
        AddressMatch::HostName(pattern) => match &who.name {
            ClientName::Unknown => Fit::on(Hinge::HostName(pattern.clone())),
            ClientName::None => Fit::No,
            ClientName::Confirmed(name) => Fit::known(host_name_fits(pattern.as_bytes(), name.as_bytes())),
        },
    }
}

/// `hostname_match`: a leading dot means every name that ends so.
fn host_name_fits(pattern: &[u8], name: &[u8]) -> bool {
    let tail = match pattern {
        [b'.', ..] => name.len().checked_sub(pattern.len()).and_then(|at| name.get(at..)),
        _ => Some(name),
    };
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(pattern))
}

pub(super) fn fits_database(word: &DatabaseMatch, who: &Connection, world: &World) -> Fit {
    let Purpose::Database(database) = &who.purpose else {
        return Fit::known(*word == DatabaseMatch::Replication);
    };
    let database = cut(database.as_bytes());
    let user = cut(who.user.as_bytes());
    match word {
        DatabaseMatch::All => Fit::Yes,
        DatabaseMatch::Replication => Fit::No,
        DatabaseMatch::SameUser => Fit::known(database == user),
        DatabaseMatch::SameRole { .. } => match &world.roles {
            Some(roles) => Fit::known(roles.is_member(user, database)),
            None => Fit::on(Hinge::SameRole),
        },
        DatabaseMatch::Regex(pattern) => fits_pattern(pattern, database),
        DatabaseMatch::Name(name) => Fit::known(name.as_bytes() == database),
    }
}

pub(super) fn fits_role(word: &RoleMatch, user: &ByteString, world: &World) -> Fit {
    let user = cut(user.as_bytes());
    match word {
        RoleMatch::All => Fit::Yes,
        RoleMatch::MemberOf(role) => match &world.roles {
            Some(roles) => Fit::known(roles.is_member(user, role.as_bytes())),
            None => Fit::on(Hinge::Membership(role.clone())),
        },
        RoleMatch::Regex(pattern) => fits_pattern(pattern, user),
        RoleMatch::Name(name) => Fit::known(name.as_bytes() == user),
    }
}

fn fits_pattern(pattern: &Pattern, name: &[u8]) -> Fit {
    pattern.matches(name).map_or_else(|| Fit::on(Hinge::Regex(pattern.text().clone())), Fit::known)
}

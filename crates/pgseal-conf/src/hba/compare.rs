//! Two files against each other: who gains access, who loses it, and who is asked otherwise, as regions of addresses,
//! databases and users. Refuses to guess: where an answer hinges on what the files do not tell, it says so.
//!
//! Names are finite: those that either file mentions, and one that stands for every other. For one database and one user
//! the rules that can fit are few, and what they do only changes where one of their ranges begins or ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::connection::{Channel, ClientName, Connection, Purpose};
use super::decide::decide;
use super::method::Method;
use super::proof::AddressSpan;
use super::rule::{AddressMatch, DatabaseMatch, RoleMatch, Rule};
use super::world::World;
use crate::ByteString;

/// More pairs of a database and a user than this are not looked through.
const MAX_PAIRS: usize = 40_000;
/// More stretches than this for one mask with holes are not looked through.
const MAX_STRETCHES: u32 = 1 << 12;

/// What one of the files does with a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Let as far as authentication by this method.
    Asked(Method),
    /// Refused, by a line or by none.
    Refused,
    /// That hinges on something; in words.
    Depends(String),
}

/// What changes for a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Refused by the old file, let in by the new one.
    Gains,
    /// Let in by the old file, refused by the new one.
    Loses,
    /// Let in by both, asked otherwise.
    AskedOtherwise,
    /// It hinges on something, and not on the same in both.
    Unclear,
}

impl Change {
    /// `gains`, `loses`, `asked-otherwise` or `unclear`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gains => "gains",
            Self::Loses => "loses",
            Self::AskedOtherwise => "asked-otherwise",
            Self::Unclear => "unclear",
        }
    }
}

/// A name, or every name that neither file mentions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// This one.
    Name(ByteString),
    /// Every name that neither file mentions.
    AnyOther,
    /// The user's own name, where the user is any other (a database alone, for `sameuser`).
    UsersOwn,
    /// Every name at all.
    Any,
}

/// What a connection of a region wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// A database.
    Database(Whose),
    /// Physical replication.
    Replication,
}

/// Connections for which the two files differ in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// How it differs.
    pub change: Change,
    /// How they come in.
    pub channel: Channel,
    /// What they want.
    pub wanted: Wanted,
    /// As whom.
    pub user: Whose,
    /// From where; empty for a local socket.
    pub from: Vec<AddressSpan>,
    /// What the old file does.
    pub old: Fate,
    /// What the new file does.
    pub new: Fate,
}

/// The whole difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Every region, the worst changes first.
    pub regions: Vec<Region>,
    /// Whether everything was looked at: every pair of names, every stretch of a mask with holes.
    pub complete: bool,
}

/// A way in which two files differ: how, over what, from what to what, from where.
type Way = (Change, Channel, Fate, Fate, Vec<AddressSpan>);

/// Compares two files as one server would read them.
pub fn compare(old: &[Rule], new: &[Rule], world: &World) -> Comparison {
    let names = Names::of(old, new);
    let (pairs, complete) = names.pairs();
    let mut found: BTreeMap<Way, BTreeSet<(Wanted, Whose)>> = BTreeMap::new();
    for (wanted, user) in pairs {
        let (before, after) = (relevant(old, &wanted, &user, &names), relevant(new, &wanted, &user, &names));
        for channel in [Channel::Local, Channel::Plain, Channel::Tls, Channel::Gss] {
            for (fates, from) in differences(&before, &after, channel, (&wanted, &user), &names, world) {
                let Some(change) = change(&fates.0, &fates.1) else { continue };
                found
                    .entry((change, channel, fates.0, fates.1, from))
                    .or_default()
                    .insert((wanted.clone(), user.clone()));
            }
        }
    }
    let regions = found.into_iter().flat_map(|((change, channel, old, new, from), members)| {
        names.drawn_together(members).into_iter().map(move |(wanted, user)| Region {
            change,
            channel,
            wanted,
            user,
            from: from.clone(),
            old: old.clone(),
            new: new.clone(),
        })
    });
    let cut_whole = ranges(old, new).all(|range| cuts(range, |_| {}));
    Comparison { regions: regions.collect(), complete: complete && cut_whole }
}

fn change(old: &Fate, new: &Fate) -> Option<Change> {
    match (old, new) {
        _ if old == new => None,
        (Fate::Refused, Fate::Asked(_)) => Some(Change::Gains),
        (Fate::Asked(_), Fate::Refused) => Some(Change::Loses),
        (Fate::Asked(_), Fate::Asked(_)) => Some(Change::AskedOtherwise),
        _ => Some(Change::Unclear),
    }
}

/// Every name of both files.
struct Names {
    databases: BTreeSet<ByteString>,
    users: BTreeSet<ByteString>,
    other_database: ByteString,
    other_user: ByteString,
    /// Whether a database of the user's own name is a kind of its own.
    own: bool,
}

impl Names {
    fn of(old: &[Rule], new: &[Rule]) -> Self {
        let mut databases = BTreeSet::new();
        let mut users = BTreeSet::new();
        for rule in old.iter().chain(new) {
            for word in &rule.databases {
                if let DatabaseMatch::Name(name) = word {
                    databases.insert(name.clone());
                }
            }
            for word in &rule.roles {
                if let RoleMatch::Name(name) | RoleMatch::MemberOf(name) = word {
                    users.insert(name.clone());
                }
            }
        }
        let unused = |wish: &str| {
            let mut name = wish.to_owned();
            while databases.contains(name.as_bytes()) || users.contains(name.as_bytes()) {
                name.push('_');
            }
            ByteString::from(name)
        };
        let (other_database, other_user) = (unused("pgseal_nowhere"), unused("pgseal_nobody"));
        // sameuser makes databases of users' names a kind of their own.
        let own = old.iter().chain(new).any(|rule| {
            rule.databases
                .iter()
                .any(|word| matches!(word, DatabaseMatch::SameUser | DatabaseMatch::SameRole { .. }))
        });
        if own {
            databases.extend(users.iter().cloned());
        }
        Self { databases, users, other_database, other_user, own }
    }

    /// Every kind of connection; whether none was left out.
    fn pairs(&self) -> (Vec<(Wanted, Whose)>, bool) {
        let databases = self.databases.iter().cloned().map(Whose::Name).chain([Whose::AnyOther]);
        let wanted: Vec<Wanted> = databases.map(Wanted::Database).chain([Wanted::Replication]).collect();
        let users: Vec<Whose> =
            self.users.iter().cloned().map(Whose::Name).chain([Whose::AnyOther]).collect();
        let complete = wanted.len().saturating_mul(users.len()) <= MAX_PAIRS;
        let pairs =
            wanted.iter().flat_map(|wanted| users.iter().map(move |user| (wanted.clone(), user.clone())));
        let own = self.own.then_some((Wanted::Database(Whose::UsersOwn), Whose::AnyOther));
        (own.into_iter().chain(pairs).take(MAX_PAIRS).collect(), complete)
    }

    fn database(&self, whose: &Whose) -> ByteString {
        match whose {
            Whose::Name(name) => name.clone(),
            Whose::UsersOwn => self.other_user.clone(),
            Whose::AnyOther | Whose::Any => self.other_database.clone(),
        }
    }

    fn user(&self, whose: &Whose) -> ByteString {
        match whose {
            Whose::Name(name) => name.clone(),
            Whose::UsersOwn | Whose::AnyOther | Whose::Any => self.other_user.clone(),
        }
    }

    /// Regions that together are every database or every user become one.
    fn drawn_together(&self, members: BTreeSet<(Wanted, Whose)>) -> Vec<(Wanted, Whose)> {
        let mut by_user: BTreeMap<Whose, BTreeSet<Wanted>> = BTreeMap::new();
        for (wanted, user) in members {
            by_user.entry(user).or_default().insert(wanted);
        }
        let mut by_wanted: BTreeMap<Wanted, BTreeSet<Whose>> = BTreeMap::new();
        for (user, mut wanted) in by_user {
            let named = wanted.iter().filter(|one| matches!(one, Wanted::Database(_))).count();
            let kinds = self.databases.len() + 1 + usize::from(self.own && user == Whose::AnyOther);
            if named == kinds {
                wanted.retain(|one| *one == Wanted::Replication);
                wanted.insert(Wanted::Database(Whose::Any));
            }
            for one in wanted {
                by_wanted.entry(one).or_default().insert(user.clone());
            }
        }
        let mut together = Vec::new();
        for (wanted, users) in by_wanted {
            if users.len() == self.users.len() + 1 {
                together.push((wanted, Whose::Any));
            } else {
                together.extend(users.into_iter().map(|user| (wanted.clone(), user)));
            }
        }
        together
    }
}

/// The rules that may fit these names, in their order.
fn relevant(rules: &[Rule], wanted: &Wanted, user: &Whose, names: &Names) -> Vec<Rule> {
    let user_name = names.user(user);
    let fits_database = |word: &DatabaseMatch| match (word, wanted) {
        (DatabaseMatch::Replication, wanted) => *wanted == Wanted::Replication,
        (_, Wanted::Replication) => false,
        (DatabaseMatch::Name(name), Wanted::Database(whose)) => *name == names.database(whose),
        (DatabaseMatch::SameUser, Wanted::Database(whose)) => names.database(whose) == user_name,
        (DatabaseMatch::All | DatabaseMatch::SameRole { .. } | DatabaseMatch::Regex(_), _) => true,
    };
    let fits_user = |word: &RoleMatch| match word {
        RoleMatch::Name(name) => *name == user_name,
        RoleMatch::All | RoleMatch::MemberOf(_) | RoleMatch::Regex(_) => true,
    };
    rules
        .iter()
        .filter(|rule| rule.databases.iter().any(fits_database) && rule.roles.iter().any(fits_user))
        .cloned()
        .collect()
}

type Differing = ((Fate, Fate), Vec<AddressSpan>);

/// Where along the addresses the two do not do the same.
fn differences(
    old: &[Rule],
    new: &[Rule],
    channel: Channel,
    (wanted, user): (&Wanted, &Whose),
    names: &Names,
    world: &World,
) -> Vec<Differing> {
    let purpose = match wanted {
        Wanted::Database(whose) => Purpose::Database(names.database(whose)),
        Wanted::Replication => Purpose::Replication,
    };
    let at = |address: Option<IpAddr>| {
        let who = Connection {
            channel,
            address,
            name: ClientName::Unknown,
            user: names.user(user),
            purpose: purpose.clone(),
        };
        (fate(old, &who, world), fate(new, &who, world))
    };
    if channel == Channel::Local {
        let fates = at(None);
        return if fates.0 == fates.1 { Vec::new() } else { vec![(fates, Vec::new())] };
    }
    let mut found: Vec<Differing> = Vec::new();
    for pieces in [starts_v4(old, new), starts_v6(old, new)] {
        for (first, last) in pieces {
            let fates = at(Some(first));
            if fates.0 == fates.1 {
                continue;
            }
            let span = AddressSpan { first, last };
            match found.iter_mut().find(|(known, _)| *known == fates) {
                Some((_, spans)) => match spans.last_mut() {
                    Some(before) if follows(before.last, first) => before.last = last,
                    _ => spans.push(span),
                },
                None => found.push((fates, vec![span])),
            }
        }
    }
    found
}

fn follows(before: IpAddr, next: IpAddr) -> bool {
    match (before, next) {
        (IpAddr::V4(before), IpAddr::V4(next)) => before.to_bits().checked_add(1) == Some(next.to_bits()),
        (IpAddr::V6(before), IpAddr::V6(next)) => before.to_bits().checked_add(1) == Some(next.to_bits()),
        _ => false,
    }
}

fn fate(rules: &[Rule], who: &Connection, world: &World) -> Fate {
    let decision = decide(rules, who, world);
    let of = |rule: Option<usize>| match rule.and_then(|index| rules.get(index)) {
        Some(rule) if rule.method != Method::Reject => Fate::Asked(rule.method),
        _ => Fate::Refused,
    };
    if let Some(rule) = decision.certain() {
        return of(rule);
    }
    let fates: BTreeSet<Fate> = decision.outcomes.iter().map(|outcome| of(outcome.rule)).collect();
    match (fates.len(), fates.first()) {
        (1, Some(fate)) => fate.clone(),
        _ => Fate::Depends(spelled(rules, &decision)),
    }
}

/// What may come of it, and on what that hinges: the same words mean the same.
fn spelled(rules: &[Rule], decision: &super::decide::Decision) -> String {
    let outcome = |outcome: &super::decide::Outcome| {
        let method =
            outcome.rule.and_then(|index| rules.get(index)).map_or("refused", |rule| rule.method.name());
        let hinges: Vec<String> = outcome.hinges.iter().map(ToString::to_string).collect();
        if hinges.is_empty() {
            format!("else {method}")
        } else {
            format!("{method} by {}", hinges.join(" and "))
        }
    };
    decision.outcomes.iter().map(outcome).collect::<Vec<_>>().join(", ")
}

type Pieces = Vec<(IpAddr, IpAddr)>;

/// The whole line of addresses, cut wherever a range of either file begins or ends.
fn starts_v4(old: &[Rule], new: &[Rule]) -> Pieces {
    let mut starts = BTreeSet::from([0_u32]);
    for range in ranges(old, new).filter(|(address, _)| address.is_ipv4()) {
        cuts(range, |start| starts.extend(u32::try_from(start)));
    }
    let starts: Vec<u32> = starts.into_iter().collect();
    let ends = starts.iter().skip(1).map(|next| next - 1).chain([u32::MAX]);
    let address = |bits: u32| IpAddr::V4(Ipv4Addr::from_bits(bits));
    starts.iter().zip(ends).map(|(first, last)| (address(*first), address(last))).collect()
}

fn starts_v6(old: &[Rule], new: &[Rule]) -> Pieces {
    let mut starts = BTreeSet::from([0_u128]);
    for range in ranges(old, new).filter(|(address, _)| address.is_ipv6()) {
        cuts(range, |start| {
            starts.insert(start);
        });
    }
    let starts: Vec<u128> = starts.into_iter().collect();
    let ends = starts.iter().skip(1).map(|next| next - 1).chain([u128::MAX]);
    let address = |bits: u128| IpAddr::V6(Ipv6Addr::from_bits(bits));
    starts.iter().zip(ends).map(|(first, last)| (address(*first), address(last))).collect()
}

fn ranges<'r>(old: &'r [Rule], new: &'r [Rule]) -> impl Iterator<Item = (IpAddr, IpAddr)> + 'r {
    old.iter().chain(new).filter_map(|rule| match &rule.address {
        Some(AddressMatch::Range(range)) => Some((range.address(), range.mask())),
        _ => None,
    })
}

/// Where the stretches of one range begin, and where what follows them begins; false when they are too many. A mask with
/// holes has one stretch for each value of the bits within its holes; the lowest zero bits are one stretch.
fn cuts((address, mask): (IpAddr, IpAddr), mut cut: impl FnMut(u128)) -> bool {
    let (address, mask, width) = match (address, mask) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => {
            (u128::from(address.to_bits()), u128::from(mask.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(mask)) => (address.to_bits(), mask.to_bits(), 128),
        _ => return true,
    };
    let all = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    let trailing = mask.trailing_zeros().min(width);
    let size_minus_one = if trailing == 128 { u128::MAX } else { (1 << trailing) - 1 };
    let holes = !mask & all & !size_minus_one;
    if holes.count_ones() > MAX_STRETCHES.trailing_zeros() {
        return false;
    }
    let base = address & mask;
    let mut fill = 0_u128;
    loop {
        let start = base | fill;
        cut(start);
        if let Some(next) = start.checked_add(size_minus_one).and_then(|last| last.checked_add(1)) {
            cut(next);
        }
        // The next subset of the holes' bits.
        fill = fill.wrapping_sub(holes) & holes;
        if fill == 0 {
            return true;
        }
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;

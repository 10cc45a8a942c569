//! Which rules stand before a rule: to name them, not to prove anything.

use super::lower::{Databases, Lowered, Places, Users};
use super::universe::ClassId;

/// How many comparisons are made to name rules, in all.
const MAX_COMPARISONS: usize = 300_000;
/// How many rules are named that take a part each.
const MAX_NAMED: usize = 8;

/// The rules that shadow others.
pub(super) struct Shadows<'l> {
    rules: &'l [Lowered<ClassId>],
    left: usize,
}

impl<'l> Shadows<'l> {
    pub(super) fn new(rules: &'l [Lowered<ClassId>]) -> Self {
        Self { rules, left: MAX_COMPARISONS }
    }

    /// The places of rules that shadow the one at `index` among the lowered: one that takes all of it, else some that
    /// take a part (`true`); none when looking on would take too long.
    pub(super) fn of(&mut self, index: usize, in_the_way: impl Fn(usize) -> bool) -> (Vec<usize>, bool) {
        let Some(rule) = self.rules.get(index) else { return (Vec::new(), true) };
        let mut part = Vec::new();
        for earlier in self.rules.iter().take(index).filter(|earlier| in_the_way(earlier.rule)) {
            match self.left.checked_sub(1) {
                Some(left) => self.left = left,
                None => return (Vec::new(), true),
            }
            if takes(earlier, rule) {
                return (vec![earlier.rule], false);
            }
            if part.len() < MAX_NAMED && touches(earlier, rule) {
                part.push(earlier.rule);
            }
        }
        (part, true)
    }
}

/// Whether one rule alone takes everything of another.
fn takes(earlier: &Lowered<ClassId>, later: &Lowered<ClassId>) -> bool {
    let places = match (&earlier.places, &later.places) {
        (Places::All, _) => true,
        (Places::Unknown(earlier), Places::Unknown(later)) => earlier == later,
        (Places::Cubes(earlier), Places::Cubes(later)) => {
            later.iter().all(|cube| earlier.iter().any(|outer| cube.inside(*outer)))
        }
        _ => false,
    };
    places
        && takes_users(&earlier.users, &later.users)
        && takes_databases(&earlier.databases, &later.databases)
}

fn takes_users(earlier: &Users<ClassId>, later: &Users<ClassId>) -> bool {
    earlier.all
        || !later.all && all_in(&later.names, &earlier.names) && all_in(&later.unknowns, &earlier.unknowns)
}

fn takes_databases(earlier: &Databases<ClassId>, later: &Databases<ClassId>) -> bool {
    let replication = earlier.replication || !later.replication;
    let named = !later.all
        && (earlier.same_user || !later.same_user)
        && all_in(&later.names, &earlier.names)
        && all_in(&later.unknowns, &earlier.unknowns)
        && later.pairs.iter().all(|pair| earlier.pairs.contains(pair));
    let nothing_else = !later.all
        && !later.same_user
        && later.names.is_empty()
        && later.unknowns.is_empty()
        && later.pairs.is_empty();
    replication && (earlier.all || nothing_else || named)
}

fn all_in(inner: &[u32], outer: &[u32]) -> bool {
    inner.iter().all(|item| outer.contains(item))
}

/// Whether two rules may have a connection in common.
fn touches(earlier: &Lowered<ClassId>, later: &Lowered<ClassId>) -> bool {
    let places = match (&earlier.places, &later.places) {
        (Places::Cubes(earlier), Places::Cubes(later)) => {
            later.iter().any(|cube| earlier.iter().any(|other| cube.meets(*other)))
        }
        _ => true,
    };
    let some_in = |one: &[u32], other: &[u32]| one.iter().any(|item| other.contains(item));
    let (one, other) = (&earlier.users, &later.users);
    let users = one.all
        || other.all
        || some_in(&one.names, &other.names)
        || !one.unknowns.is_empty()
        || !other.unknowns.is_empty();
    let (one, other) = (&earlier.databases, &later.databases);
    let normal = |databases: &Databases<ClassId>| {
        databases.all || databases.same_user || !databases.unknowns.is_empty() || !databases.pairs.is_empty()
    };
    let any = |databases: &Databases<ClassId>| normal(databases) || !databases.names.is_empty();
    let databases = one.replication && other.replication
        || normal(one) && any(other)
        || normal(other) && any(one)
        || some_in(&one.names, &other.names);
    places && users && databases
}

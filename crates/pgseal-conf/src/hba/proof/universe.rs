//! The names and unknowns that the rules speak of. Names that no rule can tell apart are taken together, so that long
//! lists cost no more than short ones. Refuses to know in what order rules stand.

use std::collections::HashMap;

use crate::ByteString;
use crate::regex::Pattern;

/// A name's number.
pub(super) type NameId = u32;

/// Something that a name may or may not be, and that only the server knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unknown {
    /// A member of this role.
    Member(ByteString),
    /// What this expression matches; with the answer for every name known.
    Matched(Pattern),
    /// What this expression matches; not understood here.
    Opaque(Pattern),
    /// A role of the user's, as a database's name.
    RoleOfUser,
}

/// Something that an address may or may not be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum UnknownPlace {
    /// Resolving to this name, in lower case.
    HostName(Vec<u8>),
    SameHost,
    SameNet,
    Scoped(ByteString),
}

/// Numbers things in the order met.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    numbers: HashMap<T, u32>,
    things: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), things: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbered<T> {
    pub(super) fn number(&mut self, thing: T) -> u32 {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        let number = u32::try_from(self.things.len()).unwrap_or(u32::MAX);
        self.things.push(thing.clone());
        self.numbers.insert(thing, number);
        number
    }

    pub(super) fn find<Q>(&self, thing: &Q) -> Option<u32>
    where
        T: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.numbers.get(thing).copied()
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.things.get(number as usize)
    }

    pub(super) fn all(&self) -> &[T] {
        &self.things
    }
}

/// All that the rules speak of.
#[derive(Debug, Default)]
pub(super) struct Universe {
    pub(super) names: Numbered<ByteString>,
    pub(super) unknowns: Numbered<Unknown>,
    pub(super) places: Numbered<UnknownPlace>,
    /// Users that stand for "any other", the first one for people to see. Unless the question is about one user they are
    /// made up, so that no role is called so.
    pub(super) other_users: Vec<NameId>,
    /// Databases that stand for "any other".
    pub(super) other_databases: Vec<NameId>,
    /// Whether `other_users` are made up.
    pub(super) other_users_are_nobody: bool,
}

impl Universe {
    /// Whether it is sure that no role is called so.
    pub(super) fn is_nobody(&self, name: NameId) -> bool {
        self.other_users_are_nobody && self.other_users.contains(&name)
    }

    pub(super) fn name(&self, name: NameId) -> ByteString {
        self.names.get(name).cloned().unwrap_or_default()
    }

    /// A name that nothing speaks of, made from this one.
    pub(super) fn invent(&mut self, wish: &str) -> NameId {
        let mut name = ByteString::from(wish);
        let mut number = 1;
        while self.names.find(&name).is_some() {
            number += 1;
            name = format!("{wish}{number}").into();
        }
        self.names.number(name)
    }
}

/// A class's number.
pub(super) type ClassId = u32;

/// Names that no rule tells apart, taken together.
#[derive(Debug, Default)]
pub(super) struct Classes {
    of_name: Vec<ClassId>,
    members: Vec<Vec<NameId>>,
}

impl Classes {
    /// Groups names by where they occur: `occurrences` gives, for each list of each rule in turn, its names. A name is
    /// also told apart by `kind`.
    pub(super) fn group<'l>(
        count: usize,
        lists: impl Iterator<Item = &'l [NameId]>,
        kind: impl Fn(NameId) -> u32,
    ) -> Self {
        let mut signatures: Vec<Vec<u32>> = (0u32..).take(count).map(|name| vec![kind(name)]).collect();
        for (list, number) in lists.zip(0u32..) {
            for name in list {
                if let Some(signature) = signatures.get_mut(*name as usize)
                    && (signature.len() == 1 || signature.last() != Some(&number))
                {
                    signature.push(number);
                }
            }
        }
        let mut numbers: HashMap<Vec<u32>, ClassId> = HashMap::new();
        let mut classes = Self::default();
        for (signature, name) in signatures.into_iter().zip(0u32..) {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let class = *numbers.entry(signature).or_insert(next);
            classes.of_name.push(class);
            match classes.members.get_mut(class as usize) {
                Some(members) => members.push(name),
                None => classes.members.push(vec![name]),
            }
        }
        classes
    }

    /// The classes of a list of names, each once.
    pub(super) fn of(&self, names: &[NameId]) -> Vec<ClassId> {
        let mut classes: Vec<ClassId> =
            names.iter().filter_map(|name| self.of_name.get(*name as usize).copied()).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// Its members, at least one.
    pub(super) fn members(&self, class: ClassId) -> &[NameId] {
        self.members.get(class as usize).map_or(&[], Vec::as_slice)
    }

    /// The class of a name.
    pub(super) fn class(&self, name: NameId) -> ClassId {
        self.of_name.get(name as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stand_in_the_same_lists_are_one_class() {
        let lists: [&[NameId]; 3] = [&[0, 1, 2], &[2], &[0, 1]];
        let classes = Classes::group(5, lists.into_iter(), |name| u32::from(name == 4));
        assert_eq!(classes.of(&[0, 1, 2]).len(), 2);
        assert_eq!(classes.members(classes.class(0)), [0, 1]);
        assert_ne!(classes.class(3), classes.class(4));
        assert_eq!(classes.members(classes.class(3)), [3]);
    }

    #[test]
    fn an_invented_name_is_new() {
        let mut universe = Universe::default();
        universe.names.number("nobody".into());
        let invented = universe.invent("nobody");
        assert_eq!(universe.name(invented), "nobody2");
    }
}

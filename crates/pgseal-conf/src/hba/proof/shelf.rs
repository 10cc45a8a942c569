//! Which addresses are taken, for each kind of database and user: what earlier rules leave to later ones. Refuses to
//! know which rule took what.

use std::collections::{HashMap, HashSet};

use super::cube::{Budget, Cube, Family, Holes, TooComplex, cubes_of, uncovered};
use super::interval::{IntervalSet, NOBODY, Stretch};
use super::lower::Places;

/// A kind of database or user, as a number.
pub(super) type Key = u32;

/// Any.
pub(super) const ALL: Key = 0;
/// The database of the user's name.
pub(super) const SAME: Key = 1;
/// Physical replication.
pub(super) const REPLICATION: Key = 2;
/// Any user that may be a role.
pub(super) const NAMED: Key = 3;

pub(super) const fn class_key(class: u32) -> Key {
    4 + 2 * class
}

pub(super) const fn unknown_key(unknown: u32) -> Key {
    5 + 2 * unknown
}

/// Every address on the line.
const EVERYWHERE: Stretch = (0, u128::MAX);
/// How many stretches are walked over before the whole of them is kept as one.
const LONG_WALK: usize = 16;
/// How many stretches, taken or free, are walked over to list free ones.
const MAX_STRETCHES: usize = 4096;

#[derive(Debug, Default)]
struct Shelf {
    intervals: IntervalSet,
    /// Ranges whose masks have holes.
    holes: Holes,
    /// Places of which nothing is known but their name.
    unknown: HashSet<u32>,
}

/// All shelves.
#[derive(Debug)]
pub(super) struct Shelves {
    shelves: HashMap<(Key, Key), Shelf>,
}

/// An address that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    At(u128),
    /// Somewhere in a place of which nothing is known but its number.
    Unknown(u32),
}

impl Shelves {
    /// Empty shelves, but for addresses that nobody can come from; with `local` for sockets, which have none.
    pub(super) fn new(local: bool) -> Self {
        let mut shelves = Self { shelves: HashMap::new() };
        if !local {
            for stretch in NOBODY {
                shelves.shelf((ALL, ALL)).intervals.insert(stretch);
                shelves.shelf((REPLICATION, ALL)).intervals.insert(stretch);
            }
        }
        shelves
    }

    fn shelf(&mut self, key: (Key, Key)) -> &mut Shelf {
        self.shelves.entry(key).or_default()
    }

    /// Takes places for a kind of database and user. `everywhere_unknown`: what is not known counts as everywhere.
    pub(super) fn take(&mut self, key: (Key, Key), places: &Places, everywhere_unknown: bool) {
        let shelf = self.shelf(key);
        match places {
            Places::All => shelf.intervals.insert(EVERYWHERE),
            Places::Unknown(_) if everywhere_unknown => shelf.intervals.insert(EVERYWHERE),
            Places::Unknown(place) => {
                shelf.unknown.insert(*place);
            }
            Places::Cubes(cubes) => {
                for cube in cubes {
                    match cube.stretches() {
                        Some(stretches) => {
                            for stretch in stretches {
                                shelf.intervals.insert(stretch);
                            }
                        }
                        None => shelf.holes.insert(*cube),
                    }
                }
            }
        }
    }

    /// A free address among `places`, for a connection that all of these kinds fit.
    pub(super) fn free(
        &mut self,
        keys: &[(Key, Key)],
        places: &Places,
        budget: &mut Budget,
    ) -> Result<Option<Spot>, TooComplex> {
        match places {
            Places::All => Ok(self.free_in(keys, EVERYWHERE, None, budget)?.map(Spot::At)),
            Places::Unknown(place) => {
                let taken = self.present(keys).any(|shelf| shelf.unknown.contains(place));
                if taken || self.free_in(keys, EVERYWHERE, None, budget)?.is_none() {
                    return Ok(None);
                }
                Ok(Some(Spot::Unknown(*place)))
            }
            Places::Cubes(cubes) => {
                for cube in cubes {
                    let found = match cube.stretches() {
                        Some(stretches) => self.free_in_some(keys, &stretches, budget)?,
                        None => self.free_in(keys, cube.span(), Some(*cube), budget)?,
                    };
                    if found.is_some() {
                        return Ok(found.map(Spot::At));
                    }
                }
                Ok(None)
            }
        }
    }

    fn free_in_some(
        &mut self,
        keys: &[(Key, Key)],
        stretches: &[Stretch],
        budget: &mut Budget,
    ) -> Result<Option<u128>, TooComplex> {
        for stretch in stretches {
            let found = self.free_in(keys, *stretch, None, budget)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// A free address in a stretch, or in a cube that spans it.
    fn free_in(
        &mut self,
        keys: &[(Key, Key)],
        stretch: Stretch,
        cube: Option<Cube>,
        budget: &mut Budget,
    ) -> Result<Option<u128>, TooComplex> {
        let walk = self.walk(keys, stretch, budget)?;
        self.remember(keys, stretch, &walk);
        let Some(gap) = walk.gap else { return Ok(None) };
        budget.spend(self.present(keys).map(|shelf| shelf.holes.masks()).sum())?;
        let held = self.present(keys).any(|shelf| shelf.holes.hold(gap));
        if cube.is_none_or(|cube| cube.holds(gap)) && !held {
            return Ok(Some(gap));
        }
        if cube.is_some_and(|cube| self.present(keys).any(|shelf| shelf.holes.take(cube))) {
            return Ok(None);
        }
        self.free_among_cubes(keys, stretch, cube, budget)
    }

    /// The general case.
    fn free_among_cubes(
        &self,
        keys: &[(Key, Key)],
        stretch: Stretch,
        cube: Option<Cube>,
        budget: &mut Budget,
    ) -> Result<Option<u128>, TooComplex> {
        let families = match cube {
            Some(cube) => vec![cube.family],
            None => vec![Family::V4, Family::V6],
        };
        for family in families {
            let mut stretches: Vec<Cube> = Vec::new();
            for shelf in self.present(keys) {
                let within = shelf.intervals.within(stretch);
                budget.spend(within.len())?;
                stretches.extend(within.into_iter().flat_map(|stretch| cubes_of(family, stretch)));
            }
            let targets = cube.map_or_else(|| cubes_of(family, stretch), |cube| vec![cube]);
            for target in targets {
                budget.spend(stretches.len())?;
                let mut cover: Vec<Cube> =
                    stretches.iter().copied().filter(|cube| cube.meets(target)).collect();
                for shelf in self.present(keys) {
                    cover.extend(shelf.holes.meeting(target, budget)?);
                }
                let found = uncovered(target, &cover, budget)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// Free stretches among `places`, in order, at most `limit`; and whether these are all. Where masks have holes, none
    /// are worked out.
    pub(super) fn free_stretches(
        &self,
        keys: &[(Key, Key)],
        places: &Places,
        limit: usize,
    ) -> (Vec<Stretch>, bool) {
        let (mut found, mut steps) = (Vec::new(), 0);
        if self.present(keys).any(|shelf| !shelf.holes.is_empty()) {
            return (found, false);
        }
        let wanted: Option<Vec<Stretch>> = match places {
            Places::All => Some(vec![EVERYWHERE]),
            Places::Unknown(_) => None,
            Places::Cubes(cubes) => {
                cubes.iter().map(|cube| cube.stretches()).collect::<Option<Vec<_>>>().map(|all| all.concat())
            }
        };
        let Some(wanted) = wanted else { return (found, false) };
        for (start, end) in wanted {
            let mut at = start;
            loop {
                steps += 1;
                if found.len() >= limit || steps > MAX_STRETCHES {
                    return (found, false);
                }
                let covered = self.present(keys).filter_map(|shelf| shelf.intervals.end_of_cover(at)).max();
                let next = covered.unwrap_or_else(|| {
                    let next = self.present(keys).filter_map(|shelf| shelf.intervals.next_start(at)).min();
                    let last = next.map_or(end, |start| (start - 1).min(end));
                    found.push((at, last));
                    last
                });
                match next.checked_add(1) {
                    Some(behind) if behind <= end => at = behind,
                    _ => break,
                }
            }
        }
        (found, true)
    }

    /// Whether this address is free.
    pub(super) fn is_free(&self, keys: &[(Key, Key)], place: u128) -> bool {
        !self
            .present(keys)
            .any(|shelf| shelf.intervals.end_of_cover(place).is_some() || shelf.holes.hold(place))
    }

    fn present(&self, keys: &[(Key, Key)]) -> impl Iterator<Item = &Shelf> {
        keys.iter().filter_map(|key| self.shelves.get(key))
    }

    /// Goes over a stretch from one taken stretch to the next, up to the first gap.
    fn walk(
        &self,
        keys: &[(Key, Key)],
        (start, end): Stretch,
        budget: &mut Budget,
    ) -> Result<Walk, TooComplex> {
        let shelves: Vec<(usize, &Shelf)> = keys
            .iter()
            .enumerate()
            .filter_map(|(index, key)| Some((index, self.shelves.get(key)?)))
            .collect();
        let mut walk = Walk { gap: Some(start), steps: 0, used: Vec::new() };
        loop {
            budget.spend(1)?;
            let Some(at) = walk.gap else { return Ok(walk) };
            let ends =
                shelves.iter().filter_map(|(index, shelf)| Some((shelf.intervals.end_of_cover(at)?, *index)));
            let Some((reach, index)) = ends.max() else { return Ok(walk) };
            walk.steps += 1;
            if !walk.used.contains(&index) {
                walk.used.push(index);
            }
            walk.gap = reach.checked_add(1).filter(|next| *next <= end);
        }
    }

    /// Keeps a long walk as one stretch, on the most general shelf for which it holds, so that no later walk is as long.
    fn remember(&mut self, keys: &[(Key, Key)], (start, end): Stretch, walk: &Walk) {
        if walk.steps < LONG_WALK {
            return;
        }
        let covered = match walk.gap {
            Some(gap) if gap > start => (start, gap - 1),
            Some(_) => return,
            None => (start, end),
        };
        let used = || walk.used.iter().filter_map(|index| keys.get(*index));
        let Some((first_database, first_user)) = used().next().copied() else { return };
        // A stretch may go on a shelf when everything it was put together from holds for all that the shelf is for:
        // then each part is on that shelf, or on one that is more general in the database, the user or both.
        let common = |first: Key, of: fn(&(Key, Key)) -> Key| {
            used().map(of).try_fold(first, |common, key| match (common, key) {
                (common, ALL) => Some(common),
                (ALL, key) => Some(key),
                (common, key) if common == key => Some(common),
                _ => None,
            })
        };
        let database = common(first_database, |key| key.0);
        let user = common(first_user, |key| key.1);
        if let (Some(database), Some(user)) = (database, user) {
            self.shelf((database, user)).intervals.insert(covered);
        }
    }
}

/// What a walk found.
struct Walk {
    gap: Option<u128>,
    steps: usize,
    /// The shelves it went over, by their place among the keys.
    used: Vec<usize>,
}

//! What trials prove of a server's order.

use super::{Hunt, Preference};

/// What is known of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// Proved: the first is picked before all others, the second before all but the first, and so on.
    pub(super) placed: Vec<u16>,
    /// Neither placed nor known to be refused.
    pub(super) open: Vec<u16>,
    refused: Vec<u16>,
}

/// A set of candidates, by their index.
#[derive(Clone)]
struct Set(Vec<u64>);

impl Set {
    fn empty(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    fn add(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn has(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & 1 << (index % 64) != 0)
    }

    fn join(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether all of `part` but `index` is in here.
    fn covers(&self, part: &Self, index: usize) -> bool {
        let mut whole = self.clone();
        whole.add(index);
        whole.0.iter().zip(&part.0).all(|(word, wanted)| wanted & !word == 0)
    }
}

impl Order {
    pub(super) fn of(hunt: &Hunt, preference: Option<Preference>) -> Self {
        let all: Vec<u16> = hunt.candidates.iter().copied().chain(hunt.kept).collect();
        let mut places: Vec<(u16, usize)> = all.iter().copied().zip(0..).collect();
        places.sort_unstable();
        let index_of = |code: u16| {
            let at = places.binary_search_by_key(&code, |place| place.0).ok()?;
            places.get(at).map(|place| place.1)
        };
        let set_of = |codes: &[u16]| {
            let mut set = Set::empty(all.len());
            codes.iter().filter_map(|code| index_of(*code)).for_each(|index| set.add(index));
            set
        };
        let mut refused = Set::empty(all.len());
        let mut beaten: Vec<(usize, Set)> = Vec::new();
        for trial in &hunt.trials {
            let offered = set_of(&trial.offered);
            match trial.picked.and_then(index_of) {
                None => refused.join(&offered),
                Some(pick) => match beaten.iter_mut().find(|(index, _)| *index == pick) {
                    Some((_, set)) => set.join(&offered),
                    None => beaten.push((pick, offered)),
                },
            }
        }
        let client_decides = preference == Some(Preference::Client);
        if client_decides {
            // Whatever the client had rather had was not to be had.
            for trial in &hunt.trials {
                let before = trial.offered.iter().take_while(|code| Some(**code) != trial.picked);
                before.filter_map(|code| index_of(*code)).for_each(|index| refused.add(index));
            }
        }
        // Whoever has been picked is accepted, whatever was said another time.
        let accepted: Vec<usize> = beaten.iter().map(|(index, _)| *index).collect();
        let mut open = Set::empty(all.len());
        (0..all.len()).filter(|index| !refused.has(*index)).for_each(|index| open.add(index));
        for index in &accepted {
            open.add(*index);
        }
        // With the kept one picked there is nothing else that could be.
        let kept = hunt.kept.and_then(index_of);
        let exhausted = kept.is_some_and(|kept| accepted.contains(&kept));
        let placed = if client_decides {
            accepted
        } else {
            close(&mut beaten);
            in_order(&beaten, &open, kept.filter(|_| exhausted))
        };
        let settled =
            |index: usize| placed.contains(&index) || (exhausted && !beaten.iter().any(|b| b.0 == index));
        let codes = |wanted: &dyn Fn(usize) -> bool| {
            all.iter().enumerate().filter(|(index, _)| wanted(*index)).map(|(_, code)| *code).collect()
        };
        Self {
            open: codes(&|index| open.has(index) && !settled(index) && Some(index) != kept),
            refused: codes(&|index| !open.has(index)),
            placed: placed.iter().filter_map(|index| all.get(*index).copied()).collect(),
        }
    }

    /// Whether two offers can only be answered alike.
    pub(super) fn same_but_for_refused(&self, one: &[u16], other: &[u16]) -> bool {
        let within = |part: &[u16], whole: &[u16]| {
            part.iter().all(|code| whole.contains(code) || self.refused.contains(code))
        };
        within(one, other) && within(other, one)
    }
}

/// Who beats somebody beats all whom that one beats.
fn close(beaten: &mut [(usize, Set)]) {
    let count = beaten.len();
    for _ in 0..count {
        let before = beaten.to_vec();
        let mut changed = false;
        for (pick, set) in beaten.iter_mut() {
            for (other, theirs) in &before {
                if other != pick && set.has(*other) && !set.covers(theirs, *pick) {
                    set.join(theirs);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// One after the other, who beats everything that is left. The kept one beats everything but what was picked beside it.
fn in_order(beaten: &[(usize, Set)], open: &Set, kept: Option<usize>) -> Vec<usize> {
    let mut left = open.clone();
    let mut placed = Vec::new();
    if kept.is_some() {
        // Candidates that were never picked lie below it, and are never reached.
        left = Set::empty(left.0.len() * 64);
        for (index, _) in beaten {
            left.add(*index);
        }
    }
    loop {
        let next = beaten
            .iter()
            .find(|(index, set)| left.has(*index) && !placed.contains(index) && set.covers(&left, *index));
        let Some((index, _)) = next else {
            return placed;
        };
        placed.push(*index);
        if let Some(word) = left.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }
}

//! Address ranges as value and mask, holes and all, and whether a union of them covers another: the general case, which
//! takes long in theory and is cut off by a budget. Refuses to know rules.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::interval::{NOBODY, Stretch, V4_FIRST, V4_LAST};
use crate::hba::AddressRange;

/// The two families never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    const fn bits(self) -> u32 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    const fn full(self) -> u128 {
        match self {
            Self::V4 => 0xffff_ffff,
            Self::V6 => u128::MAX,
        }
    }
}

/// All addresses of a family that agree with `value` in the bits of `mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cube {
    pub(super) family: Family,
    value: u128,
    mask: u128,
}

/// Work left before a question is given up.
#[derive(Clone, Debug)]
pub(super) struct Budget(u64);

impl Budget {
    pub(super) fn new(steps: u64) -> Self {
        Self(steps)
    }

    pub(super) fn spend(&mut self, steps: usize) -> Result<(), TooComplex> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(TooComplex)?;
        Ok(())
    }
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooComplex;

impl Cube {
    /// Every address of a family.
    pub(super) const fn whole(family: Family) -> Self {
        Self { family, value: 0, mask: 0 }
    }

    pub(super) fn of(range: &AddressRange) -> Self {
        let (family, value, mask) = match (range.address(), range.mask()) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => {
                (Family::V4, address.to_bits().into(), mask.to_bits().into())
            }
            (IpAddr::V6(address), IpAddr::V6(mask)) => (Family::V6, address.to_bits(), mask.to_bits()),
            // A range has one family.
            (_, _) => (Family::V6, 0, u128::MAX),
        };
        Self { family, value: value & mask, mask }
    }

    /// As a stretch of its family, when the mask has no holes.
    fn stretch(self) -> Option<Stretch> {
        let host = self.family.full() & !self.mask;
        (host & host.wrapping_add(1) == 0).then_some((self.value, self.value | host))
    }

    /// As stretches on the line of all addresses, when the mask has no holes.
    pub(super) fn stretches(self) -> Option<Vec<Stretch>> {
        let (start, end) = self.stretch()?;
        Some(match self.family {
            Family::V4 => vec![(V4_FIRST | start, V4_FIRST | end)],
            Family::V6 => {
                let before = (start < V4_FIRST).then_some((start, end.min(V4_FIRST - 1)));
                let behind = (end > V4_LAST).then_some((start.max(V4_LAST + 1), end));
                before.into_iter().chain(behind).collect()
            }
        })
    }

    /// From the first to the last address on the line of all addresses.
    pub(super) fn span(self) -> Stretch {
        let last = self.value | self.family.full() & !self.mask;
        match self.family {
            Family::V4 => (V4_FIRST | self.value, V4_FIRST | last),
            Family::V6 => (self.value, last),
        }
    }

    /// Whether it holds the address at this place.
    pub(super) fn holds(self, place: u128) -> bool {
        let is_v4 = (V4_FIRST..=V4_LAST).contains(&place);
        match self.family {
            Family::V4 => is_v4 && (place & 0xffff_ffff ^ self.value) & self.mask == 0,
            Family::V6 => !is_v4 && (place ^ self.value) & self.mask == 0,
        }
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.family == other.family && (self.value ^ other.value) & self.mask & other.mask == 0
    }

    pub(super) fn inside(self, other: Self) -> bool {
        self.meets(other) && other.mask & !self.mask == 0
    }

    /// The halves in which this bit is 0 and 1.
    fn split(self, bit: u128) -> [Self; 2] {
        let mask = self.mask | bit;
        [Self { mask, ..self }, Self { value: self.value | bit, mask, ..self }]
    }

    /// The place of its first address.
    fn first(self) -> u128 {
        self.span().0
    }
}

/// Cubes whose masks have holes, by mask, so that what holds an address is found without looking at each.
#[derive(Clone, Debug, Default)]
pub(super) struct Holes {
    by_mask: HashMap<(Family, u128), HashSet<u128>>,
}

impl Holes {
    pub(super) fn insert(&mut self, cube: Cube) {
        self.by_mask.entry((cube.family, cube.mask)).or_default().insert(cube.value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_mask.is_empty()
    }

    /// What it costs to look something up.
    pub(super) fn masks(&self) -> usize {
        self.by_mask.len()
    }

    /// Whether one of them holds the address at this place.
    pub(super) fn hold(&self, place: u128) -> bool {
        let at = |family| Cube { family, value: place & family.full(), mask: family.full() };
        let family = if (V4_FIRST..=V4_LAST).contains(&place) { Family::V4 } else { Family::V6 };
        self.take(at(family))
    }

    /// Whether one of them holds all of a cube.
    pub(super) fn take(&self, cube: Cube) -> bool {
        let wider = |(family, mask): &(Family, u128)| *family == cube.family && mask & !cube.mask == 0;
        self.by_mask.iter().any(|(key, values)| wider(key) && values.contains(&(cube.value & key.1)))
    }

    /// Those that have an address in common with a cube.
    pub(super) fn meeting(&self, cube: Cube, budget: &mut Budget) -> Result<Vec<Cube>, TooComplex> {
        let mut found = Vec::new();
        for (&(family, mask), values) in &self.by_mask {
            let of = |value: u128| Cube { family, value, mask };
            if family == cube.family && mask & !cube.mask == 0 {
                budget.spend(1)?;
                found.extend(values.get(&(cube.value & mask)).map(|value| of(*value)));
            } else {
                budget.spend(values.len())?;
                found.extend(values.iter().map(|value| of(*value)).filter(|other| other.meets(cube)));
            }
        }
        Ok(found)
    }
}

/// The cubes that make up a stretch of one family.
pub(super) fn cubes_of(family: Family, (start, end): Stretch) -> Vec<Cube> {
    let (start, end) = match family {
        Family::V4 if end < V4_FIRST || start > V4_LAST => return Vec::new(),
        Family::V4 => (start.max(V4_FIRST) & 0xffff_ffff, end.min(V4_LAST) & 0xffff_ffff),
        Family::V6 => (start, end),
    };
    let mut cubes = Vec::new();
    let mut at = start;
    loop {
        let aligned = if at == 0 { family.bits() } else { at.trailing_zeros().min(family.bits()) };
        let left = end - at;
        // The longest aligned stretch that ends before `end`.
        let fits = if left == u128::MAX { 128 } else { (left + 1).ilog2() };
        let size = aligned.min(fits);
        let host = if size == 128 { u128::MAX } else { (1u128 << size) - 1 };
        cubes.push(Cube { family, value: at, mask: family.full() & !host });
        match at.checked_add(host).and_then(|last| last.checked_add(1)) {
            Some(next) if next <= end => at = next,
            _ => return cubes,
        }
    }
}

/// How many cubes are looked at to choose where to split.
const SAMPLE: usize = 128;

/// The place of an address that `target` holds and none of `cover` does; `None` when there is none. Addresses that
/// nobody can come from count as covered.
pub(super) fn uncovered(
    target: Cube,
    cover: &[Cube],
    budget: &mut Budget,
) -> Result<Option<u128>, TooComplex> {
    let family = target.family;
    let mut all: Vec<Cube> = cover.to_vec();
    all.extend(NOBODY.iter().flat_map(|stretch| match family {
        Family::V6 if (V4_FIRST..=V4_LAST).contains(&stretch.0) => Vec::new(),
        Family::V4 | Family::V6 => cubes_of(family, *stretch),
    }));
    if family == Family::V6 {
        all.extend(cubes_of(family, (V4_FIRST, V4_LAST)));
    }
    // Both halves of a part share its list, and take out of it what they need when their turn comes.
    let mut open: Vec<(Cube, Rc<Vec<Cube>>)> = vec![(target, Rc::new(all))];
    while let Some((part, cover)) = open.pop() {
        budget.spend(cover.len() + 1)?;
        if cover.iter().any(|cube| part.inside(*cube)) {
            continue;
        }
        let meeting: Rc<Vec<Cube>> =
            Rc::new(cover.iter().copied().filter(|cube| part.meets(*cube)).collect());
        let Some(bit) = best_bit(part, &meeting) else { return Ok(Some(part.first())) };
        let [zero, one] = part.split(bit);
        open.push((one, Rc::clone(&meeting)));
        open.push((zero, meeting));
    }
    Ok(None)
}

/// The free bit that most of the cubes fix, the highest of equals; `None` when there are no cubes.
fn best_bit(part: Cube, cover: &[Cube]) -> Option<u128> {
    let mut counts = [0u16; 128];
    let step = cover.len().div_ceil(SAMPLE).max(1);
    for cube in cover.iter().step_by(step) {
        let mut bits = cube.mask & !part.mask;
        while bits != 0 {
            let lowest = bits.trailing_zeros();
            if let Some(count) = counts.get_mut(lowest as usize) {
                *count += 1;
            }
            bits &= bits - 1;
        }
    }
    let (bit, count) = (0u32..).zip(counts).max_by_key(|(bit, count)| (*count, *bit))?;
    (count > 0).then(|| 1u128 << bit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cube(address: &str, mask: &str) -> Cube {
        Cube::of(&AddressRange::new(address.parse().unwrap(), mask.parse().unwrap()).unwrap())
    }

    fn budget() -> Budget {
        Budget::new(1_000_000)
    }

    #[test]
    fn an_ipv6_range_does_not_hold_what_is_ipv4() {
        let all = Cube::whole(Family::V6).stretches().unwrap();
        assert_eq!(all, [(0, V4_FIRST - 1), (V4_LAST + 1, u128::MAX)]);
        assert_eq!(cube("::ffff:10.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ff00::").stretches(), Some(vec![]));
        assert!(cube("10.0.0.0", "255.0.255.0").stretches().is_none());
        assert!(Cube::whole(Family::V4).holds(V4_FIRST) && !Cube::whole(Family::V6).holds(V4_FIRST));
    }

    #[test]
    fn halves_cover_the_whole_together() {
        let target = cube("10.0.0.0", "255.0.0.0");
        let halves = [cube("10.0.0.0", "255.128.0.0"), cube("10.128.0.0", "255.128.0.0")];
        assert_eq!(uncovered(target, &halves, &mut budget()), Ok(None));
        assert!(matches!(uncovered(target, &halves[..1], &mut budget()), Ok(Some(_))));
        let odd_and_even = [cube("0.0.0.1", "0.0.0.1"), cube("0.0.0.0", "0.0.0.1")];
        assert_eq!(uncovered(target, &odd_and_even, &mut budget()), Ok(None));
        assert_eq!(uncovered(cube("224.0.0.0", "240.0.0.0"), &[], &mut budget()), Ok(None), "multicast");
        assert_eq!(
            uncovered(cube("::ffff:0:0", "ffff:ffff:ffff:ffff:ffff:ffff::"), &[], &mut budget()),
            Ok(None)
        );
        assert_eq!(uncovered(target, &halves, &mut Budget::new(1)), Err(TooComplex));
    }

    fn small_cube() -> impl Strategy<Value = Cube> {
        // Only the last byte varies.
        (any::<u8>(), any::<u8>()).prop_map(|(value, mask)| {
            let fixed = 0xffff_ff00u128;
            let mask = fixed | u128::from(mask);
            Cube { family: Family::V4, value: (0x0a00_0000 | u128::from(value)) & mask, mask }
        })
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_trying_every_address(target in small_cube(), cover in proptest::collection::vec(small_cube(), 0..10)) {
            let places = (0..256u128).map(|last| V4_FIRST | 0x0a00_0000 | last);
            let left: Vec<u128> = places.filter(|at| target.holds(*at) && !cover.iter().any(|cube| cube.holds(*at))).collect();
            let found = uncovered(target, &cover, &mut budget()).unwrap();
            prop_assert_eq!(found.is_some(), !left.is_empty());
            if let Some(place) = found {
                prop_assert!(left.contains(&place));
            }
        }

        #[test]
        fn a_stretch_is_the_sum_of_its_cubes(start in any::<u32>(), length in 0u32..100_000, v6 in any::<bool>()) {
            let family = if v6 { Family::V6 } else { Family::V4 };
            let base = if v6 { u128::MAX - u128::from(u32::MAX) } else { V4_FIRST };
            let first = base + u128::from(start);
            let last = base + u128::from(start.saturating_add(length));
            let mut stretches: Vec<Stretch> = cubes_of(family, (first, last)).iter().map(|cube| cube.span()).collect();
            stretches.sort_unstable();
            prop_assert_eq!(stretches.first().unwrap().0, first);
            prop_assert_eq!(stretches.last().unwrap().1, last);
            for pair in stretches.windows(2) {
                prop_assert_eq!(pair[0].1 + 1, pair[1].0);
            }
        }
    }
}

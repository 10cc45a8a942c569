//! Every client address on one line, and sets of stretches of it. IPv4 lies where IPv6 has its mapped addresses, since
//! no IPv6 client ever comes from one of those. Refuses to know rules.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first address of the IPv4 stretch: ::ffff:0.0.0.0.
pub(super) const V4_FIRST: u128 = 0xffff << 32;
/// The last one: ::ffff:255.255.255.255.
pub(super) const V4_LAST: u128 = V4_FIRST | 0xffff_ffff;

/// A stretch, both ends included.
pub(super) type Stretch = (u128, u128);

/// Stretches no client can come from: unspecified, broadcast and multicast addresses.
pub(super) const NOBODY: [Stretch; 5] = [
    (0, 0),
    (V4_FIRST, V4_FIRST),
    (V4_FIRST | 0xe000_0000, V4_FIRST | 0xefff_ffff),
    (V4_LAST, V4_LAST),
    (0xff << 120, u128::MAX),
];

/// The place of an address; `None` for a mapped one.
pub(super) fn place(address: IpAddr) -> Option<u128> {
    match address {
        IpAddr::V4(v4) => Some(V4_FIRST | u128::from(v4.to_bits())),
        IpAddr::V6(v6) => Some(v6.to_bits()).filter(|bits| !(V4_FIRST..=V4_LAST).contains(bits)),
    }
}

/// The address at a place.
pub(super) fn address(place: u128) -> IpAddr {
    if (V4_FIRST..=V4_LAST).contains(&place) {
        #[allow(clippy::cast_possible_truncation)]
        let bits = place as u32;
        IpAddr::V4(Ipv4Addr::from_bits(bits))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(place))
    }
}

/// How many stretches are kept in one sorted list before they go into a tree.
const LIST_LIMIT: usize = 24;

/// A set of addresses: stretches that neither overlap nor touch.
#[derive(Clone, Debug)]
pub(super) enum IntervalSet {
    List(Vec<Stretch>),
    Tree(BTreeMap<u128, u128>),
}

impl Default for IntervalSet {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl IntervalSet {
    /// The end of the stretch that holds this place.
    pub(super) fn end_of_cover(&self, place: u128) -> Option<u128> {
        let (_, end) = match self {
            Self::List(list) => {
                let behind = list.partition_point(|(start, _)| *start <= place);
                *list.get(behind.checked_sub(1)?)?
            }
            Self::Tree(tree) => tree.range(..=place).next_back().map(|(start, end)| (*start, *end))?,
        };
        (end >= place).then_some(end)
    }

    /// The start of the next stretch behind this place.
    pub(super) fn next_start(&self, place: u128) -> Option<u128> {
        match self {
            Self::List(list) => {
                let behind = list.partition_point(|(start, _)| *start <= place);
                list.get(behind).map(|(start, _)| *start)
            }
            Self::Tree(tree) => {
                let behind = (std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded);
                tree.range(behind).next().map(|(start, _)| *start)
            }
        }
    }

    /// Adds a stretch.
    pub(super) fn insert(&mut self, (start, end): Stretch) {
        match self {
            Self::List(list) => {
                insert_into_list(list, start, end);
                if list.len() > LIST_LIMIT {
                    *self = Self::Tree(std::mem::take(list).into_iter().collect());
                }
            }
            Self::Tree(tree) => insert_into_tree(tree, start, end),
        }
    }

    /// Every stretch that meets this one, in order.
    pub(super) fn within(&self, (start, end): Stretch) -> Vec<Stretch> {
        let meets = |(from, to): &Stretch| *from <= end && *to >= start;
        match self {
            Self::List(list) => list.iter().copied().filter(meets).collect(),
            Self::Tree(tree) => {
                let first = tree.range(..=start).next_back().map_or(start, |(first, _)| *first);
                tree.range(first..=end).map(|(from, to)| (*from, *to)).filter(meets).collect()
            }
        }
    }
}

fn insert_into_list(list: &mut Vec<Stretch>, start: u128, end: u128) {
    // Those that overlap or touch are [first, last).
    let first = list.partition_point(|(_, to)| to.checked_add(1).is_some_and(|next| next < start));
    let last = list.partition_point(|(from, _)| end.checked_add(1).is_none_or(|next| *from <= next));
    let merged = list.get(first..last).unwrap_or_default();
    let start = merged.first().map_or(start, |(from, _)| start.min(*from));
    let end = merged.last().map_or(end, |(_, to)| end.max(*to));
    list.splice(first..last, [(start, end)]);
}

fn insert_into_tree(tree: &mut BTreeMap<u128, u128>, start: u128, end: u128) {
    let (mut start, mut end) = (start, end);
    let touches = |to: u128, from: u128| to >= from || to.checked_add(1) == Some(from);
    if let Some((&from, &to)) = tree.range(..=start).next_back()
        && touches(to, start)
    {
        start = from;
        end = end.max(to);
    }
    let reach = end.saturating_add(1);
    // Each stretch taken out was put in once, so all insertions together take no longer than that.
    while let Some((&from, &to)) = tree.range(start..=reach.max(end)).next() {
        tree.remove(&from);
        end = end.max(to);
    }
    tree.insert(start, end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_have_one_place_each() {
        for text in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "::1", "2001:db8::1", "::", "ffff::"] {
            let parsed: IpAddr = text.parse().unwrap();
            assert_eq!(address(place(parsed).unwrap()), parsed);
        }
        assert_eq!(place("::ffff:1.2.3.4".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(
            stretches in proptest::collection::vec((0u8..=255, 0u8..12), 0..80),
            as_tree in any::<bool>(),
        ) {
            // Both ends of the line, as nothing must overflow there.
            let widen = |byte: u8| if byte < 128 { u128::from(byte) } else { u128::MAX - u128::from(255 - byte) };
            let mut set = if as_tree { IntervalSet::Tree(BTreeMap::new()) } else { IntervalSet::default() };
            let mut model = [false; 256];
            for (start, length) in stretches {
                let end = start.saturating_add(length);
                if (start < 128) != (end < 128) { continue }
                set.insert((widen(start), widen(end)));
                model[usize::from(start)..=usize::from(end)].fill(true);
            }
            let all = set.within((0, u128::MAX));
            for pair in all.windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "apart");
            }
            for byte in 0..=255u8 {
                let covered = set.end_of_cover(widen(byte)).is_some();
                prop_assert_eq!(covered, model[usize::from(byte)], "{}", byte);
                if let Some(next) = set.next_start(widen(byte)) {
                    prop_assert!(next > widen(byte) && all.iter().any(|(start, _)| *start == next));
                }
            }
        }
    }
}

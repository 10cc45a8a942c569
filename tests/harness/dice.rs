//! Seeded choices. Knows nothing of what is chosen.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::depth::seed;

/// A generator (`SplitMix64`) whose course follows from the run's seed and a scenario's label alone.
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice for one scenario. The seed is printed, and so shown when the test fails.
    pub(crate) fn new(label: &str) -> Self {
        let seed = seed();
        eprintln!("{label}: PGSEAL_TEST_SEED={seed}");
        let mut hasher = DefaultHasher::new();
        (seed, label).hash(&mut hasher);
        Self(hasher.finish())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit - 1`.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        assert!(limit > 0, "there is no number below 0");
        // The high 32 bits, scaled: the remainder is below `limit`, so it fits.
        u32::try_from(((self.next() >> 32) * u64::from(limit)) >> 32).expect("a number below a u32 is a u32")
    }

    /// One of `items`.
    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        let limit = u32::try_from(items.len()).expect("no scenario chooses among more than 2^32 things");
        &items[self.below(limit) as usize]
    }
}

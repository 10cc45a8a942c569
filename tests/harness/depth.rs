//! How deep this run goes, with which seed, and what it leaves as evidence. Knows the environment, not the tests.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process;

/// `PGSEAL_TEST_DEPTH`: `test` when unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Every promise at least once, on the two versions that differ most.
    Test,
    /// All supported versions.
    All,
    /// Full counts, and the two versions past their end of life.
    Soak,
}

impl Depth {
    fn now() -> Self {
        match env::var("PGSEAL_TEST_DEPTH").as_deref() {
            Err(_) | Ok("" | "test") => Self::Test,
            Ok("all") => Self::All,
            Ok("soak") => Self::Soak,
            Ok(other) => panic!("PGSEAL_TEST_DEPTH is test, all or soak, not {other:?}"),
        }
    }
}

/// Whether full counts are asked for.
pub(crate) fn is_soak() -> bool {
    Depth::now() == Depth::Soak
}

/// The major versions of compose that a scenario is to hold with: both from depth `all` on, the newer one before.
pub(crate) fn compose_versions() -> &'static [u32] {
    match Depth::now() {
        Depth::Test => &[2],
        Depth::All | Depth::Soak => &[1, 2],
    }
}

/// The PostgreSQL major versions that a scenario is to hold on.
pub(crate) fn versions() -> &'static [u32] {
    match Depth::now() {
        Depth::Test => &[15, 18],
        Depth::All => &[14, 15, 16, 17, 18],
        Depth::Soak => &[12, 13, 14, 15, 16, 17, 18],
    }
}

/// For the `nth` of many cases that hold on every version: all versions in a soak, and below it one of them, in turn.
pub(crate) fn versions_in_turn(nth: usize) -> Vec<u32> {
    match Depth::now() {
        Depth::Test | Depth::All => vec![versions()[nth % versions().len()]],
        Depth::Soak => versions().to_vec(),
    }
}

/// How many samples to draw where the full count is `full`: a tenth, at least one, below soak.
pub(crate) fn samples(full: u32) -> u32 {
    match Depth::now() {
        Depth::Test | Depth::All => full.div_ceil(10),
        Depth::Soak => full,
    }
}

/// The part of `full` samples in all that each version gets.
pub(crate) fn samples_each(full: u32) -> u32 {
    samples(full).div_ceil(u32::try_from(versions().len()).expect("there are few versions"))
}

/// `PGSEAL_TEST_SEED`, or a fixed one, so that two plain runs draw the same samples.
pub(crate) fn seed() -> u64 {
    match env::var("PGSEAL_TEST_SEED") {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("PGSEAL_TEST_SEED is a whole number below 2^64, not {text:?}")),
        Err(_) => 5432,
    }
}

/// Notes that `promise` held `count` times, in a file under `PGSEAL_EVIDENCE`; does nothing where that is unset.
///
/// A line is `promise TAB count`. `make soak` adds up the lines of all `*.tsv` files there.
pub(crate) fn record(promise: &str, count: u32) {
    let Some(dir) = env::var_os("PGSEAL_EVIDENCE").map(PathBuf::from) else {
        return;
    };
    assert!(!promise.contains(['\t', '\n']), "a promise is one line without tabs: {promise:?}");
    let file = dir.join(format!("scenarios-{}.tsv", process::id()));
    fs::create_dir_all(&dir)
        .and_then(|()| OpenOptions::new().append(true).create(true).open(&file))
        .and_then(|mut open| open.write_all(format!("{promise}\t{count}\n").as_bytes()))
        .unwrap_or_else(|e| panic!("could not write evidence to {}: {e}", file.display()));
}

//! Names that an expression matches, found by walking its machine: to have somebody to name, not to know them all.

use std::collections::VecDeque;

use super::program::{Active, Program};

/// How many are given.
const WANTED: usize = 3;
/// How many steps the walk takes.
const MAX_STEPS: usize = 300;
/// The longest one that can be a name.
const MAX_LENGTH: usize = 63;
/// Bytes tried first, as they read well in a name.
const PREFERRED: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789_-.@ABCDEFGHIJKLMNOPQRSTUVWXYZ";

pub(super) fn of(program: &Program) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    // Longer names that still match are less likely to be anybody's.
    for affix in ["_pgseal", "0"] {
        if let Some(first) = shortest(program).first() {
            let longer = [
                [first.as_slice(), affix.as_bytes()].concat(),
                [affix.as_bytes(), first.as_slice()].concat(),
            ];
            found.extend(
                longer.into_iter().filter(|name| name.len() <= MAX_LENGTH && program.matches(name)).take(1),
            );
        }
    }
    found.extend(shortest(program));
    let plain = ["x", "pgseal_x"].map(|name| name.as_bytes().to_vec());
    found.extend(plain.into_iter().filter(|name| program.matches(name)));
    found.sort_by_key(Vec::len);
    found.dedup();
    found
}

/// The first few names that match from start to end, in order of length.
fn shortest(program: &Program) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut open: VecDeque<(Vec<u8>, Active)> = VecDeque::from([(Vec::new(), program.enter(false))]);
    let mut steps = 0;
    while let Some((name, active)) = open.pop_front() {
        for byte in bytes_on(program, &active) {
            steps += 1;
            if steps > MAX_STEPS {
                return found;
            }
            let longer = [name.as_slice(), &[byte]].concat();
            if program.matches(&longer) {
                found.push(longer.clone());
                if found.len() >= WANTED {
                    return found;
                }
            }
            let next = program.step(&active, byte, false, false);
            if !next.is_dead() && longer.len() < MAX_LENGTH {
                open.push_back((longer, next));
            }
        }
    }
    found
}

/// A byte or two for each way on.
fn bytes_on(program: &Program, active: &Active) -> Vec<u8> {
    let mut bytes = Vec::new();
    for set in program.ways_on(active) {
        let preferred = PREFERRED.iter().copied().filter(|byte| set.contains(*byte));
        let rest = (1..=u8::MAX).filter(|byte| set.contains(*byte));
        bytes.extend(preferred.chain(rest).take(2));
    }
    bytes.sort_unstable();
    bytes.dedup();
    bytes
}

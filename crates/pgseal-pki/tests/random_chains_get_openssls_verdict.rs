//! Random chains, sound ones with a few things broken, judged here and by `openssl verify`.
//!
//! `PGSEAL_CASES` sets how many (200 by default), `PGSEAL_SEED` where they start.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod mint;

use std::fmt::Write as _;

use mint::*;
use pgseal_pki::{Certificate, Purpose, verify_chain};
use rcgen::KeyPair;
use time::Duration;

/// `SplitMix64`: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()].clone()
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, usize::try_from(self.roll(end as u64 + 1)).unwrap());
        }
    }
}

const NAMES: [&str; 4] = ["root", "upper", "lower", "leaf.example.org"];

/// A sound certificate of level 0 (root) to 3 (leaf), issued by the level above.
fn sound(level: usize) -> Draft {
    let draft = Draft::new(NAMES[level], NAMES[level.saturating_sub(1)]);
    match level {
        3 => draft.with(basic_constraints(false, None)).with(alt_names(&[(DNS, b"leaf.example.org")])),
        _ => draft.with(basic_constraints(true, None)).with(key_usage(0x06)),
    }
}

/// Breaks or merely changes one thing.
#[allow(clippy::too_many_lines, reason = "a table")]
fn change(draft: &mut Draft, dice: &mut Dice) -> &'static str {
    let drop = |draft: &mut Draft, id: &str| draft.extensions.retain(|found| found.0 != id);
    match dice.roll(16) {
        0 => {
            let (from, to) = dice.pick(&[(-9, -1), (1, 9), (-60, 60), (-3, 3)]);
            draft.not_before = now() + Duration::days(from);
            draft.not_after = now() + Duration::days(to);
            "dates"
        }
        1 => {
            draft.version = 1;
            draft.extensions.clear();
            "version 1"
        }
        2 => {
            drop(draft, "2.5.29.19");
            if !dice.one_in(3) {
                let length = dice.pick(&[None, Some(0), Some(1), Some(2)]);
                draft.extensions.push(basic_constraints(!dice.one_in(4), length));
            }
            "basic constraints"
        }
        3 => {
            drop(draft, "2.5.29.15");
            if !dice.one_in(3) {
                draft
                    .extensions
                    .push(key_usage(dice.pick(&[0x80, 0xa0, 0x04, 0x06, 0x84, 0x02, 0x40, 0x08])));
            }
            "key usage"
        }
        4 => {
            let sets: [&[&str]; 5] = [
                &[SERVER_AUTH],
                &[CLIENT_AUTH],
                &[SERVER_AUTH, CLIENT_AUTH],
                &[ANY_USAGE],
                &[ANY_USAGE, SERVER_AUTH],
            ];
            draft.extensions.push(extended_key_usage(dice.pick(&sets)));
            "extended key usage"
        }
        5 => {
            draft.extensions.push(subject_key_id(&[dice.pick(&[1, 2]); 20]));
            "subject key identifier"
        }
        6 => {
            draft.extensions.push(authority_key_id(&[dice.pick(&[1, 2]); 20]));
            "authority key identifier"
        }
        7 => {
            let issuer = cn(dice.pick(&NAMES[..3]));
            draft.extensions.push(authority_issuer_serial(&issuer, &[dice.pick(&[1, 2])]));
            "authority issuer and serial"
        }
        8 => {
            draft.serial = vec![2];
            "serial"
        }
        9 => {
            let base: (u8, &[u8]) = dice.pick(&[
                (DNS, b"example.org".as_slice()),
                (DNS, b"example.com"),
                (DNS, b"leaf.example.org"),
                (IP, &[10, 0, 0, 0, 255, 0, 0, 0]),
            ]);
            draft.extensions.push(if dice.one_in(2) {
                name_constraints(&[base], &[])
            } else {
                name_constraints(&[], &[base])
            });
            "name constraints"
        }
        10 => {
            draft.extensions.push(("1.2.3.4", dice.one_in(2), tlv(5, &[])));
            "unknown extension"
        }
        11 => {
            draft.issuer = cn(dice.pick(&NAMES));
            "issuer's name"
        }
        12 => {
            draft.subject = cn(dice.pick(&NAMES));
            "subject's name"
        }
        13 => {
            let name = dice.pick(&["ROOT", " upper ", "Lower", "UPPER"]);
            if dice.one_in(2) {
                draft.issuer = cn(name);
            } else {
                draft.subject = cn(name);
            }
            "spelling of a name"
        }
        14 => {
            drop(draft, "2.5.29.17");
            if dice.one_in(2) {
                draft.extensions.push(alt_names(&[(IP, &[10, 1, 1, 1]), (DNS, b"a.example.com")]));
            }
            "alternative names"
        }
        _ => {
            let types = dice.pick(&[0x80, 0x40, 0x04, 0x01, 0x44]);
            draft.extensions.push(("2.16.840.1.113730.1.1", false, tlv(3, &[0, types])));
            "Netscape type"
        }
    }
}

struct Case {
    story: String,
    leaf: Certificate,
    presented: Vec<Certificate>,
    roots: Vec<Certificate>,
}

fn case(dice: &mut Dice, keys: &[KeyPair]) -> Case {
    let mut story = String::new();
    let mut all = Vec::new();
    // The chain itself, with twins of some of its members.
    for level in 0..4_usize {
        for twin in 0..=usize::from(dice.one_in(3)) {
            let mut draft = sound(level);
            for _ in 0..dice.pick(&[0, 0, 0, 0, 1, 1, 2]) {
                let what = change(&mut draft, dice);
                let _ = write!(story, "{} {twin}: {what}; ", NAMES[level]);
            }
            let mut key = &keys[level];
            let mut signer = &keys[level.saturating_sub(1)];
            if dice.one_in(12) {
                key = &keys[usize::try_from(dice.roll(4)).unwrap()];
                let _ = write!(story, "{} {twin}: another key; ", NAMES[level]);
            }
            if dice.one_in(12) {
                signer = &keys[usize::try_from(dice.roll(4)).unwrap()];
                let _ = write!(story, "{} {twin}: another signer; ", NAMES[level]);
            }
            all.push((level, draft.sign(key, signer)));
        }
    }
    let leaves: Vec<_> =
        all.iter().filter(|one| one.0 == 3 || dice.one_in(25)).map(|one| one.1.clone()).collect();
    let leaf = dice.pick(&leaves);
    let mut presented: Vec<_> = all
        .iter()
        .filter(|one| one.0 != 0 && !dice.one_in(12) || dice.one_in(6))
        .map(|one| one.1.clone())
        .collect();
    let mut roots: Vec<_> = all
        .iter()
        .filter(|one| one.0 == 0 && !dice.one_in(12) || dice.one_in(8))
        .map(|one| one.1.clone())
        .collect();
    dice.shuffle(&mut presented);
    if dice.one_in(4) {
        roots.push(leaf.clone());
    }
    if dice.one_in(4) && !presented.is_empty() {
        presented.push(dice.pick(&presented));
    }
    let show =
        |list: &[Certificate]| list.iter().map(|one| one.subject().to_string()).collect::<Vec<_>>().join(" ");
    let _ = write!(story, "presented {}; roots {}", show(&presented), show(&roots));
    Case { story, leaf, presented, roots }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn random_chains_get_openssls_verdict() {
    let cases = setting("PGSEAL_CASES", 200);
    let seed = setting("PGSEAL_SEED", 20_261_124);
    let keys: Vec<KeyPair> = (0..4).map(|_| KeyPair::generate().unwrap()).collect();
    let judge = Judge::new();
    let mut trusted = 0;
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    for number in 0..cases {
        let mut dice = Dice(seed.wrapping_add(number));
        let purpose = if dice.one_in(5) { Purpose::Client } else { Purpose::Server };
        let case = case(&mut dice, &keys);
        let ours = verify_chain(&case.leaf, &case.presented, &case.roots, now(), purpose);
        let name = if purpose == Purpose::Server { "sslserver" } else { "sslclient" };
        let options = ["-purpose", name, "-auth_level", "2"];
        let theirs = judge.ask(&case.leaf, &case.presented, &case.roots, now(), &options);
        let story = format!("PGSEAL_SEED={} PGSEAL_CASES=1: {}", seed.wrapping_add(number), case.story);
        match (&ours, &theirs) {
            (Ok(_), Answer::Ok) => trusted += 1,
            (Err(refusal), Answer::Error(code, depth)) => {
                let known = refusal.fault().openssl_code().unwrap_or(*code);
                assert_eq!((known, refusal.depth()), (*code, *depth), "{story}\n{refusal}");
                *reasons.entry(format!("{code}")).or_default() += 1;
            }
            (Err(_), Answer::Other(_)) => {}
            _ => panic!("{story}\nhere {ours:?}\nopenssl {theirs:?}"),
        }
    }
    println!("{cases} chains: {trusted} trusted, refused by openssl's number: {reasons:?}");
    if cases >= 200 {
        assert!(trusted * 10 > cases && trusted * 10 < cases * 9, "{trusted} of {cases} trusted");
        assert!(reasons.len() >= 6, "{reasons:?}");
    }
}

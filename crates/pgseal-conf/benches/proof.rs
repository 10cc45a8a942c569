//! How long the plaintext proof takes on large files: one line a family and size, tab-separated: family, rules,
//! milliseconds to read, milliseconds to prove, the verdict. Medians of five rounds.
//!
//! The first family is what people write. In the others no early line decides: rules that only jointly cover, nested
//! ranges, masks with holes.
#![allow(clippy::print_stdout, missing_docs)]

use std::fmt::Write as _;
use std::time::Instant;

use pgseal_conf::PgVersion;
use pgseal_conf::files::NoFiles;
use pgseal_conf::hba::proof::plaintext_path;
use pgseal_conf::hba::{Ruleset, Server, World};

const SIZES: [usize; 2] = [10_000, 100_000];
const ROUNDS: usize = 5;

type Family = (&'static str, fn(usize) -> String);

const FAMILIES: [Family; 7] = [
    ("hostssl lines, then two rejects", everyday),
    ("ranges that jointly cover all of IPv4", ranges),
    ("distinct database, user and range, each in two halves", distinct),
    ("databases by users by ranges", grid),
    ("nested ranges", nested),
    ("masks with holes under one reject", holes),
    ("masks with holes that jointly cover", covering_holes),
];

fn octets(number: usize) -> (usize, usize) {
    ((number / 256) % 256, number % 256)
}

/// `count` texts, one after the other.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn everyday(count: usize) -> String {
    let lines = lines(count, |n| {
        let (high, low) = octets(n);
        format!("hostssl d{} u{n} 10.{high}.{low}.0/24 scram-sha-256\n", n % 50)
    });
    lines
        + "hostnossl all all all reject\nhostnossl replication all all reject\nhost all all all scram-sha-256\n"
}

fn ranges(count: usize) -> String {
    let bits = count.ilog2();
    let lines = lines(1 << bits, |n| {
        let [a, b, c, d] = u32::try_from(n).unwrap_or(0).wrapping_shl(32 - bits).to_be_bytes();
        format!("hostnossl all all {a}.{b}.{c}.{d}/{bits} reject\n")
    });
    lines + "host all all 0.0.0.0/0 md5\n"
}

fn distinct(count: usize) -> String {
    let halves = lines(count / 3, |n| {
        let (high, low) = octets(n);
        format!(
            "hostnossl d{n} u{n} 10.{high}.{low}.0/25 reject\nhostnossl d{n} u{n} 10.{high}.{low}.128/25 reject\n"
        )
    });
    let wholes = lines(count / 3, |n| {
        let (high, low) = octets(n);
        format!("host d{n} u{n} 10.{high}.{low}.0/24 md5\n")
    });
    halves + &wholes
}

fn grid(count: usize) -> String {
    let side = (1..=count).find(|side| side.pow(3) >= count).unwrap_or(1);
    let list = |letter: char| (0..side).map(|n| format!("{letter}{n}")).collect::<Vec<_>>().join(",");
    let mut text = String::new();
    for database in 0..side {
        for user in 0..side {
            for range in 0..side {
                let _ = writeln!(text, "hostnossl d{database} u{user} 10.0.{range}.0/24 reject");
            }
        }
    }
    let (databases, users) = (list('d'), list('u'));
    text + &lines(side, |range| format!("host {databases} {users} 10.0.{range}.0/24 md5\n"))
}

fn nested(count: usize) -> String {
    let lines = lines(count, |n| {
        let (high, low) = octets(n);
        format!("hostnossl all u{} 10.{high}.{low}.1/{} reject\n", n / 25, 32 - n % 25)
    });
    let wide = self::lines(count / 25, |n| format!("host all u{n} 0.0.0.0/0 md5\n"));
    format!("hostnossl all all 0.0.0.0/0 reject\n{lines}{wide}")
}

fn holes(count: usize) -> String {
    let lines = lines(count, |n| {
        let (high, low) = octets(n);
        format!("hostnossl all all 10.{high}.{low}.0 255.{high}.255.0 reject\n")
    });
    lines + "hostnossl all all 10.0.0.0/8 reject\nhost all all 10.0.0.0/8 md5\n"
}

fn covering_holes(count: usize) -> String {
    let lines =
        lines(count, |n| format!("hostnossl all all {}.0.{}.0 255.0.255.0 reject\n", n / 256, n % 256));
    // As many networks as a first octet has.
    lines + &self::lines((count / 256).min(256), |n| format!("host all all {n}.0.0.0/8 md5\n"))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    for (name, family) in FAMILIES {
        for size in SIZES {
            // More than 256 first octets there are not.
            let size = if name.contains("jointly cover") && name.contains("holes") {
                size.min(60_000)
            } else {
                size
            };
            let text = family(size).into_bytes();
            let (mut reading, mut proving) = (Vec::new(), Vec::new());
            let mut told = (0, "");
            for _ in 0..ROUNDS {
                let start = Instant::now();
                let server = Server::of(PgVersion::LATEST);
                let ruleset = Ruleset::read(&"pg_hba.conf".into(), text.clone(), &NoFiles, server);
                reading.push(start.elapsed().as_secs_f64() * 1e3);
                assert!(ruleset.loads(), "{name}: {:?}", ruleset.errors().next());
                let start = Instant::now();
                let verdict = plaintext_path(&ruleset.rules, &World::default());
                proving.push(start.elapsed().as_secs_f64() * 1e3);
                told = (ruleset.rules.len(), verdict.name());
            }
            println!("{name}\t{}\t{:.1}\t{:.1}\t{}", told.0, median(reading), median(proving), told.1);
        }
    }
}

//! SIGKILL takes a `rotate` at every point of its work, and another tree of files each time: one file, two files that
//! become one. Whichever it is, the server runs on and starts again as it stands, with a key that belongs to its
//! certificate; the next run goes through and ends proved; undone, every file is what it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::harness::{
    APP, APP_PASSWORD, Account, Dice, Forge, Install, Living, Met, Pgseal, Point, Psql, Ran, Trace, in_turn,
    record, samples, served, some_of,
};

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// How the pair lies before.
#[derive(Clone, Copy, Debug)]
enum Journey {
    /// In one file of pgseal's.
    One,
    /// In `server.crt` and `server.key`.
    Two,
}

/// A server about to be rotated, whom its clients trust, and the words that rotate it.
struct Begun {
    living: Living,
    root: PathBuf,
    words: Vec<String>,
}

impl Journey {
    fn begin(self, version: u32, by: &Account) -> Begun {
        match self {
            Self::One => {
                let living = Living::of(version);
                living.secured(by);
                let root = living.ca_file();
                Begun { living, root, words: Vec::new() }
            }
            Self::Two => {
                let forge = Forge::new("a company's CA");
                let (old, new) = (forge.leaf(&NAMES), forge.leaf(&NAMES));
                let living = Living::set_up(version, |setup| {
                    setup.conf("ssl = on").before(move |data| {
                        put(data, "server.crt", &old.certificate);
                        put(data, "server.key", &old.key);
                    })
                });
                let sandbox = living.sandbox();
                let path = |name: &str, mode: u32, text: &str| sandbox.file_of(by, name, mode, text);
                let root = path("root.crt", 0o644, forge.certificate());
                let (cert, key) =
                    (path("new.crt", 0o644, &new.certificate), path("new.key", 0o600, &new.key));
                let words =
                    ["--cert".into(), cert.display().to_string(), "--key".into(), key.display().to_string()];
                Begun { living, root, words: words.to_vec() }
            }
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::One => "rotate",
            Self::Two => "rotate from two files to one",
        }
    }
}

fn put(data: &Path, name: &str, content: &str) {
    let path = data.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Account::owner_of(data).own(&path);
}

impl Begun {
    fn rotate(&self, by: &Account) -> Pgseal<'_> {
        self.living.verb("rotate", &["--format", "json"], by).args(&self.words)
    }

    /// A client that verifies fully gets in.
    #[track_caller]
    fn lets_in(&self, at: &str) {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={APP} dbname=postgres sslmode=verify-full sslrootcert='{}'",
            self.living.port(),
            self.root.display()
        );
        let ran = Psql::to(conninfo).of(&Install::of(15)).env("PGPASSWORD", APP_PASSWORD).run("SELECT 1");
        assert_eq!(ran.code(), Some(0), "{at}:\n{ran}");
    }
}

#[test]
fn one_file_is_the_old_pair_or_the_new_one() {
    every_point(Journey::One);
}

#[test]
fn two_files_are_the_old_pair_until_the_settings_name_the_new_one() {
    every_point(Journey::Two);
}

fn every_point(journey: Journey) {
    let mut dice = Dice::new(journey.words());
    let all = in_turn(|version, by| points_of(journey, version, by));
    let count = samples(u32::try_from(all.len()).unwrap());
    for met in some_of(all, count, &mut dice) {
        holds(journey, &met, dice.below(3));
    }
    eprintln!("{}: {count} kills", journey.words());
    record(&format!("a killed {} leaves a pair that matches and work for the next", journey.words()), count);
}

fn points_of(journey: Journey, version: u32, by: &Account) -> Vec<Point> {
    let begun = journey.begin(version, by);
    let trace = Trace::new(begun.living.sandbox());
    begun.rotate(by).traced(&trace).run().succeeded();
    let mut points = trace.points();
    points.retain(|point| !point.is_look());
    assert!(points.len() > 15, "{points:?}");
    points
}

fn holds(journey: Journey, met: &Met, restart: u32) {
    let mut begun = journey.begin(met.version, &met.by);
    let before = begun.living.kept_files();
    let old = served(begun.living.port());
    let trace = Trace::new(begun.living.sandbox());
    let killed = begun.rotate(&met.by).killed_at(&trace, met.point.number).run();
    assert_eq!(killed.signal(), Some(9), "{killed}");
    let at =
        format!("{} on {} by {} was killed {}", journey.words(), met.version, met.by.name(), trace.last());
    eprintln!("{at}");
    begun.lets_in(&at);
    match restart {
        0 => {}
        1 => begun.living.restart(),
        _ => {
            begun.living.crash();
            begun.living.start();
        }
    }
    begun.lets_in(&at);
    let stood = changes(&begun.living, &met.by) > usize::from(matches!(journey, Journey::One));
    let next = begun.rotate(&met.by).run();
    assert_eq!(next.code(), Some(0), "{at}, and the next:\n{next}");
    begun.lets_in(&at);
    if !(stood && matches!(journey, Journey::Two)) {
        assert_eq!(next.json()["state"], "rotated", "{at}:\n{next}");
        assert_ne!(served(begun.living.port()), old, "{at}");
    }
    begun.living.restart();
    begun.lets_in(&format!("{at}, finished and restarted"));
    if !stood {
        begun.living.verb("undo", &[], &met.by).run().succeeded();
        assert_eq!(begun.living.kept_files(), before, "{at}, undone");
        assert_eq!(served(begun.living.port()), old, "{at}, undone");
    }
    assert_eq!(begun.living.half_written(), Vec::<String>::new(), "{at}");
}

/// How many changes stand.
fn changes(living: &Living, by: &Account) -> usize {
    let history: Ran = living.verb("history", &["--format", "json"], by).run().succeeded();
    let changes = history.json()["changes"].as_array().cloned().unwrap_or_default();
    changes.iter().filter(|change| change["state"] == "committed").count()
}

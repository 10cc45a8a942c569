//! SIGKILL takes the whole of a `secure` or an `undo` at every point of its work: before each byte that it writes, each
//! fsync, each rename, each reload. Each time the server runs on, starts again as it stands, lets the administrator in and
//! shows a state that was proved; the next run goes through, and after `undo` every file is what it was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::harness::{
    Account, Dice, Kept, Living, Met, Pgseal, Point, Ran, Shown, Signal, Trace, in_turn, on_all_versions,
    record, samples, some_of, versions,
};

/// Configuration and what lies beside it, to the byte.
type Files = BTreeMap<PathBuf, Kept>;

/// What is cut off, and from where it starts.
#[derive(Clone, Copy, Debug)]
enum Journey {
    /// From no TLS at all to TLS only, with a new CA.
    Enforce,
    /// A new certificate in the place of the one that an earlier change installed, and TLS only.
    Reissue,
    /// Back from TLS only.
    Undo,
}

impl Journey {
    /// A server to begin with, and its files before pgseal ever saw it.
    fn begin(self, version: u32, by: &Account) -> (Living, Files) {
        let living = Living::of(version);
        // In postgresql.auto.conf, which beats the main file and has to be changed with it.
        living.sql("ALTER SYSTEM SET ssl = off");
        living.sql("ALTER SYSTEM SET ssl_ciphers = 'HIGH'");
        living.reload();
        let untouched = living.kept_files();
        match self {
            Self::Enforce => {}
            Self::Reissue => drop(living.secured(by)),
            Self::Undo => drop(living.secure(&["--enforce"], by).run().succeeded()),
        }
        (living, untouched)
    }

    fn command<'l>(self, living: &'l Living, by: &Account) -> Pgseal<'l> {
        match self {
            Self::Enforce => {
                let command = living.verb("secure", &["--yes", "--enforce", "--new-ca"], by);
                command.arg(living.ca_of(by))
            }
            Self::Reissue => living.secure(&["--enforce", "--reissue"], by),
            Self::Undo => living.verb("undo", &["--allow-insecure"], by),
        }
    }

    /// What may be seen on the way, old and new among it.
    fn states(self) -> &'static [Shown] {
        match self {
            Self::Enforce | Self::Undo => &[Shown::Plaintext, Shown::Both, Shown::TlsOnly],
            Self::Reissue => &[Shown::Both, Shown::TlsOnly],
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Enforce => "secure --enforce",
            Self::Reissue => "secure --enforce --reissue",
            Self::Undo => "undo",
        }
    }
}

/// One run to be cut off.
struct Case {
    journey: Journey,
    met: Met,
    /// How the server is started again afterwards: not at all, in good order, or after a crash.
    restart: u32,
}

#[test]
fn a_killed_secure_is_taken_back_or_finished_by_the_next() {
    every_point(Journey::Enforce);
}

#[test]
fn a_killed_reissue_keeps_the_key_that_was_there() {
    every_point(Journey::Reissue);
}

#[test]
fn a_killed_undo_is_gone_on_with_by_the_next() {
    every_point(Journey::Undo);
}

/// The next run is killed, too, before it has taken back what the first one left; and then the one after that is not.
#[test]
fn who_is_killed_while_taking_back_leaves_no_more_than_the_first() {
    let mut dice = Dice::new("killed twice");
    let all = in_turn(|version, by| points_of(Journey::Enforce, version, by));
    let mut twice = 0;
    for _ in 0..samples(200) {
        let met = dice.pick(&all).clone();
        let case = Case { journey: Journey::Enforce, met, restart: dice.below(3) };
        twice += u32::from(case.holds_when_killed_again_at(1 + u64::from(dice.below(150))));
    }
    eprintln!("{twice} of {} killed twice", samples(200));
    assert!(twice > samples(200) / 2, "only {twice} of {} were killed twice", samples(200));
    record("a secure that is killed while it takes another back leaves no more than the first", twice);
}

/// By somebody else and at any moment: the delegate lives a little longer, and the next run comes at once.
#[test]
fn a_run_that_is_killed_from_outside_is_followed_at_once() {
    let mut dice = Dice::new("killed from outside");
    let accounts = Account::current_and_server();
    let (mut killed, mut whole) = (0, 0);
    // Longer than a run takes; runs that came to their end say how much.
    let mut longest = 400;
    while killed < samples(200) {
        assert!(
            whole <= 20 + killed,
            "{whole} runs came to their end before they were killed, {killed} did not"
        );
        let version = *dice.pick(versions());
        let by = &accounts[(killed + whole) as usize % accounts.len()];
        let (living, untouched) = Journey::Enforce.begin(version, by);
        let command = Journey::Enforce.command(&living, by).start();
        thread::sleep(Duration::from_millis(u64::from(dice.below(longest))));
        command.signal(Signal::KILL);
        let first = command.wait(Duration::from_secs(60));
        if first.code().is_none() {
            killed += 1;
        } else {
            (whole, longest) = (whole + 1, (longest * 4 / 5).max(20));
        }
        let next = Journey::Enforce.command(&living, by).run();
        assert_eq!(next.code(), Some(0), "{first}\nand the next:\n{next}");
        assert_eq!(living.shown(), Shown::TlsOnly, "{first}\nand the next:\n{next}");
        while changes(&living, by, STAND) > 0 {
            Journey::Undo.command(&living, by).run().succeeded();
        }
        assert_eq!(living.kept_files(), untouched, "{first}\nand the next:\n{next}");
        assert_eq!(living.half_written(), Vec::<String>::new(), "{first}\nand the next:\n{next}");
    }
    record("a secure that is killed from outside is followed by one that goes through", killed);
}

/// Each point, in turn by root and by the server's own user; below a soak a tenth of them.
fn every_point(journey: Journey) {
    let mut dice = Dice::new(journey.words());
    let trace = |version: u32, by: &Account| points_of(journey, version, by);
    let all = match journey {
        Journey::Enforce => on_all_versions(trace),
        Journey::Reissue | Journey::Undo => in_turn(trace),
    };
    let count = samples(u32::try_from(all.len()).unwrap());
    for met in some_of(all, count, &mut dice) {
        Case { journey, met, restart: dice.below(3) }.holds();
    }
    eprintln!("{}: {count} kills", journey.words());
    record(&format!("a killed {} leaves a server that starts and work for the next", journey.words()), count);
}

/// All points between which something changes.
fn points_of(journey: Journey, version: u32, by: &Account) -> Vec<Point> {
    let (living, _) = journey.begin(version, by);
    let trace = Trace::new(living.sandbox());
    journey.command(&living, by).traced(&trace).run().succeeded();
    let mut points = trace.points();
    points.retain(|point| !point.is_look());
    assert!(points.len() > 20, "{points:?}");
    points
}

impl Case {
    fn holds(&self) {
        let (mut living, untouched) = self.journey.begin(self.met.version, &self.met.by);
        let before = living.kept_files();
        let committed = changes(&living, &self.met.by, &["committed"]);
        let trace = Trace::new(living.sandbox());
        let killed =
            self.journey.command(&living, &self.met.by).killed_at(&trace, self.met.point.number).run();
        assert_eq!(killed.signal(), Some(9), "{killed}");
        let at = format!(
            "{} on {} by {} was killed {}",
            self.journey.words(),
            self.met.version,
            self.met.by.name(),
            trace.last()
        );
        eprintln!("{at}");

        self.shows_a_state(&living, &at);
        match self.restart {
            0 => {}
            1 => living.restart(),
            _ => {
                living.crash();
                living.start();
            }
        }
        self.shows_a_state(&living, &at);
        match self.journey {
            Journey::Enforce | Journey::Reissue => {
                let stood = changes(&living, &self.met.by, &["committed"]) > committed;
                let mut as_it_stood = living.kept_files();
                // The key that it kept goes when the next change keeps one.
                as_it_stood.retain(|path, _| !path.to_string_lossy().contains("/previous-"));
                let next = self.journey.command(&living, &self.met.by).run();
                assert_eq!(next.code(), Some(0), "{at}, and the next:\n{next}");
                assert_eq!(living.shown(), Shown::TlsOnly, "{at}");
                living.restart();
                assert_eq!(living.shown(), Shown::TlsOnly, "{at}, finished and restarted");
                if stood && matches!(self.journey, Journey::Reissue) {
                    self.undone_to(&living, &as_it_stood, &at);
                    self.no_further(&living, &as_it_stood, &at);
                } else {
                    self.undone_to(&living, &before, &at);
                    assert_eq!(living.shown(), self.journey.states()[0], "{at}, undone");
                }
            }
            Journey::Undo => self.undone_from(&mut living, &untouched, &at),
        }
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}");
    }

    /// Whether there was a second one to be killed: the first may have been at its end.
    fn holds_when_killed_again_at(&self, point: u64) -> bool {
        let (mut living, untouched) = self.journey.begin(self.met.version, &self.met.by);
        let trace = Trace::new(living.sandbox());
        self.journey.command(&living, &self.met.by).killed_at(&trace, self.met.point.number).run();
        let first = trace.last();
        let trace = Trace::new(living.sandbox());
        let again = self.journey.command(&living, &self.met.by).killed_at(&trace, point).run();
        let at = format!("killed {first}, and again {}", trace.last());
        eprintln!("{at}");
        assert!(matches!(again.code(), None | Some(0)), "{at}:\n{again}");
        self.shows_a_state(&living, &at);
        if self.restart > 0 {
            living.restart();
            self.shows_a_state(&living, &at);
        }
        let next = self.journey.command(&living, &self.met.by).run();
        assert_eq!(next.code(), Some(0), "{at}, and the next:\n{next}");
        assert_eq!(living.shown(), Shown::TlsOnly, "{at}");
        self.undone_to(&living, &untouched, &at);
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}");
        again.code().is_none()
    }

    fn shows_a_state(&self, living: &Living, at: &str) {
        let shown = living.shown();
        assert!(self.journey.states().contains(&shown), "{at}, and shows {shown:?}");
    }

    /// Undoes until the files are those of before, or nothing is left to undo.
    fn undone_to(&self, living: &Living, before: &Files, at: &str) {
        loop {
            let undo = Journey::Undo.command(living, &self.met.by).run();
            assert_eq!(undo.code(), Some(0), "{at}, and undone:\n{undo}");
            if living.kept_files() == *before {
                break;
            }
            assert!(changes(living, &self.met.by, STAND) > 0, "{at}, and files differ from before");
        }
    }

    /// Of two keys that were replaced, the older one is no longer there to be put back.
    fn no_further(&self, living: &Living, before: &Files, at: &str) {
        let undo = Journey::Undo.command(living, &self.met.by).run();
        assert_eq!(undo.code(), Some(3), "{at}, and undone twice:\n{undo}");
        assert!(undo.stderr().contains("private key that is no longer kept"), "{at}:\n{undo}");
        assert_eq!(living.kept_files(), *before, "{at}");
        assert_eq!(living.shown(), Shown::TlsOnly, "{at}");
    }

    /// The next command is `undo` again, or a `secure` that finds the undo unfinished.
    fn undone_from(&self, living: &mut Living, untouched: &Files, at: &str) {
        if self.met.point.number.is_multiple_of(2) {
            let next = living.secure(&["--enforce"], &self.met.by).run();
            assert_eq!(next.code(), Some(0), "{at}, and the next:\n{next}");
            assert_eq!(living.shown(), Shown::TlsOnly, "{at}, and secured again");
        }
        while changes(living, &self.met.by, STAND) > 0 {
            let next = Journey::Undo.command(living, &self.met.by).run();
            assert_eq!(next.code(), Some(0), "{at}, and the next:\n{next}");
        }
        living.restart();
        assert_eq!(living.shown(), Shown::Plaintext, "{at}, undone");
        assert_eq!(living.kept_files(), *untouched, "{at}, undone");
    }
}

/// What `undo` could still take back.
const STAND: &[&str] = &["committed", "unfinished", "being undone"];

/// How many changes `history` shows in one of those states.
fn changes(living: &Living, by: &Account, states: &[&str]) -> usize {
    let history: Ran = living.verb("history", &["--format", "json"], by).run().succeeded();
    let changes = history.json()["changes"].as_array().cloned().unwrap_or_default();
    changes.iter().filter(|change| states.contains(&change["state"].as_str().unwrap_or_default())).count()
}

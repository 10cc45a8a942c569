//! ENOSPC, EACCES and EIO at every look at the disk and every change of it, in `secure` and in `undo`: never is anybody
//! locked out, never is anything left half-written; what was begun is taken back and seen on the wire to be, and the message
//! names the file and says what the system said.

use crate::harness::{
    Account, Dice, Living, Met, Pgseal, Point, Ran, Shown, Trace, in_turn, record, samples, some_of,
};

/// Names of errno(3), and what strerror(3) makes of them.
const ERRORS: [(&str, &str); 3] =
    [("ENOSPC", "No space left on device"), ("EACCES", "Permission denied"), ("EIO", "Input/output error")];

fn enforce<'l>(living: &'l Living, by: &Account) -> Pgseal<'l> {
    living.verb("secure", &["--yes", "--enforce", "--new-ca"], by).arg(living.ca_of(by))
}

fn undo<'l>(living: &'l Living, by: &Account) -> Pgseal<'l> {
    living.verb("undo", &["--allow-insecure"], by)
}

/// Every operation with its errors, each on one of the versions and by one of the accounts; below a soak a tenth of them.
fn faults(
    trace: impl Fn(u32, &Account) -> Vec<Point>,
    dice: &mut Dice,
) -> Vec<(Met, (&'static str, &'static str))> {
    let operations = in_turn(trace).into_iter().filter(|met| met.point.is_change() || met.point.is_look());
    // In a soak with each of the errors, and else with one of them.
    let errors = usize::try_from(samples(3)).unwrap();
    let with_errors = |(nth, met): (usize, Met)| {
        (nth..nth + errors).map(move |error| (met.clone(), ERRORS[error % ERRORS.len()]))
    };
    let all: Vec<_> = operations.enumerate().flat_map(with_errors).collect();
    let count = samples(u32::try_from(all.len()).unwrap());
    some_of(all, count, dice)
}

/// Where a fault was this time: every run has folders of its own.
fn met_in(trace: &Trace, met: &Met) -> Point {
    trace.points().into_iter().find(|point| point.number == met.point.number).expect("a run has its points")
}

#[test]
fn what_is_refused_in_secure_is_taken_back() {
    let all = faults(trace_of_secure, &mut Dice::new("refused in secure"));
    for (met, error) in &all {
        let (by, living) = (&met.by, Living::of(met.version));
        let before = living.kept_files();
        let trace = Trace::new(living.sandbox());
        let ran = enforce(&living, by).refused_at(&trace, met.point.number, error.0).run();
        let point = met_in(&trace, met);
        let at = format!("{} at point {}, {} of {}", error.0, point.number, point.name, point.path);
        if ran.code() == Some(0) {
            assert!(point.is_look(), "{at} should not have been overlooked:\n{ran}");
            assert_eq!(living.shown(), Shown::TlsOnly, "{at}");
        } else {
            is_told(&ran, &point, *error, &at);
            assert_eq!(living.kept_files(), before, "{at}:\n{ran}");
            assert!(!living.ca_of(by).exists(), "{at}: the CA should be gone:\n{ran}");
            assert_eq!(living.shown(), Shown::Plaintext, "{at}");
            assert_eq!(unfinished(&living, by), 0, "{at}:\n{ran}");
        }
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}:\n{ran}");
    }
    let count = u32::try_from(all.len()).unwrap();
    record("an operation of secure that is refused locks nobody out and leaves nothing", count);
}

#[test]
fn what_is_refused_in_undo_is_gone_on_with() {
    let all = faults(trace_of_undo, &mut Dice::new("refused in undo"));
    for (met, error) in &all {
        let (by, mut living) = (&met.by, Living::of(met.version));
        let before = living.kept_files();
        living.secure(&["--enforce"], by).run().succeeded();
        let trace = Trace::new(living.sandbox());
        let ran = undo(&living, by).refused_at(&trace, met.point.number, error.0).run();
        let point = met_in(&trace, met);
        let at = format!("{} at point {}, {} of {}", error.0, point.number, point.name, point.path);
        if ran.code() == Some(0) {
            assert!(point.is_look(), "{at} should not have been overlooked:\n{ran}");
        } else {
            is_told(&ran, &point, *error, &at);
            living.shown();
            living.restart();
            living.shown();
            // Where it had come to its end but for the last word, nothing is left to undo.
            let next = undo(&living, by).run();
            let nothing = next.code() == Some(1) && next.stderr().contains("there is no change of");
            assert!(next.code() == Some(0) || nothing, "{at}:\n{ran}\nand the next:\n{next}");
        }
        assert_eq!(living.shown(), Shown::Plaintext, "{at}");
        assert_eq!(living.kept_files(), before, "{at}:\n{ran}");
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}:\n{ran}");
    }
    let count = u32::try_from(all.len()).unwrap();
    record("an operation of undo that is refused locks nobody out, and undo goes on with it", count);
}

/// Nothing more can be written from some point on, not even to take things back.
#[test]
fn a_disk_that_stays_full_leaves_a_way_in_and_work_for_the_next() {
    let writes: Vec<Met> = in_turn(trace_of_secure).into_iter().filter(|met| met.point.is_change()).collect();
    let count = samples(u32::try_from(writes.len()).unwrap());
    for met in some_of(writes, count, &mut Dice::new("full")) {
        let (by, mut living) = (&met.by, Living::of(met.version));
        let before = living.kept_files();
        let trace = Trace::new(living.sandbox());
        let ran = enforce(&living, by).full_from(&trace, met.point.number).run();
        let at = format!("full from point {}, {}", met.point.number, met.point.name);
        assert!(matches!(ran.code(), Some(0 | 3 | 4)), "{at}:\n{ran}");
        if ran.code() != Some(0) {
            assert!(ran.stderr().contains("No space left on device"), "{at}:\n{ran}");
        }
        living.shown();
        living.restart();
        living.shown();
        let next = enforce(&living, by).run();
        assert_eq!(next.code(), Some(0), "{at}:\n{ran}\nand the next:\n{next}");
        assert_eq!(living.shown(), Shown::TlsOnly, "{at}");
        undo(&living, by).run().succeeded();
        assert_eq!(living.kept_files(), before, "{at}:\n{ran}");
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}:\n{ran}");
    }
    record("a disk that stays full leaves a way in and work for the next", count);
}

/// A calm sentence: status 3 or 4, the file, the system's words.
fn is_told(ran: &Ran, point: &Point, error: (&str, &str), at: &str) {
    assert!(matches!(ran.code(), Some(3 | 4)), "{at}:\n{ran}");
    assert!(ran.stderr().contains(error.1), "{at} should be told:\n{ran}");
    let (folder, name) = point.path.rsplit_once('/').unwrap_or(("", &point.path));
    let name = name.strip_suffix(".pgseal-new").map_or(name, |name| name.trim_start_matches('.'));
    let named = [point.path.clone(), format!("{folder}/{name}")];
    assert!(named.iter().any(|path| ran.stderr().contains(path)), "{at} should be named:\n{ran}");
    assert!(!ran.stderr().contains("Error {") && !ran.stderr().contains("Os {"), "{at}:\n{ran}");
}

fn trace_of_secure(version: u32, by: &Account) -> Vec<Point> {
    let living = Living::of(version);
    let trace = Trace::new(living.sandbox());
    enforce(&living, by).traced(&trace).run().succeeded();
    trace.points()
}

fn trace_of_undo(version: u32, by: &Account) -> Vec<Point> {
    let living = Living::of(version);
    living.secure(&["--enforce"], by).run().succeeded();
    let trace = Trace::new(living.sandbox());
    undo(&living, by).traced(&trace).run().succeeded();
    trace.points()
}

/// Changes that `history` shows as still under way.
fn unfinished(living: &Living, by: &Account) -> usize {
    let history = living.verb("history", &["--format", "json"], by).run().succeeded();
    let changes = history.json()["changes"].as_array().cloned().unwrap_or_default();
    changes.iter().filter(|change| change["state"] != "rolled back").count()
}

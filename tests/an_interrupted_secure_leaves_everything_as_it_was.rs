//! SIGINT, SIGTERM and SIGHUP at every point of a `secure`, and of a `rotate` with `--compromised` and without: it ends with
//! 130, 143 or 129 after it has taken everything back, or with 0 where the change stood already. An `undo` that is interrupted goes on to its end, or has not begun.

use std::time::Duration;

use crate::harness::{
    Account, Dice, Living, Met, Pgseal, Point, Ran, Shown, Signal, Trace, in_turn, record, samples, served,
    some_of,
};

const SIGNALS: [(Signal, i32); 3] = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn secure_ends_as_the_signal_has_it_and_nothing_is_changed() {
    let mut dice = Dice::new("interrupted secure");
    let all = in_turn(trace_of_secure);
    let count = samples(u32::try_from(all.len()).unwrap());
    let mut done = 0;
    for (nth, met) in some_of(all, count, &mut dice).into_iter().enumerate() {
        let (by, living) = (&met.by, Living::of(met.version));
        let before = living.kept_files();
        let Cut { ran, at, code } = cut_off(living.secure(&["--enforce"], by), &living, &met, nth, &mut dice);
        if ran.code() == Some(0) {
            assert_eq!(living.shown(), Shown::TlsOnly, "{at}:\n{ran}");
            done += 1;
            continue;
        }
        says_so(&ran, code, &at);
        assert_eq!(living.kept_files(), before, "{at}:\n{ran}");
        assert_eq!(living.shown(), Shown::Plaintext, "{at}:\n{ran}");
        assert!(!living.ca_of(by).exists(), "{at}: the CA should be gone:\n{ran}");
    }
    eprintln!("{count} interrupted, {done} of them too late");
    assert!(done * 4 < count, "only {} of {count} were cut off", count - done);
    record("an interrupted secure leaves everything as it was", count);
}

#[test]
fn rotate_ends_as_the_signal_has_it_and_the_certificate_is_that_of_before() {
    interrupted_rotations(&[]);
}

#[test]
fn a_rotate_of_a_key_in_wrong_hands_ends_as_the_signal_has_it_too() {
    interrupted_rotations(&["--compromised"]);
}

fn interrupted_rotations(words: &[&str]) {
    let mut dice = Dice::new("interrupted rotate");
    let all = in_turn(|version, by| trace_of_rotate(version, by, words));
    let count = samples(u32::try_from(all.len()).unwrap());
    let mut done = 0;
    for (nth, met) in some_of(all, count, &mut dice).into_iter().enumerate() {
        let (by, living) = (&met.by, Living::of(met.version));
        living.secured(by);
        let (before, old) = (living.kept_files(), served(living.port()));
        let rotate = living.verb("rotate", words, by);
        let Cut { ran, at, code } = cut_off(rotate, &living, &met, nth, &mut dice);
        assert_eq!(living.shown(), Shown::Both, "{at}:\n{ran}");
        if ran.code() == Some(0) {
            assert_ne!(served(living.port()), old, "{at}:\n{ran}");
            done += 1;
            continue;
        }
        says_so(&ran, code, &at);
        assert_eq!(living.kept_files(), before, "{at}:\n{ran}");
        assert_eq!(served(living.port()), old, "{at}:\n{ran}");
    }
    eprintln!("{count} of rotate {words:?} interrupted, {done} of them too late");
    assert!(done < count, "none of {count} was cut off");
    record("an interrupted rotate leaves the certificate of before", count);
}

/// How a run ended that was told to, the status that this signal is to have, and where it was.
struct Cut {
    ran: Ran,
    at: String,
    code: i32,
}

/// Holds it at that point, tells it to end, and lets it go.
fn cut_off(pgseal: Pgseal<'_>, living: &Living, met: &Met, nth: usize, dice: &mut Dice) -> Cut {
    let (signal, code) = SIGNALS[nth % SIGNALS.len()];
    let trace = Trace::new(living.sandbox());
    let begun = pgseal.held_at(&trace, met.point.number).start();
    trace.wait_for(met.point.number);
    // To the program alone, or to all of the terminal's group and more than once, as people press Ctrl-C.
    match dice.below(2) {
        0 => begun.signal(signal),
        _ => (0..3).for_each(|_| begun.signal_group(signal)),
    }
    trace.go();
    let ran = begun.wait(LIMIT);
    let at = format!("{signal:?} at point {}, {}", met.point.number, met.point.name);
    assert_eq!(living.half_written(), Vec::<String>::new(), "{at}:\n{ran}");
    Cut { ran, at, code }
}

#[track_caller]
fn says_so(ran: &Ran, code: i32, at: &str) {
    assert_eq!(ran.code(), Some(code), "{at}:\n{ran}");
    assert!(ran.stderr().contains("interrupted by"), "{at}:\n{ran}");
    assert!(!ran.stderr().contains("could not"), "{at}:\n{ran}");
}

#[test]
fn undo_has_not_begun_or_comes_to_its_end() {
    let all = in_turn(trace_of_undo);
    let count = samples(u32::try_from(all.len()).unwrap());
    for (nth, met) in some_of(all, count, &mut Dice::new("interrupted undo")).into_iter().enumerate() {
        let (by, living) = (&met.by, Living::of(met.version));
        let untouched = living.kept_files();
        living.secure(&["--enforce"], by).run().succeeded();
        let secured = living.kept_files();
        let (signal, code) = SIGNALS[nth % SIGNALS.len()];
        let trace = Trace::new(living.sandbox());
        let undo = living.verb("undo", &["--allow-insecure"], by).held_at(&trace, met.point.number).start();
        trace.wait_for(met.point.number);
        undo.signal(signal);
        trace.go();
        let ran = undo.wait(LIMIT);
        let at = format!("{signal:?} at point {}, {}", met.point.number, met.point.name);
        if ran.code() == Some(0) {
            assert_eq!(living.kept_files(), untouched, "{at}:\n{ran}");
            assert_eq!(living.shown(), Shown::Plaintext, "{at}:\n{ran}");
        } else {
            assert_eq!(ran.code(), Some(code), "{at}:\n{ran}");
            assert_eq!(living.kept_files(), secured, "{at}:\n{ran}");
            assert_eq!(living.shown(), Shown::TlsOnly, "{at}:\n{ran}");
        }
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}:\n{ran}");
    }
    record("an interrupted undo has not begun or comes to its end", count);
}

fn trace_of_secure(version: u32, by: &Account) -> Vec<Point> {
    let living = Living::of(version);
    let trace = Trace::new(living.sandbox());
    living.secure(&["--enforce"], by).traced(&trace).run().succeeded();
    trace.points()
}

fn trace_of_rotate(version: u32, by: &Account, words: &[&str]) -> Vec<Point> {
    let living = Living::of(version);
    living.secured(by);
    let trace = Trace::new(living.sandbox());
    living.verb("rotate", words, by).traced(&trace).run().succeeded();
    trace.points()
}

fn trace_of_undo(version: u32, by: &Account) -> Vec<Point> {
    let living = Living::of(version);
    living.secure(&["--enforce"], by).run().succeeded();
    let trace = Trace::new(living.sandbox());
    living.verb("undo", &["--allow-insecure"], by).traced(&trace).run().succeeded();
    trace.points()
}

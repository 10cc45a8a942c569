//! Two rotations at once, a server that is restarted or does not hear its signal, a disk that refuses or is full: each time
//! the server goes on with a pair that belongs together, says what happened, and the next rotation goes through.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal as Sent, kill_process};

use crate::harness::{
    Account, Dice, Living, Met, Pgseal, Point, Trace, in_turn, is_soak, record, samples, served, some_of,
    versions_in_turn,
};

fn by() -> Account {
    Account::current()
}

fn secured(version: u32, by: &Account) -> Living {
    let living = Living::of(version);
    living.secured(by);
    living
}

fn rotate<'l>(living: &'l Living, by: &Account) -> Pgseal<'l> {
    living.verb("rotate", &[], by)
}

#[track_caller]
fn verifies(living: &Living, at: &str) {
    let ran = living.psql("verify-full").run("SELECT 1");
    assert_eq!(ran.code(), Some(0), "{at}:\n{ran}");
}

fn points(version: u32, by: &Account) -> Vec<Point> {
    let living = secured(version, by);
    let trace = Trace::new(living.sandbox());
    rotate(&living, by).traced(&trace).run().succeeded();
    trace.points()
}

/// The step at which the new file is in its place and the server has not been told.
fn written(points: &[Point]) -> u64 {
    let step = points.iter().find(|point| point.name == "the new certificate is written");
    step.expect("a rotation has that step").number
}

/// All in a soak; below it each is a server of its own, and no more of them than this.
fn few(all: usize, most: u32) -> u32 {
    let count = samples(u32::try_from(all).unwrap());
    if is_soak() { count } else { count.min(most) }
}

#[test]
fn of_two_at_once_one_goes_through_and_the_other_says_so() {
    for version in versions_in_turn(0) {
        let living = secured(version, &by());
        let number = written(&points(version, &by()));
        let trace = Trace::new(living.sandbox());
        let first = rotate(&living, &by()).held_at(&trace, number).start();
        trace.wait_for(number);
        let second = rotate(&living, &by()).run().ended(3);
        second.complains("another pgseal command works on");
        trace.go();
        first.wait(Duration::from_secs(60)).succeeded();
        verifies(&living, "after both");
        rotate(&living, &by()).run().succeeded();
    }
}

#[test]
fn a_server_that_is_restarted_in_the_middle_is_put_back_and_rotated_by_the_next() {
    for version in versions_in_turn(1) {
        let mut living = secured(version, &by());
        let before = served(living.port());
        let number = written(&points(version, &by()));
        let trace = Trace::new(living.sandbox());
        let held = rotate(&living, &by()).held_at(&trace, number).start();
        trace.wait_for(number);
        living.restart();
        verifies(&living, "restarted in the middle");
        trace.go();
        let ran = held.wait(Duration::from_secs(60)).ended(4).complains("rolled back");
        assert_eq!(served(living.port()), before, "{ran}");
        verifies(&living, "put back");
        rotate(&living, &by()).run().succeeded();
        verifies(&living, "rotated by the next");
    }
}

/// As a signal does that is lost: nothing is read again, however long one waits.
#[test]
fn a_server_that_does_not_hear_is_not_believed_to_have_heard() {
    for version in versions_in_turn(0) {
        let living = secured(version, &by());
        let before = served(living.port());
        let number = written(&points(version, &by()));
        let trace = Trace::new(living.sandbox());
        let held = rotate(&living, &by()).held_at(&trace, number).start();
        trace.wait_for(number);
        let postmaster =
            living.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).unwrap();
        kill_process(postmaster, Sent::STOP).unwrap();
        trace.go();
        // Longer than it waits for the files to be read; then it takes back, and waits for the wire to show that.
        thread::sleep(Duration::from_secs(24));
        kill_process(postmaster, Sent::CONT).unwrap();
        let ran =
            held.wait(Duration::from_secs(90)).ended(4).complains("did not read its configuration again");
        assert_eq!(served(living.port()), before, "{ran}");
        verifies(&living, "heard at last");
        rotate(&living, &by()).run().succeeded();
    }
}

#[test]
fn a_disk_that_refuses_leaves_the_old_pair_or_is_overlooked_where_nothing_was_wanted_of_it() {
    const ERRORS: [(&str, &str); 3] = [
        ("ENOSPC", "No space left on device"),
        ("EACCES", "Permission denied"),
        ("EIO", "Input/output error"),
    ];
    let all: Vec<Met> =
        in_turn(points).into_iter().filter(|met| met.point.is_change() || met.point.is_look()).collect();
    let count = few(all.len(), 12);
    for (nth, met) in some_of(all, count, &mut Dice::new("refused in rotate")).into_iter().enumerate() {
        let (errno, words) = ERRORS[nth % ERRORS.len()];
        let mut living = secured(met.version, &met.by);
        let (before, files) = (served(living.port()), living.kept_files());
        let trace = Trace::new(living.sandbox());
        let ran = rotate(&living, &met.by).refused_at(&trace, met.point.number, errno).run();
        let at = format!("{errno} at point {}, {} of {}", met.point.number, met.point.name, met.point.path);
        if ran.code() == Some(0) {
            assert_ne!(served(living.port()), before, "{at}:\n{ran}");
        } else {
            assert!(matches!(ran.code(), Some(3 | 4)), "{at}:\n{ran}");
            assert!(ran.stderr().contains(words), "{at} should be told:\n{ran}");
            assert_eq!(served(living.port()), before, "{at}:\n{ran}");
            assert_eq!(living.kept_files(), files, "{at}:\n{ran}");
        }
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}:\n{ran}");
        living.restart();
        verifies(&living, &at);
    }
    record("an operation of rotate that is refused leaves a pair that belongs together", count);
}

#[test]
fn a_disk_that_stays_full_leaves_a_pair_that_belongs_together_and_work_for_the_next() {
    let all: Vec<Met> = in_turn(points).into_iter().filter(|met| met.point.is_change()).collect();
    let count = few(all.len(), 6);
    for met in some_of(all, count, &mut Dice::new("full in rotate")) {
        let mut living = secured(met.version, &met.by);
        let trace = Trace::new(living.sandbox());
        let ran = rotate(&living, &met.by).full_from(&trace, met.point.number).run();
        let at = format!("full from point {}, {}:\n{ran}", met.point.number, met.point.name);
        assert!(matches!(ran.code(), Some(0 | 3 | 4)), "{at}");
        verifies(&living, &at);
        living.restart();
        verifies(&living, &at);
        let next = rotate(&living, &met.by).run();
        assert_eq!(next.code(), Some(0), "{at}\nand the next:\n{next}");
        verifies(&living, &at);
        assert_eq!(living.half_written(), Vec::<String>::new(), "{at}");
    }
    record("a disk that stays full leaves a pair that belongs together and work for the next", count);
}

//! SIGINT and SIGKILL at any point of `up --engine compose`. After the first nothing is left, in the folder and with docker,
//! or a finished server; after the second the next `up` ends proved, and what was begun too early to hold data is gone.

use std::time::Duration;

use crate::harness::{Account, Composed, Dice, Point, Signal, Trace, all_hold, record, samples, some_of};

const LIMIT: Duration = Duration::from_secs(180);

/// The points of an undisturbed run.
fn points(composed: &Composed) -> Vec<Point> {
    let trace = Trace::new(composed.sandbox());
    composed.up(&[]).traced(&trace).run().succeeded();
    gone(composed);
    trace.points()
}

/// Removed by `down`, with everything that docker has of it.
#[track_caller]
fn gone(composed: &Composed) {
    composed.verb("down", &["--remove", "--yes"]).run().succeeded();
    nothing_is_left(composed);
}

#[track_caller]
fn nothing_is_left(composed: &Composed) {
    assert!(!composed.dir().exists());
    let nothing = Vec::<String>::new();
    assert_eq!(
        (composed.containers(), composed.volumes(), composed.networks()),
        (nothing.clone(), nothing.clone(), nothing)
    );
}

/// Some of all, and always those around what docker does.
fn chosen(all: Vec<Point>, count: u32, dice: &mut Dice) -> Vec<Point> {
    let (mut with_docker, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|point| point.path == "-");
    let steps = u32::try_from(with_docker.len()).unwrap();
    let (docker, rest) = (count.div_ceil(2).min(steps), count / 2);
    with_docker = some_of(with_docker, docker, dice);
    with_docker.extend(some_of(others, rest, dice));
    with_docker
}

#[test]
fn a_killed_up_is_finished_or_begun_anew_by_the_next() {
    let composed = Composed::new(2, &Account::current());
    let mut dice = Dice::new("killed ups in containers");
    for point in chosen(points(&composed), samples(40), &mut dice) {
        let trace = Trace::new(composed.sandbox());
        let killed = composed.up(&[]).killed_at(&trace, point.number).run();
        assert_eq!(killed.signal(), Some(Signal::KILL.as_raw()), "{} {killed}", trace.last());
        let next = composed.up(&["--format", "json"]).run().succeeded();
        assert_eq!(next.json()["proved"], true, "{} {next}", trace.last());
        all_hold(&next);
        assert_eq!((composed.containers().len(), composed.volumes().len()), (1, 2), "{}", trace.last());
        composed.psql("verify-full").run("SELECT 1").succeeded();
        let held = "tr '\\0' '\\n' < /proc/1/environ | grep -c '^POSTGRES_PASSWORD=.'; cat /tls/password";
        let user = composed.exec(&["stat", "-c", "%u:%g", "/tls/password"]).succeeded();
        let user = user.stdout().trim().to_owned();
        let words = ["exec", "--user", &user, &composed.container(), "sh", "-c", held];
        assert_eq!(crate::harness::docker(&words).succeeded().stdout(), "0\n", "{}", trace.last());
        gone(&composed);
        record("a killed up in a container is finished or begun anew by the next", 1);
    }
}

#[test]
fn an_interrupted_up_leaves_nothing() {
    let composed = Composed::new(2, &Account::current());
    let mut dice = Dice::new("interrupted ups in containers");
    for point in chosen(points(&composed), samples(40), &mut dice) {
        let trace = Trace::new(composed.sandbox());
        let up = composed.up(&[]).held_at(&trace, point.number).start();
        trace.wait_for(point.number);
        up.signal(Signal::INT);
        trace.go();
        let ran = up.wait(LIMIT);
        match ran.code() {
            // It came too late.
            Some(0) => gone(&composed),
            Some(130) => {
                assert!(ran.stderr().contains("interrupted by SIGINT"), "{ran}");
                assert!(!ran.stderr().contains("could not"), "{} {ran}", trace.last());
                nothing_is_left(&composed);
            }
            // Before anything was listened for, and so before anything was begun.
            None => nothing_is_left(&composed),
            Some(other) => panic!("ended with {other} {}: {ran}", trace.last()),
        }
        record("an interrupted up in a container leaves nothing", 1);
    }
}

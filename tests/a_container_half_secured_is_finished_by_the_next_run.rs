//! pgseal is killed with SIGKILL before and after its calls of docker, and while the bytes of a file flow: each time the
//! container can be restarted as it stands, no file is half a file, and the next run goes all the way to a proof.

use crate::harness::{
    Call, Contained, Dice, Moment, Pgseal, Spy, all_hold, images, is_soak, record, samples,
};

/// Something in the container becomes another thing by that call.
fn changes(call: &Call) -> bool {
    let script = call.words.join(" ");
    ["mv -f", "mkdir", "rm --", "rmdir", "kill -HUP"].iter().any(|deed| script.contains(deed))
}

/// The file that the call exchanges: script, `sh`, path, new name, mode, length.
fn exchanged(call: &Call) -> Option<&str> {
    let exchanges = call.words.iter().any(|word| word.contains("mv -f"));
    exchanges.then(|| call.words[call.words.len() - 4].as_str())
}

/// What is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journey {
    There,
    Back,
}

impl Journey {
    fn command(self, contained: &Contained) -> Pgseal<'_> {
        match self {
            Self::There => contained.secure(&["--enforce"]),
            Self::Back => contained.verb("undo", &["--allow-insecure"]),
        }
    }
}

/// One run to be cut off.
#[derive(Debug)]
struct Case {
    journey: Journey,
    call: Call,
    moment: Moment,
}

impl Case {
    /// Every one that there is: what there and back again asks of docker, watched once.
    #[track_caller]
    fn all(contained: &Contained, spy: &Spy) -> Vec<Self> {
        // The CA is made here, and stays.
        Journey::There.command(contained).run().succeeded();
        Journey::Back.command(contained).run().succeeded();
        let mut all = Vec::new();
        for journey in [Journey::There, Journey::Back] {
            spy.watches(journey.command(contained)).run().succeeded();
            for call in spy.calls().into_iter().filter(changes) {
                let moments: &[Moment] = match exchanged(&call) {
                    Some(_) => &[Moment::Before, Moment::After, Moment::Half, Moment::Unconfirmed],
                    None => &[Moment::Before, Moment::After],
                };
                all.extend(moments.iter().map(|moment| Self {
                    journey,
                    call: call.clone(),
                    moment: *moment,
                }));
            }
        }
        assert!(all.len() > 30, "{} moments at which something changes: {all:?}", all.len());
        all
    }
}

/// The digest of a file inside, or that there is none.
fn digest(contained: &Contained, path: &str) -> String {
    contained.exec(&["sha256sum", path]).stdout().split(' ').next().unwrap_or_default().to_owned()
}

/// Killed there; the container is restarted as it stands; the next run proves; everything goes back to the byte.
#[track_caller]
fn cut_off(contained: &Contained, spy: &Spy, before: &str, case: &Case) {
    let Case { journey, call, moment } = case;
    let what = format!("{journey:?} killed at call {} ({moment:?}): {:?}", call.number, call.words);
    if *journey == Journey::Back {
        Journey::There.command(contained).run().succeeded();
    }
    let was = exchanged(call).map(|path| digest(contained, path));
    let ran = spy.kills(journey.command(contained), call.number, *moment).run();
    assert_eq!(ran.signal(), Some(9), "{what}:\n{ran}");
    if let (Some(path), Moment::Half | Moment::Unconfirmed) = (exchanged(call), moment) {
        assert_eq!(Some(digest(contained, path)), was, "{what}: {path} is as it was");
        record("a file of which not all came, or for which nobody stood any more, was not exchanged", 1);
    }
    contained.restart();
    contained.psql("postgres", "SELECT 'let in'").succeeded().says("let in");

    Journey::There.command(contained).run().succeeded();
    all_hold(&contained.verb("verify", &["--format", "json"]).run());
    while Journey::Back.command(contained).run().code() == Some(0) {}
    assert_eq!(contained.files(), before, "{what}: undone to the byte");
    record("a run on a container is killed, and the next one proves", 1);
}

#[test]
fn wherever_it_was_killed() {
    let mut dice = Dice::new("a run on a container is killed");
    let images: Vec<String> = images().into_iter().take(samples(10) as usize).collect();
    for image in &images {
        let contained = Contained::of(image);
        let spy = Spy::new(contained.sandbox());
        let before = contained.files();
        let mut cases = Case::all(&contained, &spy);
        assert_eq!(contained.files(), before, "{image}");
        let count = |number: usize| u32::try_from(number).expect("some dozens");
        let wanted = samples(count(cases.len())).div_ceil(count(images.len()));
        // Each takes seconds, most of them docker's.
        for _ in 0..if is_soak() { wanted } else { wanted.min(2) } {
            let case = cases.swap_remove(dice.below(count(cases.len())) as usize);
            cut_off(&contained, &spy, &before, &case);
        }
    }
}

#[test]
fn a_key_and_rules_that_did_not_come_whole_take_nobodys_place() {
    let contained = Contained::of(&images()[0]);
    let spy = Spy::new(contained.sandbox());
    let before = contained.files();
    let cases = Case::all(&contained, &spy).into_iter().filter(|case| {
        let path = exchanged(&case.call).unwrap_or_default();
        case.journey == Journey::There
            && matches!(case.moment, Moment::Half | Moment::Unconfirmed)
            && (path.ends_with("/pg_hba.conf") || path.ends_with("/server-with-key.pem"))
    });
    let cases: Vec<Case> = cases.collect();
    assert_eq!(cases.len(), 4, "{cases:?}");
    for case in cases.iter().take(samples(10) as usize) {
        cut_off(&contained, &spy, &before, case);
    }
}

//! The points of a run at which pgseal-faulty can be killed, failed or held: which there were, and which comes next.
//! Knows the file that they are written to, not what a scenario does at them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::depth::versions;
use super::dice::Dice;
use super::pgseal::Pgseal;
use super::sandbox::Sandbox;

/// How long a run may take to reach a point.
const PATIENCE: Duration = Duration::from_secs(60);

/// pgseal-faulty, which cargo builds with the feature `faults` alone.
const FAULTY: Option<&str> = option_env!("CARGO_BIN_EXE_pgseal-faulty");

/// One point of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) number: u64,
    kind: String,
    /// What was about to be done.
    pub(crate) name: String,
    /// To what.
    pub(crate) path: String,
}

impl Point {
    /// Just before something on the disk changes.
    pub(crate) fn is_change(&self) -> bool {
        self.kind == "change"
    }

    /// Just before the disk is looked at.
    pub(crate) fn is_look(&self) -> bool {
        self.kind == "look"
    }
}

/// What a run wrote down of itself.
pub(crate) struct Trace {
    path: PathBuf,
}

impl Trace {
    /// An empty one, that a run and its delegate can write to whoever they are.
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let path = sandbox.join("trace");
        File::create(&path)
            .and_then(|file| file.set_permissions(Permissions::from_mode(0o666)))
            .unwrap_or_else(|e| panic!("could not make {}: {e}", path.display()));
        Self { path }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All points so far.
    pub(crate) fn points(&self) -> Vec<Point> {
        let text = fs::read_to_string(&self.path)
            .unwrap_or_else(|e| panic!("could not read {}: {e}", self.path.display()));
        let point = |line: &str| {
            let mut fields = line.splitn(4, '\t').map(str::to_owned);
            let number = fields.next()?.parse().ok()?;
            Some(Point { number, kind: fields.next()?, name: fields.next()?, path: fields.next()? })
        };
        text.lines().filter_map(point).collect()
    }

    /// The point that a run ended at, for messages.
    pub(crate) fn last(&self) -> String {
        self.points().last().map_or_else(
            || "before any point".to_owned(),
            |point| format!("at point {}, before {} of {}", point.number, point.name, point.path),
        )
    }

    /// Waits until that point is reached.
    #[track_caller]
    pub(crate) fn wait_for(&self, number: u64) {
        self.wait_until(|point| point.number == number, &format!("point {number}"));
    }

    /// Waits until the step of that name is reached.
    #[track_caller]
    pub(crate) fn wait_for_step(&self, name: &str) {
        self.wait_until(|point| point.kind == "step" && point.name == name, name);
    }

    #[track_caller]
    fn wait_until(&self, is_it: impl Fn(&Point) -> bool, what: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.points().iter().any(&is_it) {
            assert!(Instant::now() < end, "{what} should be reached within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets a run that waits go on.
    pub(crate) fn go(&self) {
        OpenOptions::new()
            .append(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(b"go\n"))
            .unwrap_or_else(|e| panic!("could not write to {}: {e}", self.path.display()));
    }
}

impl Pgseal<'_> {
    /// The same program with points, which it writes to `trace`.
    pub(crate) fn traced(self, trace: &Trace) -> Self {
        let binary = FAULTY.expect(
            "there is no pgseal-faulty: run the scenarios with --features pgseal/faults, as tests/test.sh does",
        );
        self.binary(binary).env("PGSEAL_FAULT_TRACE", &trace.path)
    }

    /// Ended by SIGKILL at that point.
    pub(crate) fn killed_at(self, trace: &Trace, number: u64) -> Self {
        self.traced(trace).env("PGSEAL_KILL_AT", number.to_string())
    }

    /// Refused at that point, with the system's name of the error.
    pub(crate) fn refused_at(self, trace: &Trace, number: u64, errno: &str) -> Self {
        self.traced(trace).env("PGSEAL_FAULT_AT", format!("{number}:{errno}"))
    }

    /// Refused every byte from that point on.
    pub(crate) fn full_from(self, trace: &Trace, number: u64) -> Self {
        self.traced(trace).env("PGSEAL_FAULT_AT", format!("{number}+:ENOSPC"))
    }

    /// Held at that point until `Trace::go`.
    pub(crate) fn held_at(self, trace: &Trace, number: u64) -> Self {
        self.traced(trace).env("PGSEAL_PAUSE_AT", number.to_string())
    }

    /// Held at the first step of that name (`before the reload`, `a stage is written` …) until `Trace::go`.
    pub(crate) fn held_at_step(self, trace: &Trace, name: &str) -> Self {
        self.traced(trace).env("PGSEAL_PAUSE_AT", name)
    }
}

/// A point of a run on that version, by that account.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    pub(crate) version: u32,
    pub(crate) by: Account,
    pub(crate) point: Point,
}

/// Every point of what `trace` ran, each on every version and by one of those who may change a server's files.
pub(crate) fn on_all_versions(trace: impl Fn(u32, &Account) -> Vec<Point>) -> Vec<Met> {
    versions().iter().flat_map(|version| met(&[*version], &trace)).collect()
}

/// The same, each on one of the versions.
pub(crate) fn in_turn(trace: impl Fn(u32, &Account) -> Vec<Point>) -> Vec<Met> {
    met(versions(), &trace)
}

fn met(versions: &[u32], trace: &impl Fn(u32, &Account) -> Vec<Point>) -> Vec<Met> {
    let accounts = Account::current_and_server();
    let mut all = Vec::new();
    for (turn, version) in versions.iter().enumerate() {
        for (who, by) in accounts.iter().enumerate() {
            let points = trace(*version, by).into_iter().enumerate();
            let ours = points.filter(|(nth, _)| {
                nth % versions.len() == turn && nth / versions.len() % accounts.len() == who
            });
            all.extend(ours.map(|(_, point)| Met { version: *version, by: by.clone(), point }));
        }
    }
    all
}

/// So many of them, chosen by the dice.
pub(crate) fn some_of<T>(mut all: Vec<T>, count: u32, dice: &mut Dice) -> Vec<T> {
    let mut some = Vec::new();
    while !all.is_empty() && some.len() < usize::try_from(count).unwrap_or(usize::MAX) {
        let limit = u32::try_from(all.len()).expect("no run has 2^32 points");
        let at = usize::try_from(dice.below(limit)).expect("a u32 is an index here");
        some.push(all.swap_remove(at));
    }
    some
}

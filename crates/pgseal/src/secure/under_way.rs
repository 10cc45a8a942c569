//! What a run has in hand from its lock to its end, how a change begins, and how it is taken back when it fails.

use std::cell::{Cell, RefCell};
use std::path::Path;

use pgseal_pki::CertificateAuthority;
use time::OffsetDateTime;

use super::apply::write_down;
use super::certificate::{self, Chosen};
use super::facts::Facts;
use super::plan::Plan;
use super::recover::Unfinished;
use super::restore::{Seen, restore};
use super::wish::{Source, Wish};
use crate::failure::{Ending, Failure, Result};
use crate::faults;
use crate::folder::lock::Lock;
use crate::interrupt::{Held, Shield};
use crate::journal::{Change, Journal, Phase, Promise};
use crate::place::Place;
use crate::target::Target;

/// What a run has in hand, for whoever has to take it back.
#[derive(Default)]
pub(crate) struct UnderWay {
    /// Held to the end, so that nobody comes between a failure and its rollback.
    pub(crate) lock: RefCell<Option<Lock>>,
    /// The same for the folder of `up`, where a verb works under its lock as well.
    pub(crate) folder: RefCell<Option<Lock>>,
    begun: RefCell<Option<(Journal, Change)>>,
    /// What a signal waits for.
    pub(crate) shield: Shield,
    /// From where a change stands, to the end of the run.
    stands: RefCell<Option<Held>>,
    /// A change that nobody had finished, where this run only looks.
    pub(crate) unfinished: RefCell<Option<Unfinished>>,
    /// A change made while the server was down, and proved by this run.
    pub(crate) settled: RefCell<Option<String>>,
    /// How many of the change's files may have been written.
    pub(crate) reached: Cell<usize>,
}

impl UnderWay {
    /// Writes a change down, and puts the CA that it signs with on disk. Nothing of the server's has been touched when
    /// this returns, and from here on whatever fails is taken back.
    pub(crate) fn begin(
        &self,
        (place, facts, plan): (&Place, &Facts, &Plan),
        authority: Option<(&Path, &CertificateAuthority)>,
        promise: Option<Promise>,
        now: OffsetDateTime,
    ) -> Result<(Journal, Change)> {
        let journal = Journal::open(facts.identifier, &place.key())?;
        let founded =
            authority.map(|(folder, authority)| certificate::to_be_founded(folder, authority)).transpose()?;
        let change = write_down(&journal, facts, plan, founded, promise, place, now)?;
        *self.begun.borrow_mut() = Some((journal.clone(), change.clone()));
        if let (Some(founded), Some((_, authority))) = (&change.founded, authority) {
            certificate::found(founded, authority)?;
        }
        Ok((journal, change))
    }

    /// From here on the change stands, in that phase, and nobody takes it back. A signal comes too late: who is told
    /// that everything is as it was has to find it so.
    pub(crate) fn stands(&self, journal: &Journal, change: &Change, phase: &Phase) -> Result<()> {
        journal.set(change, phase)?;
        *self.stands.borrow_mut() = Some(self.shield.hold());
        *self.begun.borrow_mut() = None;
        faults::step("the change stands");
        Ok(())
    }

    /// What became of a run: where it failed after a change had begun, that is taken back first.
    pub(crate) async fn ended<T>(&self, word: &str, outcome: Result<T>) -> Result<T> {
        let failure = match (outcome, self.begun.take()) {
            (Err(failure), Some((journal, change))) => {
                take_back(word, &journal, &change, self.reached.get(), failure).await
            }
            (Err(failure), None) => failure,
            (Ok(done), _) => return Ok(done),
        };
        let settled = self.settled.borrow().as_ref().map(|id| {
            format!("change {id}, made while the server was down, was proved before that, and stands")
        });
        Err(failure.because_all(settled))
    }
}

/// The CA that has to be on disk before anything that it signed, and where.
pub(super) fn to_found<'c>(
    wish: &'c Wish,
    chosen: &'c Chosen,
) -> Option<(&'c Path, &'c CertificateAuthority)> {
    match (&wish.source, chosen) {
        (Source::NewAuthority(folder), Chosen::New(new)) => {
            new.to_found.as_ref().map(|authority| (Path::new(folder), authority))
        }
        _ => None,
    }
}

/// Rolls back and says so; what started it is said with it.
async fn take_back(
    word: &str,
    journal: &Journal,
    change: &Change,
    reached: usize,
    failure: Failure,
) -> Failure {
    let restored = async {
        let mut place = Target::place(word).await?;
        // What the delegate so far had in hand comes to its end first.
        place.alone().await?;
        // A phase that could not be written may be there all the same. Whoever finds half of this walk has to
        // see that it is one.
        if journal.phase(change)? != Phase::Begun {
            journal.set(change, &Phase::Begun)?;
        }
        restore(&mut place, journal, change, reached, &Phase::RolledBack).await
    };
    match restored.await {
        Ok(seen) if matches!(failure.ending(), Ending::Interrupted(_)) => {
            failure.because(format!("everything is as it was before: {}", looked_at(&seen)))
        }
        Ok(seen @ Seen::Otherwise { .. }) => {
            Failure::rolled_back(format!("rolled back: {}", failure.sentence()))
                .because_all(failure.reasons())
                .because(seen.words())
        }
        Ok(seen) => Failure::rolled_back(format!("rolled back: {}", failure.sentence()))
            .because_all(failure.reasons())
            .because(format!("nothing is changed: {}", looked_at(&seen))),
        Err(worse) => Failure::new(format!("{}, and it could not be taken back", failure.sentence()))
            .because_all(failure.reasons())
            .because(worse.sentence().to_owned())
            .because_all(worse.reasons())
            .because(format!("the files as they were: {}", journal.folder_of(change).display()))
            .hint(format!("pgseal undo {word}")),
    }
}

fn looked_at(seen: &Seen) -> String {
    match seen {
        Seen::OnTheWire => "the wire shows what it showed before (checked)".to_owned(),
        Seen::NoServer => "no server runs to look at, and the files are what they were".to_owned(),
        Seen::AsTheFilesSay(_) | Seen::Otherwise { .. } => seen.words(),
    }
}

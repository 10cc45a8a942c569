//! From a TARGET to a proved change, and back again when it cannot be proved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pgseal_pki::CertificateAuthority;
use pgseal_wire::Session;
use time::OffsetDateTime;

use super::apply::{Hand, Work, apply, look_again};
use super::certificate::{self, Chosen, choose};
use super::facts::Facts;
use super::judge::judge;
use super::lockout::{LockedOut, comes_back, locked_out};
use super::observe::observe;
use super::plan::{Plan, StageKind, plan};
use super::prove::promised;
use super::recover::Unfinished;
use super::restore::shown_now;
use super::saved::Saved;
use super::under_way::{UnderWay, to_found};
use super::wish::Wish;
use super::{clients, composed, gate, offline, others, pending, previous_keys, recover, sessions_end};
use crate::failure::{Failure, Result};
use crate::findings::Finding;
use crate::folder::lock::Lock;
use crate::interrupt::interruptible;
use crate::journal::state::find_ledger_file;
use crate::journal::{Journal, Origin, Phase, fresh_id, key};
use crate::place::{Login, Place};
use crate::sessions::client::Client;
use crate::sessions::ledger::{Ledger, Times};
use crate::target::{Asked, Target, login};
use crate::verify::claim::{ClaimName, Proof};

/// What is to happen beside the wish.
#[derive(Debug, Default)]
// Each is a word of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct How {
    /// Show the plan and end.
    pub(crate) only_plan: bool,
    /// Seconds until the change undoes itself unless it is confirmed.
    pub(crate) confirm_within: Option<u32>,
    pub(crate) end_plaintext: bool,
    /// The server is down, and its files are to be changed all the same.
    pub(crate) offline: bool,
    /// The plan is to be saved.
    pub(crate) out: bool,
    /// A plan made earlier, which is to be carried out as it is.
    pub(crate) saved: Option<Saved>,
}

/// What was found, and what became of it.
pub(crate) struct Done {
    pub(crate) word: String,
    pub(crate) facts: Facts,
    pub(crate) plan: Plan,
    pub(crate) findings: Vec<Finding>,
    pub(crate) locked_out: Vec<LockedOut>,
    pub(crate) state: State,
    pub(crate) change: Option<String>,
    /// An earlier change that nobody had finished, and that was taken back first.
    pub(crate) recovered: Option<String>,
    /// The same, found by a run that only looks, and left as it is.
    pub(crate) unfinished: Option<Unfinished>,
    /// A change made while the server was down, and proved now.
    pub(crate) settled: Option<String>,
    pub(crate) proof: Option<Proof>,
    /// Plaintext sessions that stand after the change and could not come again, and those of them that were ended.
    pub(crate) surviving: usize,
    pub(crate) ended: usize,
    /// Plaintext sessions that the rules would let in again.
    pub(crate) admitted: usize,
    /// Claims that the run stands or falls with.
    pub(crate) asked_for: Vec<ClaimName>,
    /// Whether every claim that was asked for holds.
    pub(crate) proved: bool,
}

impl Done {
    /// Known and planned, and nothing done yet.
    pub(super) fn planned(
        word: &str,
        facts: Facts,
        plan: Plan,
        findings: Vec<Finding>,
        locked_out: Vec<LockedOut>,
        recovered: Option<String>,
    ) -> Self {
        Self {
            word: word.to_owned(),
            facts,
            plan,
            findings,
            locked_out,
            state: State::Planned,
            change: None,
            recovered,
            unfinished: None,
            settled: None,
            proof: None,
            surviving: 0,
            ended: 0,
            admitted: 0,
            asked_for: Vec::new(),
            proved: true,
        }
    }

    /// Whether it came out as asked: proved, or of a stopped server as far as files can tell.
    pub(crate) fn well(&self) -> bool {
        let refuted = |proof: &Proof| proof.claims.iter().any(|claim| claim.holds == Some(false));
        self.proved || (self.facts.stopped && !self.proof.as_ref().is_some_and(refuted))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Shown, not carried out.
    Planned,
    /// There was nothing to do.
    AsWished,
    Changed,
    /// Undone at this time (seconds since 1970) unless confirmed.
    AwaitingConfirmation(i64),
    /// Changed in the files of a server that is down; proved by the first run that finds it started.
    AwaitingStart,
}

/// Shows the person everything that is known; whether they are to be asked. `Err` ends it.
pub(crate) type Consent<'c> = &'c dyn Fn(&Facts, &Plan, &[LockedOut]) -> Result<bool>;

pub(crate) async fn secure(
    word: &str,
    wish: &Wish,
    asked: &Asked,
    how: &How,
    consent: Consent<'_>,
) -> Result<Done> {
    let under_way = UnderWay::default();
    let errand = Errand { word, wish, asked, how, consent, under_way: &under_way };
    let outcome = interruptible(&under_way.shield, carry_out(&errand)).await;
    let done = under_way.ended(word, outcome).await?;
    Ok(Done { unfinished: under_way.unfinished.take(), ..done })
}

/// Everything that a run is about.
pub(super) struct Errand<'e> {
    pub(super) word: &'e str,
    pub(super) wish: &'e Wish,
    pub(super) asked: &'e Asked,
    pub(super) how: &'e How,
    pub(super) consent: Consent<'e>,
    pub(super) under_way: &'e UnderWay,
}

/// What a run that was cut off left: taken back, or where this one only looks kept in mind.
async fn left_behind(place: &mut Place, how: &How, under_way: &UnderWay) -> Result<Option<String>> {
    if !how.only_plan {
        return recover::cut_off(place).await;
    }
    *under_way.unfinished.borrow_mut() = recover::unfinished_of(place).await?;
    Ok(None)
}

async fn carry_out(errand: &Errand<'_>) -> Result<Done> {
    let Errand { word, wish, how, under_way, .. } = *errand;
    let mut place = Target::place(word).await?;
    place.written_as_root_in(wish.as_root.iter().cloned());
    *under_way.lock.borrow_mut() = Some(place.lock().await?);
    let recovered = left_behind(&mut place, how, under_way).await?;
    if !how.only_plan {
        previous_keys::past_their_time(&mut place, OffsetDateTime::now_utc()).await?;
    }
    if place.server().await?.is_some() {
        return living(errand, place, recovered).await;
    }
    if place.rests() {
        return composed::run::resting(errand, place, recovered).await;
    }
    if how.offline {
        return offline::carry_out(errand, place, recovered).await;
    }
    Err(gate::down(&mut place, recovered).await?)
}

/// A server that runs: what it is, what is to become of it, and that.
async fn living(errand: &Errand<'_>, mut place: Place, recovered: Option<String>) -> Result<Done> {
    let Errand { word, wish, asked, how, under_way, .. } = *errand;
    let server = place.running().await?;
    if how.offline {
        return Err(Failure::stopped(format!("the server of {word} runs (process {})", server.pid))
            .because("--offline is for one that does not; nothing was changed")
            .hint("without --offline: by reloads, and proved at once"));
    }
    let who = login(&place, &server, asked)?;
    let held = place.session(&server, &who).await?;
    let settled = if how.only_plan {
        None
    } else {
        pending::settle(&mut place, &server, &held, &who, &under_way.shield).await?
    };
    under_way.settled.borrow_mut().clone_from(&settled);
    let mut facts = observe(&mut place, &server, &held, &who).await?;
    facts.newer_source = newer_source(&place, &facts)?;
    if wish.enforce && !wish.even_if_locked_out {
        facts.recorded = recorded(&place, facts.identifier)?;
    }
    gate::fit_to_be_changed(&facts, word)?;
    let now = OffsetDateTime::now_utc();
    let chosen = choose(&facts, wish, now)?;
    let of_project = composed::judge::judge(&mut place, &facts, Some(&held)).await?;
    let gone = composed::run::in_the_way(&place, &facts, &chosen, errand)?;
    let mends = composed::run::mends(&place, wish)?;
    if !gone.is_empty() || !mends.is_empty() {
        held.close().await;
        let (known, with) = ((facts, chosen), (gone, who));
        return composed::run::running(errand, place, known, with, (of_project, recovered)).await;
    }
    let mut done = planned(errand, facts, &chosen, of_project, now)?;
    done.recovered = recovered;
    done.settled = settled;
    if !how.only_plan {
        let hand = Hand { place: &mut place, server, held: &held, who: &who };
        done = by_reloads(errand, hand, done, &chosen, now).await?;
        held.close().await;
    }
    Ok(done)
}

/// The plan for what was found; where one was saved, that very one.
pub(super) fn plan_for(
    errand: &Errand<'_>,
    facts: &Facts,
    chosen: &Chosen,
    clients: Option<clients::Clients>,
) -> Result<Plan> {
    let Errand { word, wish, how, .. } = *errand;
    let id = how.saved.as_ref().map_or_else(fresh_id, |saved| Ok(saved.change.clone()))?;
    let plan = plan(facts, wish, (chosen, clients), word, id)?;
    if let Some(saved) = &how.saved {
        saved.must_still_hold(facts, &plan)?;
    }
    Ok(plan)
}

/// The plan for what was found, what is wrong without it, and whom it would lock out.
fn planned(
    errand: &Errand<'_>,
    facts: Facts,
    chosen: &Chosen,
    of_project: Vec<Finding>,
    now: OffsetDateTime,
) -> Result<Done> {
    let Errand { word, wish, .. } = *errand;
    let clients = clients::read_wish(wish.clients.as_ref(), now)?;
    let plan = plan_for(errand, &facts, chosen, clients)?;
    let mut findings = judge(&facts, wish, word, now)?;
    findings.extend(of_project);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let refused = locked_out(&facts, &plan, &wish.policy);
    Ok(Done::planned(word, facts, plan, findings, refused, None))
}

/// What was planned, agreed on and carried out, stage by stage, each by a reload.
async fn by_reloads(
    errand: &Errand<'_>,
    hand: Hand<'_>,
    mut done: Done,
    chosen: &Chosen,
    now: OffsetDateTime,
) -> Result<Done> {
    let Errand { word, wish, how, consent, under_way, .. } = *errand;
    let (held, who) = (hand.held, hand.who);
    others::none_unknown(&done.facts, &wish.adopted, word)?;
    let excepted = !wish.exceptions.is_empty();
    if done.plan.is_empty() {
        done.state = State::AsWished;
    } else {
        for write in done.plan.writes() {
            hand.place.must_take(&write.path).await?;
        }
        gate::agreed(&mut done, wish, (who, held), consent).await?;
    }
    let mut work = hand.with(&done.facts, &done.plan, excepted, &under_way.reached);
    if done.state == State::AsWished {
        done.proof = Some(look_again(&mut work).await?);
    } else {
        let authority = to_found(wish, chosen);
        let (proof, change, until) = change(&mut work, how, authority, now, under_way).await?;
        done.proof = Some(proof);
        done.change = Some(change);
        done.state = until.map_or(State::Changed, State::AwaitingConfirmation);
    }
    finish(&mut done, how, held, who, excepted).await.map_err(|failure| match &done.change {
        Some(change) => failure.because(format!("change {change} was proved before, and stands")),
        None => failure,
    })?;
    Ok(done)
}

/// The file that the present certificate came from, where an outside renewal has not reached the server.
pub(crate) fn newer_source(place: &Place, facts: &Facts) -> Result<Option<PathBuf>> {
    let journal = Journal::find(facts.identifier, &place.key())?;
    let origin = journal.map(|journal| journal.origin()).transpose()?.flatten();
    match (origin, &facts.certificate) {
        (Some(Origin::Files { certificate, .. }), Ok(present)) => {
            Ok(Some(certificate).filter(|source| certificate::renewed(source, &present.leaf)))
        }
        _ => Ok(None),
    }
}

/// Who came before and is not connected now, as far as `pgseal sessions --record` has seen it.
pub(super) fn recorded(place: &Place, identifier: u64) -> Result<BTreeMap<Client, Times>> {
    let file = find_ledger_file(&key(identifier, &place.key()))?;
    let ledger = file.map(|file| Ledger::read(&file)).transpose()?.flatten();
    Ok(ledger.map(|ledger| ledger.clients).unwrap_or_default())
}

/// Writes down, applies, proves, commits.
async fn change(
    work: &mut Work<'_>,
    how: &How,
    authority: Option<(&Path, &CertificateAuthority)>,
    now: OffsetDateTime,
    under_way: &UnderWay,
) -> Result<(Proof, String, Option<i64>)> {
    let (journal, change) = under_way.begin((work.place, work.facts, work.plan), authority, None, now)?;
    // Before the first rename: whatever becomes of this run, somebody is there to take the change back.
    let _watcher = match how.confirm_within {
        Some(_) => Some(super::watcher::start(&work.place.address(), &change.id)?),
        None => None,
    };
    let proof = apply(work, &change).await?;
    let until =
        how.confirm_within.map(|seconds| OffsetDateTime::now_utc().unix_timestamp() + i64::from(seconds));
    let phase = match until {
        Some(until) => Phase::AwaitingConfirmation { until, shown: shown_now(work.place, &change).await? },
        None => Phase::Committed,
    };
    under_way.stands(&journal, &change, &phase)?;
    previous_keys::only_one(work.place, &journal, &change).await;
    Ok((proof, change.id, until))
}

/// Judges the proof, and counts who is still there in plaintext.
async fn finish(done: &mut Done, how: &How, held: &Session, who: &Login, excepted: bool) -> Result<()> {
    let stage =
        if done.plan.enforce || done.plan.clients.is_some() { StageKind::Rules } else { StageKind::Tls };
    let claims = done.proof.as_ref().map(|proof| proof.claims.as_slice()).unwrap_or_default();
    done.asked_for = claims
        .iter()
        .map(|claim| claim.name)
        .filter(|name| promised(*name, &done.plan, stage, who, excepted))
        .collect();
    done.proved = !claims.is_empty()
        && claims.iter().all(|claim| claim.holds == Some(true) || !done.asked_for.contains(&claim.name));
    if done.plan.enforce {
        let standing = crate::sessions::sessions(held).await.map_err(Failure::new)?;
        let plaintext = standing.iter().filter(|seen| seen.is_plaintext() && !seen.own);
        let (admitted, refused): (Vec<_>, Vec<_>) =
            plaintext.partition(|seen| comes_back(&done.facts, &done.plan, seen));
        let refused: Vec<i32> = refused.iter().map(|seen| seen.pid).collect();
        done.admitted = admitted.len();
        done.surviving = refused.len();
        if how.end_plaintext {
            done.ended = sessions_end::end(held, &refused).await?;
        }
    }
    Ok(())
}

/// A place and its journal, for verbs that only read.
pub(crate) async fn journal_of(word: &str) -> Result<(Place, Option<Journal>)> {
    let mut place = Target::place(word).await?;
    let identifier = place.identifier().await?;
    let journal = Journal::find(identifier, &place.key())?;
    Ok((place, journal))
}

/// A place with its lock and its journal, for verbs that work on changes.
pub(crate) async fn with_journal(word: &str) -> Result<(Place, Lock, Option<Journal>)> {
    let mut place = Target::place(word).await?;
    let lock = place.lock().await?;
    let identifier = place.identifier().await?;
    let journal = Journal::find(identifier, &place.key())?;
    Ok((place, lock, journal))
}

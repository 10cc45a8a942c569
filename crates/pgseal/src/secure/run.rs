//! From a TARGET to a proved change, and back again when it cannot be proved.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pgseal_pki::CertificateAuthority;
use pgseal_wire::Session;
use time::OffsetDateTime;

use super::apply::{Work, apply, look_again, write_down};
use super::certificate::{self, Chosen, choose};
use super::facts::Facts;
use super::judge::judge;
use super::lockout::{LockedOut, comes_back, locked_out};
use super::observe::observe;
use super::plan::{Plan, StageKind, plan};
use super::prove::promised;
use super::recover::Unfinished;
use super::restore::{Seen, restore, shown_now};
use super::saved::Saved;
use super::wish::{Source, Wish};
use super::{clients, composed, offline, others, pending, previous_keys, recover, sessions_end};
use crate::failure::{Ending, Failure, Result};
use crate::faults;
use crate::findings::Finding;
use crate::folder::lock::Lock;
use crate::interrupt::{Shield, interruptible};
use crate::journal::state::find_ledger_file;
use crate::journal::{Change, Journal, Origin, Phase, fresh_id, key};
use crate::place::{Login, Place};
use crate::report::ask::yes_or_stop;
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
    let shield = Shield::default();
    let under_way = UnderWay::default();
    let work = carry_out(word, wish, asked, how, consent, &under_way, &shield);
    let outcome = interruptible(&shield, work).await;
    let begun = under_way.begun.take();
    match (outcome, begun) {
        (Err(failure), Some((journal, change))) => {
            Err(take_back(word, &journal, &change, under_way.reached.get(), failure).await)
        }
        (outcome, _) => outcome.map(|done| Done { unfinished: under_way.unfinished.take(), ..done }),
    }
}

/// What a run has in hand, for whoever has to take it back.
#[derive(Default)]
pub(crate) struct UnderWay {
    /// Held to the end, so that nobody comes between a failure and its rollback.
    pub(crate) lock: RefCell<Option<Lock>>,
    pub(crate) begun: RefCell<Option<(Journal, Change)>>,
    /// A change that nobody had finished, where this run only looks.
    pub(crate) unfinished: RefCell<Option<Unfinished>>,
    /// How many of the change's files may have been written.
    pub(crate) reached: Cell<usize>,
}

/// Everything that a run is about.
pub(super) struct Errand<'e> {
    pub(super) word: &'e str,
    pub(super) wish: &'e Wish,
    pub(super) asked: &'e Asked,
    pub(super) how: &'e How,
    pub(super) consent: Consent<'e>,
    pub(super) under_way: &'e UnderWay,
    pub(super) shield: &'e Shield,
}

/// Rolls back and says so; what started it is said with it.
pub(crate) async fn take_back(
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

/// What a run that was cut off left: taken back, or where this one only looks kept in mind.
async fn left_behind(place: &mut Place, how: &How, under_way: &UnderWay) -> Result<Option<String>> {
    if !how.only_plan {
        return recover::cut_off(place).await;
    }
    *under_way.unfinished.borrow_mut() = recover::unfinished_of(place).await?;
    Ok(None)
}

async fn carry_out(
    word: &str,
    wish: &Wish,
    asked: &Asked,
    how: &How,
    consent: Consent<'_>,
    under_way: &UnderWay,
    shield: &Shield,
) -> Result<Done> {
    let mut place = Target::place(word).await?;
    place.written_as_root_in(wish.as_root.iter().cloned());
    *under_way.lock.borrow_mut() = Some(place.lock().await?);
    let recovered = left_behind(&mut place, how, under_way).await?;
    if !how.only_plan {
        previous_keys::past_their_time(&mut place, OffsetDateTime::now_utc()).await?;
    }
    let errand = Errand { word, wish, asked, how, consent, under_way, shield };
    let Some(_) = place.server().await? else {
        if place.rests() {
            return composed::run::resting(&errand, place, recovered).await;
        }
        if how.offline {
            return offline::carry_out(&errand, place, recovered).await;
        }
        return Err(down(&mut place, recovered).await?);
    };
    let server = place.running().await?;
    if how.offline {
        return Err(Failure::stopped(format!("the server of {word} runs (process {})", server.pid))
            .because("--offline is for one that does not; nothing was changed")
            .hint("without --offline: by reloads, and proved at once"));
    }
    let who = &login(&place, &server, asked)?;
    let held = place.session(&server, who).await?;
    let settled =
        if how.only_plan { None } else { pending::settle(&mut place, &server, &held, who, shield).await? };
    let mut facts = observe(&mut place, &server, &held, who).await?;
    facts.newer_source = newer_source(&place, &facts)?;
    if wish.enforce && !wish.even_if_locked_out {
        facts.recorded = recorded(&place, facts.identifier)?;
    }
    fit_to_be_changed(&facts, word)?;
    let now = OffsetDateTime::now_utc();
    let chosen = choose(&facts, wish, now)?;
    let of_project = composed::judge::judge(&mut place, &facts, Some(&held)).await?;
    let gone = composed::run::in_the_way(&place, &facts, &chosen, &errand)?;
    let mends = composed::run::mends(&place, wish)?;
    if !gone.is_empty() || !mends.is_empty() {
        held.close().await;
        let (known, with) = ((facts, chosen), (gone, who.clone()));
        return composed::run::running(&errand, place, known, with, (of_project, recovered)).await;
    }
    let id = how.saved.as_ref().map_or_else(fresh_id, |saved| Ok(saved.change.clone()))?;
    let clients = clients::read_wish(wish.clients.as_ref(), now)?;
    let plan = plan(&facts, wish, (&chosen, clients), word, id)?;
    if let Some(saved) = &how.saved {
        saved.must_still_hold(&facts, &plan)?;
    }
    let mut findings = judge(&facts, wish, word, now)?;
    findings.extend(of_project);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let refused = locked_out(&facts, &plan, &wish.policy);
    let mut done = Done::planned(word, facts, plan, findings, refused, recovered);
    done.settled = settled;
    if how.only_plan {
        return Ok(done);
    }
    others::none_unknown(&done.facts, &wish.adopted, word)?;
    let excepted = !wish.exceptions.is_empty();
    if done.plan.is_empty() {
        done.state = State::AsWished;
    } else {
        for write in done.plan.writes() {
            place.must_take(&write.path).await?;
        }
        agreed(&mut done, wish, (who, &held), consent).await?;
    }
    let mut work = Work {
        place: &mut place,
        server,
        held: &held,
        who,
        facts: &done.facts,
        plan: &done.plan,
        excepted,
        reached: &under_way.reached,
    };
    // From where a change stands, a signal comes too late: who is told that everything is as it was has to
    // find it so.
    let _held;
    if done.state == State::AsWished {
        done.proof = Some(look_again(&mut work).await?);
    } else {
        let authority = to_found(wish, &chosen);
        let (proof, change, until) = change(&mut work, how, authority, now, &under_way.begun).await?;
        _held = shield.hold();
        done.proof = Some(proof);
        done.change = Some(change);
        done.state = until.map_or(State::Changed, State::AwaitingConfirmation);
    }
    finish(&mut done, how, &held, who, excepted).await.map_err(|failure| match &done.change {
        Some(change) => failure.because(format!("change {change} was proved before, and stands")),
        None => failure,
    })?;
    held.close().await;
    Ok(done)
}

/// Stops before anybody is locked out, and asks. Whoever came while the question waited is judged, too.
async fn agreed(
    done: &mut Done,
    wish: &Wish,
    (who, held): (&Login, &Session),
    consent: Consent<'_>,
) -> Result<()> {
    safe(done, wish, who)?;
    if consent(&done.facts, &done.plan, &done.locked_out)? {
        yes_or_stop("Carry this out?").await?;
        let now = crate::sessions::sessions(held).await;
        done.facts.sessions = now.map_err(|why| Failure::new(why).because("nothing was changed"))?;
        done.locked_out = locked_out(&done.facts, &done.plan, &wish.policy);
        safe(done, wish, who)?;
    }
    Ok(())
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
    begun: &RefCell<Option<(Journal, Change)>>,
) -> Result<(Proof, String, Option<i64>)> {
    let journal = Journal::open(work.facts.identifier, &work.place.key())?;
    let founded =
        authority.map(|(folder, authority)| certificate::to_be_founded(folder, authority)).transpose()?;
    let change = write_down(&journal, work.facts, work.plan, founded, None, work.place, now)?;
    *begun.borrow_mut() = Some((journal.clone(), change.clone()));
    if let (Some(founded), Some((_, authority))) = (&change.founded, authority) {
        certificate::found(founded, authority)?;
    }
    // Before the first rename: whatever becomes of this run, somebody is there to take the change back.
    let _watcher = match how.confirm_within {
        Some(_) => Some(super::watcher::start(&work.place.address(), &change.id)?),
        None => None,
    };
    let proof = apply(work, &change).await?;
    let until =
        how.confirm_within.map(|seconds| OffsetDateTime::now_utc().unix_timestamp() + i64::from(seconds));
    match until {
        Some(until) => {
            let shown = shown_now(work.place, &change).await?;
            journal.set(&change, &Phase::AwaitingConfirmation { until, shown })?;
        }
        None => journal.set(&change, &Phase::Committed)?,
    }
    *begun.borrow_mut() = None;
    faults::step("the change stands");
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

/// What makes any plan worthless.
pub(crate) fn fit_to_be_changed(facts: &Facts, word: &str) -> Result<()> {
    if let Some(error) = facts.files.errors.first() {
        let file = error.file.and_then(|file| facts.files.path(file)).map(ToString::to_string);
        return Err(Failure::new(format!(
            "the configuration is broken already: {} line {}: {}",
            file.unwrap_or_else(|| facts.main.named.display().to_string()),
            error.line,
            error.message
        ))
        .because("as long as that is so a reload changes nothing, and a restart fails; nothing was changed")
        .hint("mend that line, then again"));
    }
    // Shown since 12, empty where there is none (guc_tables.c).
    if !facts.stopped && facts.setting("ssl_library").is_empty() {
        return Err(Failure::new(format!(
            "the PostgreSQL {} of {word} was built without SSL",
            facts.version_text
        ))
        .because("no setting brings it there; nothing was changed")
        .hint("the same version from a build with OpenSSL, as packages of distributions are"));
    }
    if facts.addresses.is_empty() {
        return Err(Failure::new(format!(
            "the server of {word} listens on no TCP address (listen_addresses = '{}')",
            facts.setting("listen_addresses")
        ))
        .because("over Unix sockets there is never TLS; nothing was changed"));
    }
    Ok(())
}

/// Stops before anybody is locked out.
pub(super) fn safe(done: &Done, wish: &Wish, who: &Login) -> Result<()> {
    clients::own_login_gets_in(&done.facts, &done.plan, who, OffsetDateTime::now_utc())?;
    if done.plan.enforce
        && done.plan.has(StageKind::Rules)
        && who.password.is_none()
        && !wish.even_if_locked_out
    {
        return Err(Failure::stopped("--enforce wants a login over TLS to prove that somebody still gets in, and no password was given")
            .because("nothing was changed")
            .hint("PGUSER with PGPASSWORD or a password file; all the same: --even-if-locked-out"));
    }
    issuer_is_known(done, wish)?;
    if !done.locked_out.is_empty() && !wish.even_if_locked_out {
        let connected = done.locked_out.iter().filter(|client| client.is_connected()).count();
        let recorded = done.locked_out.len() - connected;
        let rows = done.locked_out.iter().map(LockedOut::line);
        let now = if connected == 1 {
            "1 client that is connected now".to_owned()
        } else {
            format!("{connected} clients that are connected now")
        };
        let before = if recorded == 1 {
            "1 client that came before".to_owned()
        } else {
            format!("{recorded} clients that came before")
        };
        let who = match (connected, recorded) {
            (_, 0) => now,
            (0, _) => before,
            _ => format!("{now} and {before}"),
        };
        let first = first_to_do(done);
        return Err(Failure::stopped(format!("{who} would be locked out"))
            .because_all(rows)
            .because("nothing was changed")
            .hint(format!("{first}; all the same: --even-if-locked-out, best with --confirm-within 10m")));
    }
    Ok(())
}

/// What would let those in that are named.
fn first_to_do(done: &Done) -> String {
    let of = |kind: fn(&LockedOut) -> bool| done.locked_out.iter().filter(|client| kind(client)).count();
    let all = done.locked_out.len();
    if of(|client| client.by_trust) == all {
        return "see that they have the password of their role".to_owned();
    }
    let first = if done.plan.clients.is_some() {
        "give them certificates of that CA first"
    } else if done.facts.offers_tls() {
        "have them connect with TLS"
    } else {
        "turn TLS on first, without --enforce; when they have come back, enforce"
    };
    let gss = of(|client| client.gss);
    if gss == 0 || !done.plan.enforce {
        return first.to_owned();
    }
    let copies = format!("pgseal hba enforce {} --gss lets those by GSSAPI in as before", done.word);
    if gss == all { copies } else { format!("{first}; {copies}") }
}

/// Stops before an issuer changes under clients that nobody can see.
pub(super) fn issuer_is_known(done: &Done, wish: &Wish) -> Result<()> {
    if done.plan.new_issuer && !wish.allow_unseen {
        return Err(Failure::stopped(
            "clients that verify the present certificate's issuer cannot be seen from here, and it changes",
        )
        .because(format!("the new issuer is {}", done.plan.leaf.issuer()))
        .because("nothing was changed")
        .hint("give them the new CA first (both may stand in one file); then --allow-unseen"));
    }
    Ok(())
}

/// No server runs, and nobody asked for its files to be changed all the same.
async fn down(place: &mut Place, recovered: Option<String>) -> Result<Failure> {
    let Err(failure) = place.running().await else {
        return Ok(Failure::new("the server was started just now; nothing was changed").hint("again"));
    };
    let taken_back =
        recovered.map(|id| format!("change {id}, which nobody had finished, was taken back first"));
    let failure = failure
        .because_all(taken_back)
        .because("nothing was changed; --offline changes its files, to be proved after the next start");
    Ok(match pending::waiting(place).await? {
        Some((_, change)) => {
            failure.because(format!("change {} awaits that start, to be proved then", change.id))
        }
        None => failure,
    })
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

//! From a TARGET to a new certificate on the wire, and back again when it cannot be proved.

use std::path::PathBuf;

use pgseal_pki::Certificate;
use time::OffsetDateTime;

use super::apply::{Seen, apply};
use super::choose::{Chosen, Next, choose, origin};
use super::copies::elsewhere;
use super::plan::{plan, records_of};
use super::ready::ready;
use super::seat::Seat;
use super::wire::Watched;
use super::wish::Wish;
use crate::failure::{Failure, Result};
use crate::folder::lock::Lock;
use crate::interrupt::interruptible;
use crate::journal::{Journal, Origin, Phase, fresh_id, records};
use crate::place::{Login, Place};
use crate::report::stderr::say;
use crate::secure::apply::{Hand, Work, look_again};
use crate::secure::facts::{Facts, Present};
use crate::secure::gate::{fit_to_be_changed, issuer_is_known};
use crate::secure::observe::observe;
use crate::secure::plan::{Plan, StageKind, own_authority};
use crate::secure::prove::promised;
use crate::secure::under_way::UnderWay;
use crate::secure::{others, previous_keys, recover};
use crate::target::{Asked, Target, login};
use crate::verify::claim::Proof;

/// What was found, and what became of it.
pub(crate) struct Done {
    pub(crate) word: String,
    pub(crate) facts: Facts,
    pub(crate) state: State,
    pub(crate) origin: Origin,
    /// An earlier change that nobody had finished, and that was taken back first.
    pub(crate) recovered: Option<String>,
    /// The certificate that was served before, as far as there was one.
    pub(crate) before: Option<Certificate>,
    /// What is to be minded beside the certificate.
    pub(crate) minds: Vec<String>,
    /// None where nothing was to be done.
    pub(crate) plan: Option<Plan>,
    /// Its end, where that is the CA's and not the one that was wished.
    pub(crate) cut_short: Option<OffsetDateTime>,
    /// The file of the CA's own certificate, where that was renewed.
    pub(crate) renewed: Option<PathBuf>,
    pub(crate) change: Option<String>,
    pub(crate) proof: Option<Proof>,
    pub(crate) watched: Option<Watched>,
    /// Whether the present key was said to be in wrong hands.
    pub(crate) compromised: bool,
    /// Whether every claim holds that the run stands or falls with.
    pub(crate) proved: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Shown, not carried out.
    Planned,
    /// There was nothing to do: why.
    AsWished(String),
    Rotated,
}

pub(crate) async fn rotate(word: &str, wish: &Wish, asked: &Asked, only_plan: bool) -> Result<Done> {
    let under_way = UnderWay::default();
    let work = carry_out(word, wish, asked, only_plan, &under_way);
    let outcome = interruptible(&under_way.shield, work).await;
    under_way.ended(word, outcome).await
}

async fn carry_out(
    word: &str,
    wish: &Wish,
    asked: &Asked,
    only_plan: bool,
    under_way: &UnderWay,
) -> Result<Done> {
    let mut place = Target::place(word).await?;
    place.written_as_root_in(wish.as_root.iter().cloned());
    *under_way.folder.borrow_mut() = lock_of_folder(&place)?;
    *under_way.lock.borrow_mut() = Some(place.lock().await?);
    let recovered = left_behind(&mut place, only_plan).await?;
    let server = place.running().await?;
    let who = login(&place, &server, asked)?;
    let held = place.session(&server, &who).await?;
    let mut facts = observe(&mut place, &server, &held, &who).await?;
    fit_to_be_changed(&facts, word)?;
    speaks_tls(&facts, word)?;
    let now = OffsetDateTime::now_utc();
    let minds = ready(&mut place, &facts, &held, now).await?;
    let seat = Seat::find(&mut place, &mut facts).await?;
    let journal = Journal::find(facts.identifier, &place.key())?;
    if !only_plan {
        others::none_unknown(&facts, &wish.adopted, word)?;
        previous_keys::past_their_time(&mut place, now).await?;
    }
    let origin = origin(&place, journal.as_ref(), wish)?;
    let chosen = choose(&facts, origin.clone(), wish, now).await?;
    let done = Done {
        word: word.to_owned(),
        before: facts.certificate.as_ref().ok().map(|present| present.leaf.clone()),
        state: State::Planned,
        origin,
        recovered,
        minds,
        plan: None,
        cut_short: None,
        renewed: None,
        change: None,
        proof: None,
        watched: None,
        compromised: wish.compromised,
        proved: true,
        facts,
    };
    let hand = Hand { place: &mut place, server, held: &held, who: &who };
    let done = match chosen {
        Chosen::Kept(why) => stays(hand, done, why, only_plan, under_way).await?,
        Chosen::New(next) => exchanged(hand, done, *next, &seat, wish, only_plan, (now, under_way)).await?,
    };
    held.close().await;
    Ok(done)
}

/// What a run that was cut off left: taken back or gone on with, or where this one only looks told.
async fn left_behind(place: &mut Place, only_plan: bool) -> Result<Option<String>> {
    if !only_plan {
        return recover::unfinished(place).await;
    }
    if let Some(unfinished) = recover::unfinished_of(place).await? {
        say(&format!("pgseal: {}", unfinished.words()));
    }
    Ok(None)
}

/// A certificate that stays is proved all the same.
async fn stays(
    hand: Hand<'_>,
    mut done: Done,
    why: String,
    only_plan: bool,
    under_way: &UnderWay,
) -> Result<Done> {
    done.state = State::AsWished(why);
    if let (Ok(present), false) = (&done.facts.certificate, only_plan) {
        let who = hand.who;
        let plan = as_it_stands(&done.facts, present)?;
        let mut work = hand.with(&done.facts, &plan, false, &under_way.reached);
        let proof = look_again(&mut work).await?;
        done.proved = holds(&proof, &plan, who);
        done.proof = Some(proof);
    }
    Ok(done)
}

/// The next certificate in the place of the present one.
async fn exchanged(
    hand: Hand<'_>,
    mut done: Done,
    next: Next,
    seat: &Seat,
    wish: &Wish,
    only_plan: bool,
    (now, under_way): (OffsetDateTime, &UnderWay),
) -> Result<Done> {
    let copies = elsewhere(hand.place, &done.facts, hand.held).await;
    done.minds.extend(copies);
    done.cut_short = next.cut_short;
    done.renewed = next.renewed.as_ref().map(|(path, _)| path.clone());
    let records = records_of(hand.place, &next)?;
    let plan = plan(&done.facts, seat, &next, wish, records, (&done.word, fresh_id()?))?;
    issuer_is_known(&plan, wish.allow_unseen)?;
    if !only_plan {
        let mut work = hand.with(&done.facts, &plan, false, &under_way.reached);
        let (seen, change) = change(&mut work, wish, now, under_way).await?;
        done.state = State::Rotated;
        done.proof = Some(seen.proof);
        done.watched = Some(seen.watched);
        done.change = Some(change);
    }
    done.plan = Some(plan);
    Ok(done)
}

/// No steps at all: what is to be proved of a certificate that stays.
fn as_it_stands(facts: &Facts, present: &Present) -> Result<Plan> {
    Ok(Plan {
        lacks: Vec::new(),
        id: fresh_id()?,
        leaf: present.leaf.clone(),
        names: Vec::new(),
        authority: own_authority(facts, &present.leaf),
        wished: Vec::new(),
        origin: None,
        records: Vec::new(),
        compose: None,
        enforce: false,
        clients: None,
        new_issuer: false,
        stages: Vec::new(),
    })
}

fn holds(proof: &Proof, plan: &Plan, who: &Login) -> bool {
    proof
        .claims
        .iter()
        .all(|claim| claim.holds == Some(true) || !promised(claim.name, plan, StageKind::Tls, who, false))
}

/// `up` and `down` work under the lock of the folder, and everything else under that of the data.
fn lock_of_folder(place: &Place) -> Result<Option<Lock>> {
    place.made_folder().map(Lock::take).transpose()
}

/// There is nothing to rotate where no TLS is wished.
fn speaks_tls(facts: &Facts, word: &str) -> Result<()> {
    if facts.setting("ssl") == "on" {
        return Ok(());
    }
    Err(Failure::stopped(format!("{word} offers no TLS (ssl = off), so there is no certificate to rotate"))
        .because("nothing was changed")
        .hint(format!("pgseal secure {word} --new-ca DIR")))
}

/// Writes down, applies, proves, commits.
async fn change(
    work: &mut Work<'_>,
    wish: &Wish,
    now: OffsetDateTime,
    under_way: &UnderWay,
) -> Result<(Seen, String)> {
    let (journal, change) = under_way.begin((work.place, work.facts, work.plan), None, None, now)?;
    let seen = apply(work, &change).await?;
    records::write(&change)?;
    under_way.stands(&journal, &change, &Phase::Committed)?;
    if wish.compromised {
        no_previous_key(work.place, &journal).await?;
    } else {
        previous_keys::only_one(work.place, &journal, &change).await;
    }
    Ok((seen, change.id))
}

/// Every copy that pgseal kept of keys that were replaced goes at once.
async fn no_previous_key(place: &mut Place, journal: &Journal) -> Result<()> {
    for key in previous_keys::kept(place, journal).await? {
        place.clear_away(&key.path).await.map_err(|failure| {
            failure
                .because("the new certificate is served; a copy of the old key is still there")
                .hint(format!("remove {} by hand", key.path.display()))
        })?;
    }
    Ok(())
}

//! A rotation carried out: what may come early is written, then the decisive rename, SIGHUP, and the wire watched
//! until it shows what came of it. Whoever calls it takes everything back when it fails.

use std::cell::Cell;
use std::time::Duration;

use pgseal_wire::tls::Check;
use pgseal_wire::{ChannelBinding, Roots, Route, Session};
use time::OffsetDateTime;

use super::wire::{Watch, Watched};
use crate::failure::{Failure, Result};
use crate::faults;
use crate::journal::Change;
use crate::secure::apply::{Work, errors, look_again, nothing_new_is_wrong, put, reload_and_wait};
use crate::secure::log::Mark;
use crate::secure::plan::{StageKind, own_authority};
use crate::secure::prove::{promised, subject, subject_of};
use crate::sessions::sessions;
use crate::sql::text_of;
use crate::verify::claim::{Claim, ClaimName, Proof};
use crate::verify::session::log_in_at;

/// For one handshake.
const DEADLINE: Duration = Duration::from_secs(10);

/// What was seen of it.
pub(crate) struct Seen {
    pub(crate) proof: Proof,
    pub(crate) watched: Watched,
}

pub(crate) async fn apply(work: &mut Work<'_>, change: &Change) -> Result<Seen> {
    let broken = errors(work.held).await?;
    let resident = resident(work).await;
    for folder in &change.folders {
        work.place.hands.make_folder(folder, 0o755).await?;
    }
    let log = Mark::here(work.place, work.held).await;
    for write in work.plan.writes() {
        put(work.place, work.reached, &work.plan.id, write).await?;
    }
    let watched = exchanged(work, &broken).await;
    let watched = match watched {
        Ok(watched) if watched.last == Some(work.plan.leaf.fingerprint()) => watched,
        Ok(watched) => return Err(told(kept_the_old_one(&watched), &log, work).await),
        Err(failure) => return Err(told(failure, &log, work).await),
    };
    faults::step("the new certificate is on the wire");
    match proved(work, resident).await {
        Ok(proof) => Ok(Seen { proof, watched }),
        Err(failure) => Err(told(failure, &log, work).await),
    }
}

/// From the last rename to the first connection after the server has read its files.
async fn exchanged(work: &mut Work<'_>, broken: &[String]) -> Result<Watched> {
    let watch = watch(work)?;
    let over = Cell::new(false);
    faults::step("the new certificate is written");
    let loading = async {
        let outcome = match nothing_new_is_wrong(work.held, broken).await {
            Ok(()) => reload_and_wait(work.place, work.held).await,
            Err(failure) => Err(failure),
        };
        over.set(true);
        outcome
    };
    let (loaded, watched) = tokio::join!(loading, watch.until(&over));
    loaded.map(|()| watched)
}

fn watch(work: &Work<'_>) -> Result<Watch> {
    let subject = subject(work.facts, work.plan, work.who);
    let address = subject
        .addresses
        .first()
        .copied()
        .ok_or_else(|| Failure::new(format!("{} listens on no address", work.place.word)))?;
    // Where clients cannot verify the present certificate, a look that does not either is no failure of ours.
    let now = OffsetDateTime::now_utc();
    let both_verify = !work.plan.new_issuer
        && work.facts.certificate.as_ref().is_ok_and(|present| {
            present.key.is_ok() && (present.leaf.not_before()..=present.leaf.not_after()).contains(&now)
        });
    Ok(Watch {
        route: Route { deadline: DEADLINE, ..subject.route(address) },
        host: subject.host.clone(),
        roots: subject.roots.ok().filter(|_| both_verify),
        new: work.plan.leaf.fingerprint(),
    })
}

fn kept_the_old_one(watched: &Watched) -> Failure {
    match watched.last {
        Some(shown) => Failure::new("the server kept the old certificate after the reload")
            .because(format!("the wire shows sha256 {shown}")),
        None => Failure::new("no connection showed a certificate after the reload")
            .because_all(watched.failures.clone()),
    }
}

/// With what the server's log says since.
async fn told(failure: Failure, log: &Mark, work: &mut Work<'_>) -> Failure {
    failure.because_all(log.reasons(work.place).await)
}

/// A session over TLS with the present certificate, held across the exchange; none where nothing can be verified or
/// no password was given.
async fn resident(work: &Work<'_>) -> Option<Session> {
    let present = work.facts.certificate.as_ref().ok()?;
    let authority = own_authority(work.facts, &present.leaf).or_else(|| work.plan.authority.clone())?;
    let subject = subject_of(work.facts, &present.leaf, Vec::new(), Some(&authority), work.who);
    let address = subject.addresses.first().copied()?;
    subject.password.as_ref()?;
    let roots = Roots::from_certificates("the present CA", vec![authority]).ok()?;
    log_in_at(&subject, address, Check::ChainAndName(roots), ChannelBinding::Prefer).await.ok()
}

/// A new login from inside, then every claim; one that was promised and does not hold is an error.
async fn proved(work: &mut Work<'_>, resident: Option<Session>) -> Result<Proof> {
    let mut proof = look_again(work).await?;
    proof.add(sessions_go_on(work, resident).await);
    let counts = |claim: &Claim| {
        promised(claim.name, work.plan, StageKind::Tls, work.who, false)
            || claim.name == ClaimName::SessionsGoOn
    };
    let failed: Vec<String> = proof
        .claims
        .iter()
        .filter(|claim| claim.holds != Some(true) && counts(claim))
        .map(Claim::line)
        .collect();
    if failed.is_empty() {
        return Ok(proof);
    }
    Err(Failure::new("the wire does not show what was promised").because_all(failed))
}

/// Those that were opened before the exchange: our own, which have to answer, and everybody's, as far as they are
/// still there. A client may have left by itself.
async fn sessions_go_on(work: &Work<'_>, resident: Option<Session>) -> Claim {
    const OWN: &str = "SELECT pg_backend_pid()::text";
    let name = ClaimName::SessionsGoOn;
    let mut answered = 0;
    for session in [Some(work.held), resident.as_ref()].into_iter().flatten() {
        if let Err(why) = text_of(session, OWN, &[]).await {
            return Claim::fails(name, "a session that was opened before was lost", why);
        }
        answered += 1;
    }
    if let Some(resident) = resident {
        resident.close().await;
    }
    let standing = match sessions(work.held).await {
        Ok(standing) => standing,
        Err(why) => return Claim::cannot_tell(name, why),
    };
    let before: Vec<_> = work.facts.sessions.iter().filter(|seen| !seen.own).collect();
    let is_there = |pid: i32, since: &str| standing.iter().any(|now| now.pid == pid && now.since == since);
    let there = before.iter().filter(|seen| is_there(seen.pid, &seen.since)).count();
    let ours = if answered == 1 { "ours answers".to_owned() } else { format!("{answered} of ours answer") };
    Claim::holds(name, format!("{ours}, {there} of {} of others are there as before", before.len()))
}

//! A rotation carried out: what may come early is written, then the decisive rename, SIGHUP, and the wire watched
//! until it shows what came of it. Whoever calls it takes everything back when it fails.

use std::cell::Cell;
use std::time::Duration;

use pgseal_wire::Route;
use time::OffsetDateTime;

use super::prove::{before, proved};
use super::wire::{Watch, Watched};
use crate::failure::{Failure, Result};
use crate::faults;
use crate::journal::Change;
use crate::secure::apply::{Work, errors, nothing_new_is_wrong, put, reload_and_wait};
use crate::secure::log::Mark;
use crate::secure::prove::subject;
use crate::verify::claim::Proof;

/// For one handshake.
const DEADLINE: Duration = Duration::from_secs(10);

/// What was seen of it.
pub(crate) struct Seen {
    pub(crate) proof: Proof,
    pub(crate) watched: Watched,
}

pub(crate) async fn apply(work: &mut Work<'_>, change: &Change) -> Result<Seen> {
    let broken = errors(work.held).await?;
    let before = before(work).await?;
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
    match proved(work, before).await {
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
    failure.because_all(log.reasons(work.place, work.held).await)
}

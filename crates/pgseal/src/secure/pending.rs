//! A change that was made while the server was down: proved by the first run that finds the server started, or
//! taken back.

use pgseal_pki::{Certificate, SubjectAltName};
use pgseal_wire::Session;
use time::OffsetDateTime;

use super::facts::Facts;
use super::log::Mark;
use super::observe::observe;
use super::plan::{Plan, StageKind, own_authority};
use super::prove::{promised, prove};
use super::restart;
use super::restore::{Seen, restore};
use super::settings::{Wished, known};
use crate::failure::{Failure, Result};
use crate::interrupt::Shield;
use crate::journal::{Change, Journal, Phase, Promise};
use crate::place::{Login, Place};
use crate::report::stderr::say;
use crate::server::process::RunningServer;
use crate::target::{Asked, login};
use crate::verify::claim::{Claim, Proof};

/// The change that awaits the server's start, if there is one.
pub(super) async fn waiting(place: &mut Place) -> Result<Option<(Journal, Change)>> {
    let identifier = place.identifier().await?;
    let Some(journal) = Journal::find(identifier, &place.key())? else { return Ok(None) };
    Ok(match journal.unfinished()? {
        Some((change, Phase::AwaitingStart { .. })) => Some((journal, change)),
        _ => None,
    })
}

/// That there is one, to whoever wants something else.
pub(super) fn awaits(change: &str, word: &str) -> Failure {
    Failure::stopped(format!("change {change} awaits the server's start, to be proved then"))
        .hint(format!("start the server, then pgseal verify {word}; or pgseal undo {word}"))
}

/// For verbs that only look: proves the change of a stopped server, or takes it back, before anything else is
/// said of the server.
pub(crate) async fn settle_first(place: &mut Place, asked: &Asked) -> Result<()> {
    if waiting(place).await?.is_none() {
        return Ok(());
    }
    let _lock = place.lock().await?;
    let Some((_, change)) = waiting(place).await? else { return Ok(()) };
    let Some(_) = place.server().await? else { return Err(awaits(&change.id, &place.word)) };
    let server = place.running().await?;
    let who = login(place, &server, asked)?;
    let held = place.session(&server, &who).await?;
    if let Some(id) = settle(place, &server, &held, &who, &Shield::default()).await? {
        say(&format!("pgseal: change {id}, made while the server was down, is proved now"));
    }
    held.close().await;
    Ok(())
}

/// Proves what was promised, or takes it back; the change's id where there was one. The caller holds the lock.
pub(super) async fn settle(
    place: &mut Place,
    server: &RunningServer,
    held: &Session,
    who: &Login,
    shield: &Shield,
) -> Result<Option<String>> {
    let Some((journal, change)) = waiting(place).await? else { return Ok(None) };
    let (Some(promise), Phase::AwaitingStart { by }) = (&change.promise, journal.phase(&change)?) else {
        return Err(Failure::new(format!(
            "the journal of change {} does not say what was promised",
            change.id
        ))
        .hint(format!("pgseal undo {}", place.word)));
    };
    if promise.enforce && who.password.is_none() {
        return Err(Failure::stopped(format!(
            "proving change {}, which refuses plaintext, wants a login over TLS, and no password was given",
            change.id
        ))
        .hint("PGUSER with PGPASSWORD or a password file"));
    }
    let log = Mark::here(place, held).await;
    if server.started <= by {
        // It was started while files were still being written.
        super::apply::reload_and_wait(place, held).await?;
    }
    let facts = observe(place, server, held, who).await?;
    let failed = match wrong(place, &facts, promise, held, who).await? {
        failed if failed.is_empty() => {
            journal.set(&change, &Phase::Committed)?;
            return Ok(Some(change.id));
        }
        failed => failed,
    };
    let said = log.reasons(place, held).await;
    let _held = shield.hold();
    // Whoever finds half of this walk has to see that it is one.
    journal.set(&change, &Phase::Begun)?;
    let seen = restore(place, &journal, &change, change.files.len(), &Phase::RolledBack).await?;
    let seen = match seen {
        Seen::Otherwise { .. } => seen.words(),
        _ => "the files are as they were before it (checked on the wire)".to_owned(),
    };
    Err(Failure::rolled_back(format!(
        "rolled back: change {}, made while the server was down, is not what the wire shows",
        change.id
    ))
    .because_all(failed)
    .because_all(said)
    .because(seen))
}

/// The claims that do not hold, a line each.
async fn wrong(
    place: &mut Place,
    facts: &Facts,
    promise: &Promise,
    inside: &Session,
    who: &Login,
) -> Result<Vec<String>> {
    Ok(proof_with(place, facts, promise, inside, who).await?.1)
}

/// The proof of what was promised of a server that has been started since, and what of it does not hold.
pub(super) async fn proof_of(
    place: &mut Place,
    server: &RunningServer,
    promise: &Promise,
    inside: &Session,
    who: &Login,
) -> Result<(Proof, Vec<String>)> {
    let facts = observe(place, server, inside, who).await?;
    proof_with(place, &facts, promise, inside, who).await
}

async fn proof_with(
    place: &mut Place,
    facts: &Facts,
    promise: &Promise,
    inside: &Session,
    who: &Login,
) -> Result<(Proof, Vec<String>)> {
    let present = match &facts.certificate {
        Ok(present) => present,
        Err(why) => return Ok((Proof::default(), vec![format!("no certificate: {why}")])),
    };
    let found = present.leaf.fingerprint().to_string();
    if found != promise.certificate {
        let wrong = format!("the files hold sha256 {found}, not {}", promise.certificate);
        return Ok((Proof::default(), vec![wrong]));
    }
    let plan = planned(facts, &present.leaf, promise);
    let mut proof: Proof = prove(facts, &plan, who, inside, OffsetDateTime::now_utc()).await?;
    proof.add(restart::claim(place, inside, &plan.leaf).await);
    let kind = if promise.enforce { StageKind::Rules } else { StageKind::Tls };
    let counts = |claim: &&Claim| {
        claim.holds != Some(true) && promised(claim.name, &plan, kind, who, promise.excepted)
    };
    let failed = proof.claims.iter().filter(counts).map(Claim::line).collect();
    Ok((proof, failed))
}

/// The plan as it stands now, carried out.
fn planned(facts: &Facts, leaf: &Certificate, promise: &Promise) -> Plan {
    let wished = promise
        .settings
        .iter()
        .filter_map(|(name, value)| Some(Wished { name: known(name)?, value: value.clone() }));
    let names = promise.names.iter().filter_map(|name| name.parse::<SubjectAltName>().ok());
    Plan {
        id: String::new(),
        names: names.collect(),
        lacks: Vec::new(),
        authority: own_authority(facts, leaf).filter(|_| promise.authority),
        leaf: leaf.clone(),
        wished: wished.collect(),
        stages: Vec::new(),
        origin: None,
        records: Vec::new(),
        compose: None,
        enforce: promise.enforce,
        clients: None,
        new_issuer: false,
    }
}

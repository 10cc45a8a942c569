//! A server that does not run, changed in its files alone, because somebody asked for that: written down as any
//! change is, read again as PostgreSQL will read it, and proved after the start by the first run that finds one.

use pgseal_conf::settings::Settings;
use time::OffsetDateTime;

use super::apply::put;
use super::by_postgres::read_by_postgres;
use super::certificate::choose;
use super::facts::Facts;
use super::gate::{fit_to_be_changed, issuer_is_known};
use super::judge::judge;
use super::plan::{Plan, StageKind, closes_every_path};
use super::run::{Done, Errand, State, newer_source, plan_for};
use super::settings::satisfies;
use super::stopped::{observe, rules, settings};
use super::under_way::{UnderWay, to_found};
use super::wish::Wish;
use super::{pending, restart};
use crate::failure::{Failure, Result};
use crate::faults;
use crate::journal::{Change, Phase, Promise};
use crate::place::Place;
use crate::report::ask::yes_or_stop;
use crate::target::nobody_yet;
use crate::verify::claim::{Claim, ClaimName, Proof};

pub(super) async fn carry_out(
    errand: &Errand<'_>,
    mut place: Place,
    recovered: Option<String>,
) -> Result<Done> {
    let Errand { word, wish, how, .. } = errand;
    only_what_files_tell(wish)?;
    let who = nobody_yet(&place, errand.asked);
    let mut facts = observe(&mut place, &who).await?;
    facts.newer_source = newer_source(&place, &facts)?;
    fit_to_be_changed(&facts, word)?;
    taken_by_postgres(&mut place).await?;
    let now = OffsetDateTime::now_utc();
    let chosen = choose(&facts, wish, now)?;
    let plan = plan_for(errand, &facts, &chosen, None)?;
    let findings = judge(&facts, wish, word, now)?;
    let waiting = pending::waiting(&mut place).await?;
    let mut done = Done::planned(word, facts, plan, findings, Vec::new(), recovered);
    if how.only_plan {
        return Ok(done);
    }
    if done.plan.is_empty() {
        done.proof = Some(as_it_will_start(&mut place, &done.facts, &done.plan).await?);
        done.change = waiting.as_ref().map(|(_, change)| change.id.clone());
        done.state = if waiting.is_some() { State::AwaitingStart } else { State::AsWished };
        done.proved = false;
        return Ok(done);
    }
    if let Some((_, change)) = waiting {
        return Err(pending::awaits(&change.id, word).because("another change cannot be laid on top of it"));
    }
    super::others::none_unknown(&done.facts, &wish.adopted, word)?;
    safe(&done, wish)?;
    if (errand.consent)(&done.facts, &done.plan, &done.locked_out)? {
        yes_or_stop("Carry this out?").await?;
    }
    let promise = Some(promise(&done.plan, !wish.exceptions.is_empty()));
    let under_way = errand.under_way;
    let (journal, change) =
        under_way.begin((&place, &done.facts, &done.plan), to_found(wish, &chosen), promise, now)?;
    done.proof = Some(written(&mut place, under_way, &change, &done).await?);
    let phase = Phase::AwaitingStart { by: OffsetDateTime::now_utc().unix_timestamp() };
    under_way.stands(&journal, &change, &phase)?;
    done.change = Some(change.id);
    done.state = State::AwaitingStart;
    done.proved = false;
    Ok(done)
}

/// What nobody can tell while the server is down.
fn only_what_files_tell(wish: &Wish) -> Result<()> {
    if wish.clients.is_some() {
        return Err(Failure::usage(
            "--client-ca wants a login that proves that somebody still gets in, and a server that is down lets nobody in",
        )
        .because("nothing was changed")
        .hint("start the server, then again without --offline"));
    }
    if wish.scram {
        return Err(Failure::usage(
            "--auth goes by the passwords that roles have, and a server that is down tells nobody",
        )
        .because("nothing was changed")
        .hint("start the server, then again without --offline"));
    }
    Ok(())
}

/// Stops before anybody is locked out.
pub(super) fn safe(done: &Done, wish: &Wish) -> Result<()> {
    issuer_is_known(&done.plan, wish.allow_unseen)?;
    if done.plan.enforce && done.plan.has(StageKind::Rules) && !wish.even_if_locked_out {
        return Err(Failure::stopped(
            "who would come back in plaintext cannot be seen while the server is down",
        )
        .because("--enforce would lock them out from the first moment on; nothing was changed")
        .hint(
            "without --enforce now, and with it when the server runs; all the same: --even-if-locked-out",
        ));
    }
    Ok(())
}

pub(super) fn promise(plan: &Plan, excepted: bool) -> Promise {
    Promise {
        certificate: plan.leaf.fingerprint().to_string(),
        names: plan.names.iter().map(ToString::to_string).collect(),
        authority: plan.authority.is_some(),
        settings: plan.wished.iter().map(|wish| (wish.name.to_owned(), wish.value.clone())).collect(),
        enforce: plan.enforce,
        excepted,
    }
}

/// Writes everything, and reads it again as a start will.
pub(super) async fn written(
    place: &mut Place,
    under_way: &UnderWay,
    change: &Change,
    done: &Done,
) -> Result<Proof> {
    for folder in &change.folders {
        place.hands.make_folder(folder, 0o755).await?;
    }
    for stage in &done.plan.stages {
        for write in stage.steps.iter().flat_map(|step| &step.writes) {
            put(place, &under_way.reached, &change.id, write).await?;
        }
        faults::step("a stage is written");
    }
    let proof = as_it_will_start(place, &done.facts, &done.plan).await?;
    let failed: Vec<String> =
        proof.claims.iter().filter(|claim| claim.holds == Some(false)).map(Claim::line).collect();
    if failed.is_empty() {
        return Ok(proof);
    }
    Err(Failure::new("the server would not start with it as it was meant").because_all(failed))
}

/// The claims that files alone can bear out.
pub(super) async fn as_it_will_start(place: &mut Place, facts: &Facts, plan: &Plan) -> Result<Proof> {
    let files = place.settings(&facts.main.named, facts.version).await?;
    let mut proof = Proof::default();
    proof.add(in_force(place, &files, plan).await?);
    let settings = settings(place, &files, facts.version);
    proof.add(restart::claim_of(place, &settings, &plan.leaf).await);
    if plan.enforce {
        proof.add(no_plaintext_path(place, facts).await?);
    }
    Ok(proof)
}

async fn no_plaintext_path(place: &mut Place, facts: &Facts) -> Result<Claim> {
    let name = ClaimName::NoPlaintextPath;
    let rules = rules(place, &facts.hba.named, facts.version).await?.ruleset(facts.version);
    Ok(if !rules.loads() {
        Claim::fails(name, facts.hba.named.display().to_string(), "PostgreSQL would not load it")
    } else if closes_every_path(facts, &rules) {
        Claim::holds(name, format!("{}: none of its {} rules", facts.hba.named.display(), rules.rules.len()))
    } else {
        Claim::cannot_tell(name, "there are exceptions, or what only a server that runs can tell")
    })
}

/// By our own reading of the files, and by PostgreSQL's where its program is known.
async fn in_force(place: &mut Place, files: &Settings, plan: &Plan) -> Result<Claim> {
    let name = ClaimName::SettingsInForce;
    if let Some(error) = files.errors.first() {
        return Ok(Claim::fails(name, format!("line {}", error.line), error.message.clone()));
    }
    let said_by_files = |name: &str| {
        files.effective(name).map(|found| String::from_utf8_lossy(found.value().as_bytes()).into_owned())
    };
    let mut asked = 0;
    for wish in &plan.wished {
        let value = match read_by_postgres(place, wish.name).await? {
            Some(Err(said)) => {
                return Ok(Claim::fails(name, said.join("; "), "PostgreSQL refuses the files"));
            }
            Some(Ok(value)) => {
                asked += 1;
                Some(value)
            }
            None => said_by_files(wish.name),
        };
        // What no file says is what the version has built in, which the plan went by.
        if let Some(value) = value.filter(|value| !satisfies(wish, value)) {
            let wrong = format!("{} is {value}, not {}", wish.name, wish.value);
            return Ok(Claim::fails(name, wrong, "something else beats what was written"));
        }
    }
    let by = if asked > 0 { "as postgres -C reads the files" } else { "in the files" };
    Ok(Claim::holds(name, format!("{} settings, {by}", plan.wished.len())))
}

/// Refuses files that PostgreSQL itself does not take as they are, and a build without SSL.
async fn taken_by_postgres(place: &mut Place) -> Result<()> {
    match read_by_postgres(place, "ssl_library").await? {
        Some(Err(said)) => {
            Err(Failure::new("PostgreSQL itself refuses the configuration as it stands, and would not start")
                .because_all(said)
                .because("nothing was changed")
                .hint("mend that, then again"))
        }
        Some(Ok(library)) if library.is_empty() => {
            Err(Failure::new("the server's program was built without SSL")
                .because("nothing was changed")
                .hint("the same version from a build with OpenSSL, as packages of distributions are"))
        }
        _ => Ok(()),
    }
}

//! A change for which the container is made anew: because its command fixes what has to change, or because it does
//! not run. Written down as any change is; files first, then the project, then the container; proved, or all of it
//! taken back.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::super::apply::changed_meanwhile;
use super::super::certificate::{Chosen, choose};
use super::super::facts::Facts;
use super::super::gate::{fit_to_be_changed, safe};
use super::super::judge::judge;
use super::super::lockout::locked_out;
use super::super::offline::{promise, written};
use super::super::pending::proof_of;
use super::super::plan::{StageKind, plan};
use super::super::prove::promised;
use super::super::run::{Done, Errand, State, newer_source};
use super::super::settings::{satisfies, wished};
use super::super::under_way::to_found;
use super::super::wish::Wish;
use super::super::{previous_keys, stopped};
use super::edit::{self, Command};
use super::start::{ready, up, words_of};
use super::{judge as project_judge, judge::moved_rules};
use crate::compose::facts::behind_the_program;
use crate::compose::file::ComposeFile;
use crate::compose::find::Found;
use crate::compose::mend::{Mend, PASSWORD};
use crate::compose::moved::Moved;
use crate::compose::words::{Given, given};
use crate::failure::{Failure, Result};
use crate::faults;
use crate::findings::Finding;
use crate::journal::{Change, Phase, digest, fresh_id};
use crate::place::{Login, Place};
use crate::privilege::files;
use crate::privilege::secret::Secret;
use crate::report::ask::yes_or_stop;
use crate::secure::observe::PEM;
use crate::target::{Asked, login, nobody_yet};
use crate::verify::claim::{ClaimName, Proof};

/// The settings of the service's command that are in the way of the wish; none: a reload is enough.
pub(in super::super) fn in_the_way(
    place: &Place,
    facts: &Facts,
    chosen: &Chosen,
    errand: &Errand<'_>,
) -> Result<Vec<Given>> {
    let Some(said) = place.way().and_then(|way| way.said.clone()) else { return Ok(Vec::new()) };
    let pem = facts.tls_folder.join(PEM);
    let ours = matches!(chosen, Chosen::New(_)).then_some(pem.as_path());
    let wished = wished(facts, &errand.wish.policy, ours)?;
    let rules = errand.wish.enforce || errand.wish.scram;
    let alone = place
        .container()
        .and_then(|container| container.mount_of(&facts.hba.named))
        .is_some_and(|mount| mount.place == facts.hba.named.as_path());
    Ok(given(&said.command)
        .into_iter()
        .filter(|given| match given.name.as_str() {
            // Nothing can be renamed over a mount.
            "hba_file" => rules && alone,
            name => wished.iter().any(|wish| wish.name == name && !satisfies(wish, &given.value)),
        })
        .collect())
}

/// What of the project is to be mended, and is there to be mended.
pub(in super::super) fn mends(place: &Place, wish: &Wish) -> Result<Vec<Mend>> {
    let Some(said) = place.way().and_then(|way| way.said.clone()) else {
        return match wish.mends.first() {
            None => Ok(Vec::new()),
            Some(mend) => Err(Failure::usage(format!("--mend {} is for a compose file", mend.finding()))
                .because(format!("{} is none; nothing was changed", place.word))
                .hint("compose.yaml#SERVICE as TARGET")),
        };
    };
    let is_there = |mend: &Mend| match mend {
        Mend::Version => said.version_line.is_some(),
        Mend::Ports => !said.published_everywhere.is_empty(),
        Mend::Password => said.password_in_environment,
    };
    let mut mends: Vec<Mend> = Vec::new();
    for mend in wish.mends.iter().copied().filter(is_there) {
        if !mends.contains(&mend) {
            mends.push(mend);
        }
    }
    Ok(mends)
}

/// A service whose server does not run.
pub(in super::super) async fn resting(
    errand: &Errand<'_>,
    mut place: Place,
    recovered: Option<String>,
) -> Result<Done> {
    let mut findings = Vec::new();
    let Resting { found, facts, mut gone, who } =
        look_at_rest(&mut place, errand.asked, &mut findings).await?;
    let chosen = choose(&facts, errand.wish, OffsetDateTime::now_utc())?;
    gone.extend(in_the_way(&place, &facts, &chosen, errand)?);
    carry_out(errand, place, Work { found, facts, chosen, gone, who, recovered, findings, running: false })
        .await
}

/// A service whose server does not run, as it is.
struct Resting {
    found: Found,
    facts: Facts,
    /// What of its command names what is not there.
    gone: Vec<Given>,
    who: Login,
}

/// What is found is there even where a later look fails.
async fn look_at_rest(place: &mut Place, asked: &Asked, findings: &mut Vec<Finding>) -> Result<Resting> {
    let found = read_again(place).await?;
    let mut gone = Vec::new();
    findings.push(down(&found, place).await?);
    // A folder where the rules should be, or nothing: there the server does not start, and nothing can be read.
    let words = behind_the_program(&found.reading.command(&found.service).unwrap_or_default()).to_vec();
    if let Some((given, evidence)) = rules_that_are_none(place, &words).await? {
        findings.push(Finding::new("folder-in-the-place-of-a-file", evidence, &place.word));
        gone.push(given);
    }
    place.start = Some(Command::without(&found, gone.clone()).words());
    let who = nobody_yet(place, asked);
    findings.extend(project_judge::by_the_file(place));
    let facts = stopped::observe(place, &who).await?;
    findings.extend(project_judge::beside_the_file(place, &facts, None).await?);
    Ok(Resting { found, facts, gone, who })
}

/// What is wrong with the project of a service whose server does not run, and what was in the way of seeing all of it;
/// nothing where the place is no such service.
pub(crate) async fn at_rest(place: &mut Place, asked: &Asked) -> (Vec<Finding>, Option<Failure>) {
    if !place.rests() || place.way().is_none_or(|way| way.said.is_none()) {
        return (Vec::new(), None);
    }
    let mut findings = Vec::new();
    let failure = look_at_rest(place, asked, &mut findings).await.err();
    if failure.is_some() {
        let known: Vec<&str> = findings.iter().map(|finding| finding.name).collect();
        let others: Vec<Finding> = project_judge::by_the_file(place)
            .into_iter()
            .filter(|finding| !known.contains(&finding.name))
            .collect();
        findings.extend(others);
    }
    (findings, failure)
}

/// A service that runs, with a command that fixes what has to change.
pub(in super::super) async fn running(
    errand: &Errand<'_>,
    place: Place,
    (facts, chosen): (Facts, Chosen),
    (gone, who): (Vec<Given>, Login),
    (findings, recovered): (Vec<Finding>, Option<String>),
) -> Result<Done> {
    let found = read_again(&place).await?;
    let work = Work { found, facts, chosen, gone, who, recovered, findings, running: true };
    carry_out(errand, place, work).await
}

/// What was found, and what is in hand.
struct Work {
    found: Found,
    facts: Facts,
    chosen: Chosen,
    gone: Vec<Given>,
    who: Login,
    recovered: Option<String>,
    findings: Vec<Finding>,
    running: bool,
}

/// The whole project, of which the place knows plain values since it was found: what these led to would be done to
/// another project where they differ.
async fn read_again(place: &Place) -> Result<Found> {
    let known = place.way().and_then(|way| Some((way, way.said.as_deref()?)));
    let (way, said) = known.ok_or_else(|| Failure::new(format!("{} is no compose service", place.word)))?;
    faults::step("before the project is read again");
    let found = Found::of(ComposeFile::read(&way.file)?, Some(&way.service)).await?;
    if found.facts() == *said { Ok(found) } else { Err(Moved::Reading.failure(&found.file.path)) }
}

async fn down(found: &Found, place: &Place) -> Result<Finding> {
    let state = found.state().unwrap_or_default();
    let code = found.exit_code().unwrap_or_default();
    let words = words_of(&found.docker, found.made()?).await;
    let fatal = words.iter().rfind(|line| line.contains("FATAL"));
    let last = fatal.or(words.last()).cloned().unwrap_or_default();
    Ok(Finding::new("container-down", format!("{state}, status {code}: {}", last.trim()), &place.word))
}

/// `hba_file` of the command, where that is no file.
async fn rules_that_are_none(place: &mut Place, words: &[String]) -> Result<Option<(Given, String)>> {
    let Some(given) = given(words).into_iter().rfind(|given| given.name == "hba_file") else {
        return Ok(None);
    };
    let path = place.data.join(&given.value);
    let found = place.hands.look(&path).await?;
    let is_file = found.is_some_and(|(_, status)| status.kind == files::Kind::File);
    let evidence = format!("{} (hba_file in the command)", path.display());
    Ok((!is_file).then_some((given, evidence)))
}

async fn carry_out(errand: &Errand<'_>, mut place: Place, work: Work) -> Result<Done> {
    let Work { found, facts, chosen, gone, who, recovered, findings, running } = work;
    let (word, wish, how) = (errand.word, errand.wish, errand.how);
    only_what_can_be(errand, running)?;
    fit_to_be_changed(&facts, word)?;
    let mends = mends(&place, wish)?;
    outlives_its_container(&place, &gone, &mends).await?;
    let now = OffsetDateTime::now_utc();
    let mut all = findings;
    all.extend(judge(&facts, wish, word, now)?);
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let rules_go = gone.iter().any(|given| given.name == "hba_file");
    let old_rules = facts.hba.clone();
    let command = Command::without(&found, gone);
    place.start = Some(command.words());
    let mut facts = as_it_is_to_start(&mut place, facts, &who).await?;
    if rules_go {
        facts.rules_moved = moved_rules(&old_rules, &facts);
    }
    facts.newer_source = newer_source(&place, &facts)?;
    let mut plan = plan(&facts, wish, (&chosen, None), word, fresh_id()?)?;
    let keep_at = keep_at(&place, &facts, &plan.id);
    plan.compose = Some(edit::plan(&found, &command, &mends, &keep_at, running).await?);
    let locked_out = if running { locked_out(&facts, &plan, &wish.policy) } else { Vec::new() };
    let mut done = Done::planned(word, facts, plan, all, locked_out, recovered);
    if how.only_plan {
        return Ok(done);
    }
    super::super::others::none_unknown(&done.facts, &wish.adopted, word)?;
    for write in done.plan.writes() {
        place.must_take(&write.path).await?;
    }
    done.plan.compose.as_ref().map_or(Ok(()), edit::ComposeStep::can_be_written)?;
    if running {
        safe(&done, wish, &who)?;
    } else {
        super::super::offline::safe(&done, wish)?;
    }
    if (errand.consent)(&done.facts, &done.plan, &done.locked_out)? {
        yes_or_stop("Carry this out?").await?;
    }
    faults::step("before a change of the project begins");
    if let Some(moved) = found.moved().await? {
        return Err(moved.failure(&found.file.path));
    }
    change(errand, place, &found, &chosen, &mut done, now).await?;
    Ok(done)
}

/// Written down, written, started, proved.
async fn change(
    errand: &Errand<'_>,
    mut place: Place,
    found: &Found,
    chosen: &Chosen,
    done: &mut Done,
    now: OffsetDateTime,
) -> Result<()> {
    let wish = errand.wish;
    let excepted = !wish.exceptions.is_empty();
    let promised = promise(&done.plan, excepted);
    let under_way = errand.under_way;
    let of = (&place, &done.facts, &done.plan);
    let (journal, change) = under_way.begin(of, to_found(wish, chosen), Some(promised.clone()), now)?;
    write(errand, &mut place, &change, done).await?;
    let Started { mut place, who, proof } = started(errand, place, found, &promised).await?;
    under_way.stands(&journal, &change, &Phase::Committed)?;
    previous_keys::only_one(&mut place, &journal, &change).await;
    done.change = Some(change.id);
    done.state = State::Changed;
    finish(done, proof, &who, excepted);
    Ok(())
}

fn only_what_can_be(errand: &Errand<'_>, running: bool) -> Result<()> {
    let how = errand.how;
    let options = [
        ("--confirm-within", how.confirm_within.is_some()),
        ("--plan", how.saved.is_some()),
        ("--out", how.out),
        ("--offline", how.offline),
        ("--auth", !running && errand.wish.scram),
        ("--client-ca", errand.wish.clients.is_some()),
    ];
    match options.into_iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((option, _)) => Err(Failure::usage(format!(
            "{option} does not go with a container that is made anew or started, as this one has to be"
        ))
        .because("nothing was changed")
        .hint("without it; --dry-run says why the container has to be made anew")),
    }
}

/// A container that is made anew has what lies on its mounts, and nothing else.
async fn outlives_its_container(place: &Place, gone: &[Given], mends: &[Mend]) -> Result<()> {
    let stays = gone.is_empty() && !mends.iter().any(|mend| mend.makes_anew());
    let Some(container) = place.container().filter(|_| !stays) else { return Ok(()) };
    let lies = if !container.outlives(&place.data) {
        "in the container itself"
    } else if container.is_in_memory(&place.data).await? {
        "in memory"
    } else {
        return Ok(());
    };
    let names = gone.iter().map(|given| given.name.as_str());
    let names: Vec<&str> = names.chain(mends.iter().map(|mend| mend.finding())).collect();
    Err(Failure::stopped(format!("the data of {} lies {lies} ({})", place.word, place.data.display()))
        .because(format!(
            "for {} it would have to be made anew, and the data would go with it",
            names.join(", ")
        ))
        .because("nothing was changed")
        .hint(
            "keep the data in a volume first: pg_dumpall, a volume in the compose file, and the dump into it",
        ))
}

/// Where a compose file is kept that a password goes from: beside the server's key, as previous keys are.
fn keep_at(place: &Place, facts: &Facts, change: &str) -> PathBuf {
    let folder = if facts.tls_folder_is_there { &facts.tls_folder } else { &place.data };
    folder.join(format!("previous-{change}-compose.yaml"))
}

/// The files as a start with the new command reads them, and of a server that runs what only that tells.
async fn as_it_is_to_start(place: &mut Place, known: Facts, who: &Login) -> Result<Facts> {
    let files = stopped::observe(place, who).await?;
    Ok(if known.stopped {
        files
    } else {
        Facts {
            settings: files.settings,
            files: files.files,
            main: files.main,
            auto: files.auto,
            hba: files.hba,
            rules: files.rules,
            fixed: files.fixed,
            ..known
        }
    })
}

/// Everything written: the server's files, read again as the start will, then the project's.
async fn write(errand: &Errand<'_>, place: &mut Place, change: &Change, done: &Done) -> Result<()> {
    written(place, errand.under_way, change, done).await?;
    let Some(step) = &done.plan.compose else { return Ok(()) };
    let Some(text) = &step.text else { return Ok(()) };
    let there = files::status(&step.path).map_err(|error| Failure::io("look at", &step.path, &error))?;
    let now = match there {
        None => None,
        Some(_) => {
            Some(files::read(&step.path, 4 << 20).map_err(|error| Failure::io("read", &step.path, &error))?)
        }
    };
    // Somebody may have been faster since the plan was made.
    if now.map(|bytes| digest(&bytes)) != step.before.as_ref().map(|before| before.digest.clone()) {
        return Err(changed_meanwhile(&step.path));
    }
    if let Some((text, path)) = step.kept.as_ref().zip(change.kept_project()) {
        place.put(path, 0o600, text.as_bytes()).await?;
    }
    files::replace(&step.path, step.mode, text.as_bytes())
        .map_err(|error| Failure::io("replace", &step.path, &error))
}

/// The container that is there now, who got in, and what was seen.
struct Started {
    place: Place,
    who: Login,
    proof: Proof,
}

/// The container made and started as the project says now, and what the wire shows.
async fn started(
    errand: &Errand<'_>,
    place: Place,
    found: &Found,
    promised: &crate::journal::Promise,
) -> Result<Started> {
    // Whoever still works in the volumes beside it must not when the server starts.
    let known = place.variable(PASSWORD).map(Secret::new);
    drop(place);
    let (folder, words) = (found.file.folder(), found.reading.words.as_slice());
    up(&found.compose, folder, words, &found.service).await?;
    let mut place = ready(errand.word, &found.file.path, &found.service).await?;
    let server = place.running().await?;
    let mut who = login(&place, &server, errand.asked)?;
    // It may have been mended away.
    who.password = who.password.or(known);
    let held = place.session(&server, &who).await?;
    let (proof, failed) = proof_of(&mut place, &server, promised, &held, &who).await?;
    held.close().await;
    if failed.is_empty() {
        return Ok(Started { place, who, proof });
    }
    Err(Failure::new("the wire does not show what was promised").because_all(failed))
}

fn finish(done: &mut Done, proof: Proof, who: &Login, excepted: bool) {
    let stage = if done.plan.enforce { StageKind::Rules } else { StageKind::Tls };
    let names = proof.claims.iter().map(|claim| claim.name);
    done.asked_for = names
        .filter(|name| *name != ClaimName::NotRestarted)
        .filter(|name| promised(*name, &done.plan, stage, who, excepted))
        .collect();
    done.proved =
        proof.claims.iter().all(|claim| claim.holds == Some(true) || !done.asked_for.contains(&claim.name));
    done.proof = Some(proof);
}

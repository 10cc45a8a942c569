//! The plan carried out: before-images on disk first, then stage by stage a few renames, one reload and
//! a proof. Whoever calls it takes everything back when it fails.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgseal_pki::Certificate;
use pgseal_wire::Session;
use time::OffsetDateTime;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::edges::{self, Edges};
use super::facts::Facts;
use super::log::Mark;
use super::observe::PEM;
use super::plan::{Plan, Stage, StageKind, Write};
use super::prove::{promised, prove};
use super::restart;
use super::settings::satisfies;
use crate::failure::{Failure, Result};
use crate::faults;
use crate::journal::{
    Before, Change, ComposeChange, ComposeEdited, FileChange, Founded, Image, Journal, Promise, digest,
    moment,
};
use crate::place::{Login, Place};
use crate::server::process::RunningServer;
use crate::sql::{rows_of, text_of};
use crate::verify::claim::{Claim, ClaimName, Proof};

const LOADED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// A server about to be changed, and what is held of it.
pub(crate) struct Work<'w> {
    pub(crate) place: &'w mut Place,
    pub(crate) server: RunningServer,
    /// Opened before the first change, held to the end.
    pub(crate) held: &'w Session,
    pub(crate) who: &'w Login,
    pub(crate) facts: &'w Facts,
    pub(crate) plan: &'w Plan,
    pub(crate) excepted: bool,
    /// How many of the plan's files may have been written.
    pub(crate) reached: &'w Cell<usize>,
}

/// A server in hand: its place, its process, and a session that is held to the end.
pub(crate) struct Hand<'h> {
    pub(crate) place: &'h mut Place,
    pub(crate) server: RunningServer,
    pub(crate) held: &'h Session,
    pub(crate) who: &'h Login,
}

impl<'h> Hand<'h> {
    /// What it takes to change that server.
    pub(crate) fn with(
        self,
        facts: &'h Facts,
        plan: &'h Plan,
        excepted: bool,
        reached: &'h Cell<usize>,
    ) -> Work<'h> {
        let Self { place, server, held, who } = self;
        Work { place, server, held, who, facts, plan, excepted, reached }
    }
}

/// Writes the change down. Nothing of the server's has been touched when this returns.
pub(crate) fn write_down(
    journal: &Journal,
    facts: &Facts,
    plan: &Plan,
    founded: Option<Founded>,
    promise: Option<Promise>,
    place: &Place,
    now: OffsetDateTime,
) -> Result<Change> {
    let mut images = Vec::new();
    let mut files = Vec::new();
    for write in plan.writes() {
        let before = write.before.as_ref().map(|was| {
            let image = if write.secret {
                Image::Beside(previous(&write.path, &plan.id))
            } else {
                let name = format!("before-{}", images.len());
                images.push((name.clone(), Zeroizing::new(was.bytes.clone())));
                Image::Stored(name)
            };
            let status = was.status;
            Before { digest: was.digest.clone(), uid: status.uid, gid: status.gid, mode: status.mode, image }
        });
        files.push(FileChange {
            path: write.path.clone(),
            before,
            after: digest(&write.bytes),
            mode: write.mode,
            diff: write.diff.clone(),
        });
    }
    let compose = plan.compose.as_ref().map(|step| {
        let edited = step.text.as_ref().map(|text| ComposeEdited {
            path: step.path.clone(),
            before: step.before.clone(),
            after: digest(text.as_bytes()),
            diff: step.diff.clone(),
        });
        ComposeChange {
            file: step.file.clone(),
            service: step.service.clone(),
            was_running: step.was_running,
            edited,
        }
    });
    let needs_folder = plan.writes().any(|write| write.path.parent() == Some(facts.tls_folder.as_path()));
    let change = Change {
        format: 1,
        id: plan.id.clone(),
        began: moment(now)?,
        data: place.data.clone(),
        title: plan
            .steps()
            .map(|step| step.name)
            .chain(plan.compose.iter().map(|_| "container"))
            .collect::<Vec<_>>()
            .join(", "),
        files,
        folders: if needs_folder && !facts.tls_folder_is_there {
            vec![facts.tls_folder.clone()]
        } else {
            Vec::new()
        },
        founded,
        settings: Vec::new(),
        origin: plan.origin.clone(),
        certificate: plan.origin.is_some().then(|| plan.leaf.pem()),
        target: Some(place.lasting_address()),
        records: plan.records.clone(),
        compose,
        view: facts.view.clone(),
        served: facts.served.first().map(Certificate::pem),
        promise,
    };
    journal.begin(&change, &images)?;
    Ok(change)
}

/// The previous key, beside the new one. It bears the change's id, so that a change that never comes to stand
/// leaves what the one before it kept.
fn previous(path: &Path, change: &str) -> PathBuf {
    let name = path.file_name().map_or(PEM.into(), |name| name.to_string_lossy());
    path.with_file_name(format!("previous-{change}-{name}"))
}

/// Every stage, each proved before the next begins.
pub(crate) async fn apply(work: &mut Work<'_>, change: &Change) -> Result<Proof> {
    for folder in &change.folders {
        work.place.hands.make_folder(folder, 0o755).await?;
    }
    let mut proof = None;
    for stage in work.plan.stages.iter().filter(|stage| !stage.steps.is_empty()) {
        let broken = errors(work.held).await?;
        let before = edges_before(work, stage).await;
        for write in stage.steps.iter().flat_map(|step| &step.writes) {
            put(work.place, work.reached, &work.plan.id, write).await?;
        }
        faults::step("a stage is written");
        nothing_new_is_wrong(work.held, &broken).await?;
        restart::lists_load(work.place, work.facts).await?;
        let log = Mark::here(work.place, work.held).await;
        proof = Some(match loaded_and_proved(work, stage, &log, before.as_ref()).await {
            Ok(proof) => proof,
            // The reason for whatever it was stands there alone.
            Err(failure) => return Err(failure.because_all(log.reasons(work.place, work.held).await)),
        });
        faults::step("a stage is proved");
    }
    match proof {
        Some(proof) => Ok(proof),
        None => look_again(work).await,
    }
}

async fn loaded_and_proved(
    work: &mut Work<'_>,
    stage: &Stage,
    log: &Mark,
    before: Option<&Edges>,
) -> Result<Proof> {
    reload_and_wait(work.place, work.held).await?;
    proved(work, stage, log, before).await
}

/// What hellos come to before TLS settings change under a certificate that stays: they alone tell then, where the log
/// does not.
async fn edges_before(work: &Work<'_>, stage: &Stage) -> Option<Edges> {
    if stage.kind != StageKind::Tls || !serves_what_it_served(work) {
        return None;
    }
    edges_now(work).await
}

async fn edges_now(work: &Work<'_>) -> Option<Edges> {
    let address = work.facts.addresses.first()?;
    Some(edges::look(SocketAddr::new(*address, work.facts.port), &work.plan.wished).await)
}

/// The proof of a server where nothing was to be done.
pub(crate) async fn look_again(work: &mut Work<'_>) -> Result<Proof> {
    let inside = work.place.session(&work.server, work.who).await?;
    let proof = prove(work.facts, work.plan, work.who, &inside, OffsetDateTime::now_utc()).await;
    let mut proof = match proof {
        Ok(proof) => proof,
        Err(failure) => {
            inside.close().await;
            return Err(failure);
        }
    };
    let already = &work.facts.start_refused;
    restart::add_claim(work.place, &inside, &work.plan.leaf, already, &mut proof).await;
    inside.close().await;
    Ok(proof)
}

/// Writes one file of the plan of that id, and counts it.
pub(crate) async fn put(place: &mut Place, reached: &Cell<usize>, id: &str, write: &Write) -> Result<()> {
    // Somebody may have been faster since the plan was made.
    let now = place.digest_of(&write.path).await?;
    let planned = write.before.as_ref().map(|was| was.digest.clone());
    if now != planned {
        return Err(changed_meanwhile(&write.path));
    }
    reached.set(reached.get() + 1);
    if write.secret && planned.is_some() {
        let old = place.hands.read(&write.path, 1 << 20).await?;
        place.put_beside(&write.path, &previous(&write.path, id), 0o600, &old).await?;
    }
    place.put(&write.path, write.mode, &write.bytes).await
}

/// Somebody was faster since the plan was made.
pub(crate) fn changed_meanwhile(path: &Path) -> Failure {
    Failure::new(format!(
        "{} was changed while pgseal worked on it, and was not written over",
        path.display()
    ))
}

/// Rows of pg_file_settings and pg_hba_file_rules that complain. Both read the files as they are now.
pub(crate) async fn errors(session: &Session) -> Result<Vec<String>> {
    const ERRORS: &str = "SELECT coalesce(sourcefile, '') || ' line ' || coalesce(sourceline::text, '?') || ' ' || \
         coalesce(name, '') || ': ' || error FROM pg_file_settings WHERE error IS NOT NULL AND NOT coalesce(applied, false) \
         UNION ALL SELECT 'pg_hba.conf line ' || coalesce(line_number::text, '?') || ': ' || coalesce(error, 'no rule') \
         FROM pg_hba_file_rules WHERE error IS NOT NULL OR type IS NULL ORDER BY 1";
    let rows = rows_of(session, ERRORS, &[]).await;
    let rows = rows.map_err(|why| Failure::new(format!("could not read pg_file_settings: {why}")))?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

pub(crate) async fn nothing_new_is_wrong(session: &Session, before: &[String]) -> Result<()> {
    let new: Vec<String> = errors(session).await?.into_iter().filter(|line| !before.contains(line)).collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(Failure::new("PostgreSQL would refuse what was written").because_all(new))
}

/// SIGHUP, and a wait until the server has read its files: the postmaster reloads all of them before it
/// takes another connection, and its children are told first (postmaster.c, process_pm_reload_request).
pub(crate) async fn reload_and_wait(place: &mut Place, held: &Session) -> Result<()> {
    const LOADED: &str = "SELECT pg_conf_load_time()::text";
    let ask = |session| text_of(session, LOADED, &[]);
    let before = ask(held).await.map_err(|why| lost(&why))?;
    place.reload().await?;
    let deadline = Instant::now() + LOADED_WITHIN;
    while ask(held).await.map_err(|why| lost(&why))? == before {
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "the server did not read its configuration again within {} s of SIGHUP",
                LOADED_WITHIN.as_secs()
            )));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
    Ok(())
}

fn lost(why: &str) -> Failure {
    Failure::new(format!("the session that was opened before the change was lost: {why}"))
}

/// A new login from inside, then every claim; one that was promised and does not hold is an error.
async fn proved(work: &mut Work<'_>, stage: &Stage, log: &Mark, before: Option<&Edges>) -> Result<Proof> {
    let mut proof = look_again(work).await?;
    if stage.kind == StageKind::Tls && serves_what_it_served(work) {
        proof.add(taken_up(work, log, before).await);
    }
    let for_rules = work.plan.enforce || work.plan.clients.is_some();
    let kind = if for_rules && stage.kind == StageKind::Tls && !work.plan.has(StageKind::Rules) {
        StageKind::Rules
    } else {
        stage.kind
    };
    let counts = |claim: &Claim| {
        promised(claim.name, work.plan, kind, work.who, work.excepted)
            || (claim.name == ClaimName::SettingsTakenUp
                && (claim.holds == Some(false) || changes_tls(work.facts, work.plan)))
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

/// Then nothing on the wire tells whether the server followed its settings: one that could not goes on as it
/// was, and SHOW tells what the files say.
fn serves_what_it_served(work: &Work<'_>) -> bool {
    work.facts.view.certificate == Some(work.plan.leaf.fingerprint().to_string())
}

/// Whether a setting of TLS is to hold that did not hold before.
fn changes_tls(facts: &Facts, plan: &Plan) -> bool {
    let mut of_tls = plan.wished.iter().filter(|wish| wish.name.starts_with("ssl"));
    of_tls.any(|wish| !satisfies(wish, facts.setting(wish.name)))
}

async fn taken_up(work: &mut Work<'_>, log: &Mark, before: Option<&Edges>) -> Claim {
    let name = ClaimName::SettingsTakenUp;
    match log.taken_up(work.place, work.held).await {
        Ok(Ok(())) => Claim::holds(name, "the server's log tells of the reload, and of nothing amiss"),
        Ok(Err(line)) => Claim::fails(name, line, "it goes on with the TLS that it had"),
        Err(why) => {
            // All of the TLS settings are taken up, or none (be-secure-openssl.c, be_tls_init).
            let now = edges_now(work).await;
            match before.zip(now.as_ref()).and_then(|(before, now)| now.unlike(before)) {
                Some(edge) => Claim::holds(name, format!("{edge} fares on the wire as it did not before")),
                None => Claim::cannot_tell(
                    name,
                    format!("nothing on the wire differs from before, and the log does not tell: {why}"),
                ),
            }
        }
    }
}

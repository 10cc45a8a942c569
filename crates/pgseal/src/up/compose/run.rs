//! From what was asked to a proved server in a container, and back again when it cannot be had.

use std::cell::RefCell;

use pgseal_pki::{IssuedCertificate, server_with_key_pem};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::super::database::ensure_database;
use super::super::make::{self, PUBLIC, write};
use super::super::run::{Done, UpState, made_facts, say_progress, sockets};
use super::super::undo::{Undo, clear};
use super::super::wish::Wish;
use super::observe::observe;
use super::plan::{ComposePlan, plan};
use super::ready::{forget_password, wait};
use crate::compose::archive::{self, Entry, Origin};
use crate::compose::client::Compose;
use crate::compose::daemon;
use crate::compose::project::{Project, Service};
use crate::compose::text::{DATA_VOLUME, SERVICE, TLS_VOLUME};
use crate::failure::{Failure, Result};
use crate::folder::client_files;
use crate::folder::layout::Folder;
use crate::folder::lock::Lock;
use crate::folder::settings::{self, Settings};
use crate::interrupt::Shield;
use crate::journal::fresh_id;
use crate::privilege::secret::Secret;
use crate::target::{folder_subject, led_to};
use crate::verify::claim::Proof;
use crate::verify::prove;

/// How compose is told to make networks, volumes and the container, and no more.
pub(super) const MAKE: [&str; 3] = ["up", "--no-start", "--no-build"];

/// Makes the project, fills its volume before the first start, starts and proves it.
pub(crate) async fn create(
    folder: &Folder,
    folder_is_there: bool,
    wish: &Wish,
    shield: &Shield,
    undo: &RefCell<Option<Undo>>,
) -> Result<Done> {
    let facts = observe(wish, folder, folder_is_there, true).await?;
    let now = OffsetDateTime::now_utc();
    let plan = plan(&facts, wish, now, &fresh_id()?)?;
    let password = wish.password.clone().map_or_else(Secret::generate, Ok)?;
    client_files::pgpass_text(&plan.settings, &password)?;
    let lock = make::claim(folder, folder_is_there)?;
    *undo.borrow_mut() = Some(Undo::new(folder.clone(), None, !folder_is_there, lock));
    if folder_is_there {
        clear(folder, None).await?;
    }
    make::begin(folder)?;
    say_progress(&format!("making a server in {}", folder.root().display()));
    let issued = files(folder, &plan, wish, &password)?;
    let compose = plan.settings.compose.as_ref().ok_or_else(|| Failure::new("a plan without a project"))?;
    let project = Project::named(&facts.docker, &compose.project);
    // What is cut off while docker makes something may be made all the same.
    let held = shield.hold();
    let service = make_container(&facts.compose, folder, &project).await?;
    drop(held);
    let stream = stream(&plan, &issued, &password, now)?;
    project.unpack(&service.id, &stream).await?;
    drop(stream);
    make::finish(folder)?;
    project.start(&service.id).await?;
    let subject = folder_subject(folder, &plan.settings);
    let (subject, _tunnel) = led_to(subject, &facts.docker, &service.id).await?;
    let service = wait(&project, &service.id, 0, &subject).await?;
    forget_password(&project, &service, compose, &subject).await?;
    ensure_database(&subject).await?;
    let proof = prove(&subject, OffsetDateTime::now_utc()).await;
    if let Some(undo) = undo.borrow_mut().as_mut() {
        undo.keep();
    }
    let stopped = !proof.as_ref().is_ok_and(Proof::complete);
    if stopped {
        project.stop(&service.id).await?;
    }
    let proof = proof.map_err(|failure| {
        failure.because(format!(
            "container {} was stopped; everything is kept for study: docker logs {}",
            service.name, service.name
        ))
    })?;
    let started = started(&plan.settings, &service);
    Ok(Done {
        folder: folder.clone(),
        facts: made_facts(folder, &plan.settings, &plan.certificates, started),
        warnings: Vec::new(),
        settings: plan.settings,
        state: if stopped { UpState::Stopped } else { UpState::Created },
        pid: None,
        container: Some(service.name),
        proof,
    })
}

/// What lies in the folder: all of it before docker is asked for anything.
fn files(folder: &Folder, plan: &ComposePlan, wish: &Wish, password: &Secret) -> Result<IssuedCertificate> {
    for (path, text) in plan.in_the_folder(folder)? {
        write(&path, PUBLIC, text.as_bytes())?;
    }
    make::own_folders(folder)?;
    let issued = make::certificates(folder, &plan.certificates, wish.authority_passphrase.as_ref())?;
    make::client(folder, &plan.settings, password)?;
    Ok(issued)
}

/// What lies in the volume before the first start.
fn stream(
    plan: &ComposePlan,
    issued: &IssuedCertificate,
    password: &Secret,
    now: OffsetDateTime,
) -> Result<Zeroizing<Vec<u8>>> {
    let password = Zeroizing::new(format!("{}\n", password.reveal()));
    let (key, certificate) = (server_with_key_pem(issued), issued.certificate_pem.as_bytes());
    let entries = plan.in_the_volume(key.as_bytes(), certificate, password.as_bytes());
    let entries =
        entries.map(|(name, mode, bytes)| Entry { name, mode, bytes: Zeroizing::new(bytes.to_vec()) });
    let (uid, gid) = plan.owner();
    archive::folder(TLS_VOLUME, &entries, Origin { uid, gid, time: now.unix_timestamp() })
}

/// The container with its volumes, not started.
async fn make_container(compose: &Compose, folder: &Folder, project: &Project<'_>) -> Result<Service> {
    compose.carry_out(folder.root(), &MAKE).await?;
    project.service(SERVICE).await?.ok_or_else(|| {
        Failure::new(format!("{} {} made no container of the service", compose.words(), compose.version()))
    })
}

/// A folder that is ours already: nothing in it is changed. What an `up` that was cut off left undone is done.
pub(crate) async fn again(folder: &Folder, settings: &Settings, made: &settings::Compose) -> Result<Done> {
    let _lock = Lock::take(folder.root())?;
    let docker = daemon::answering().await?;
    let project = Project::named(&docker, &made.project);
    let service = if let Some(service) = project.service(&made.service).await? {
        service
    } else {
        must_have_volumes(&project, made).await?;
        make_container(&Compose::find(&docker).await?, folder, &project).await?
    };
    let state = match service.status.as_str() {
        "running" => UpState::Running,
        "paused" => {
            return Err(Failure::new(format!("container {} is paused", service.name))
                .hint(format!("docker unpause {}", service.name)));
        }
        _ => {
            project.start(&service.id).await?;
            UpState::Started
        }
    };
    let subject = folder_subject(folder, settings);
    let (subject, _tunnel) = led_to(subject, &docker, &service.id).await?;
    let service = wait(&project, &service.id, service.restarts, &subject).await?;
    forget_password(&project, &service, made, &subject).await?;
    // A login that fails here is what the proof will say, with all its evidence.
    let _ = ensure_database(&subject).await;
    let proof = prove(&subject, OffsetDateTime::now_utc()).await?;
    let word = if state == UpState::Running { "was running" } else { "started" };
    Ok(Done {
        folder: folder.clone(),
        facts: vec![(word, started(settings, &service))],
        warnings: Vec::new(),
        state,
        pid: None,
        container: Some(service.name),
        settings: settings.clone(),
        proof,
    })
}

/// Compose would make new and empty ones in the place of those that are gone.
async fn must_have_volumes(project: &Project<'_>, made: &settings::Compose) -> Result<()> {
    for volume in [DATA_VOLUME, TLS_VOLUME] {
        if project.volume(volume).await?.is_none() {
            let name = format!("{}_{volume}", made.project);
            return Err(Failure::new(format!("the volume {name} is not there"))
                .because(format!("the folder's server was made on the docker at {}", made.docker))
                .because("an empty volume in its place would be another database; nothing was made")
                .hint(
                    "put it back, lead docker's client to that daemon, or pgseal down --remove and pgseal up",
                ));
        }
    }
    Ok(())
}

fn started(settings: &Settings, service: &Service) -> String {
    format!("{}, container {}", sockets(settings), service.name)
}

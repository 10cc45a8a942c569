//! From what was asked to a proved server, and back again when it cannot be had.

use std::cell::RefCell;

use time::OffsetDateTime;

use super::database::ensure_database;
use super::observe::observe;
use super::plan::{CertificatePlan, plan};
use super::undo::{Undo, Undone, clear};
use super::wish::{Engine, Wish};
use super::{compose, make};
use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::folder::control;
use crate::folder::layout::Folder;
use crate::folder::lock::Lock;
use crate::folder::settings::Settings;
use crate::folder::state::{self, State};
use crate::folder::{authority, client_files, configuration};
use crate::interrupt::{Shield, interruptible};
use crate::privilege::secret::Secret;
use crate::privilege::trusted;
use crate::privilege::user::{running_as_root, server_user};
use crate::report::stderr::say;
use crate::target::folder_subject;
use crate::verify::claim::Proof;
use crate::verify::prove;

/// What became of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpState {
    Created,
    Started,
    Running,
    /// A first proof that failed: stopped, and kept for study.
    Stopped,
}

impl UpState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }

    pub(crate) const fn runs(self) -> bool {
        !matches!(self, Self::Stopped)
    }
}

#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) folder: Folder,
    pub(crate) settings: Settings,
    pub(crate) state: UpState,
    pub(crate) pid: Option<i32>,
    /// Its name, where the server runs in one.
    pub(crate) container: Option<String>,
    /// What was made or found, title and text.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) warnings: Vec<String>,
    pub(crate) proof: Proof,
}

/// `pgseal up`: makes what is absent, starts what is stopped, proves what runs.
pub(crate) async fn up(folder: &Folder, wish: &Wish) -> Result<Done> {
    let shield = Shield::default();
    let undo = RefCell::new(None);
    let work = async {
        let folder_is_there = match state::observe(folder)? {
            State::Made(settings) => {
                differs(folder, &settings, wish)?;
                return match &settings.compose {
                    Some(made) => compose::run::again(folder, &settings, made).await,
                    None => again(folder, *settings, &shield).await,
                };
            }
            State::Absent => false,
            State::Empty | State::Unfinished => true,
        };
        match engine(wish)? {
            Engine::Native => create(folder, folder_is_there, wish, &shield, &undo).await,
            Engine::Compose => compose::run::create(folder, folder_is_there, wish, &shield, &undo).await,
        }
    };
    let outcome = interruptible(&shield, work).await;
    let undo = undo.borrow_mut().take();
    match (outcome, undo) {
        (Err(failure), Some(undo)) => {
            // Looked at before what fills it is removed.
            let failure = with_a_full_disk(failure, folder);
            Err(undone(failure, folder, undo.run().await))
        }
        (outcome, _) => outcome,
    }
}

/// A server that runs full does not always say so ("could not write init file").
fn with_a_full_disk(failure: Failure, folder: &Folder) -> Failure {
    const LITTLE: u64 = 1 << 20;
    match rustix::fs::statvfs(folder.root()) {
        Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < LITTLE => failure
            .because(format!("the disk is full: less than 1 MiB is left for {}", folder.root().display())),
        _ => failure,
    }
}

fn undone(failure: Failure, folder: &Folder, undone: Undone) -> Failure {
    let root = folder.root().display();
    match undone {
        Undone::Nothing => failure,
        Undone::Removed => failure.because(format!("what had been made of {root} was removed again")),
        Undone::Left(why) => failure
            .because(format!("what had been made of {root} could not all be removed: {why}"))
            .because("the next pgseal up there starts anew"),
    }
}

async fn create(
    folder: &Folder,
    folder_is_there: bool,
    wish: &Wish,
    shield: &Shield,
    undo: &RefCell<Option<Undo>>,
) -> Result<Done> {
    let user = server_user(wish.run_as.as_deref())?;
    let mut delegate = Delegate::start(&user).await?;
    let facts = observe(wish, folder, folder_is_there, &mut delegate).await?;
    let now = OffsetDateTime::now_utc();
    let plan = plan(&facts, wish, now)?;
    let password = wish.password.clone().map_or_else(Secret::generate, Ok)?;
    client_files::pgpass_text(&plan.settings, &password)?;
    let lock = make::claim(folder, folder_is_there)?;
    *undo.borrow_mut() = Some(Undo::new(folder.clone(), Some(user.clone()), !folder_is_there, lock));
    if folder_is_there {
        clear(folder, Some(&user)).await?;
    }
    make::begin(folder)?;
    say_progress(&format!("making a server in {}", folder.root().display()));
    make::make(&facts, &plan, wish, &password, &mut delegate).await?;
    let held = shield.hold();
    make::finish(folder)?;
    let pid = control::start(folder, &facts.binaries.postgres, &mut delegate).await?;
    drop(held);
    let subject = folder_subject(folder, &plan.settings);
    ensure_database(&subject).await?;
    let proof = prove(&subject, OffsetDateTime::now_utc()).await;
    if let Some(undo) = undo.borrow_mut().as_mut() {
        undo.keep();
    }
    let stopped = !proof.as_ref().is_ok_and(Proof::complete);
    if stopped {
        control::stop(folder, &mut delegate).await?;
    }
    let proof = proof.map_err(|failure| {
        failure.because(format!(
            "the server was stopped; everything is kept in {} for study",
            folder.root().display()
        ))
    })?;
    Ok(Done {
        folder: folder.clone(),
        facts: made_facts(folder, &plan.settings, &plan.certificates, listening(&plan.settings, pid)),
        warnings: warnings(folder, wish),
        settings: plan.settings,
        state: if stopped { UpState::Stopped } else { UpState::Created },
        pid: (!stopped).then_some(pid),
        container: None,
        proof,
    })
}

/// The engine for a new server.
pub(super) fn engine(wish: &Wish) -> Result<Engine> {
    match wish.engine.unwrap_or(Engine::Native) {
        Engine::Native if wish.image.is_some() || wish.container_name.is_some() => {
            Err(Failure::usage("--image and --container-name go with --engine compose")
                .hint("pgseal up --engine compose …"))
        }
        engine => Ok(engine),
    }
}

/// A server that was made otherwise is not changed behind its users' backs.
pub(super) fn differs(folder: &Folder, settings: &Settings, wish: &Wish) -> Result<()> {
    let differences = wish.differs_from(settings);
    if differences.is_empty() {
        return authority::check(folder);
    }
    Err(Failure::usage(format!("{} holds a server that was made otherwise", folder.root().display()))
        .because_all(differences)
        .hint("leave those options out, or name another folder"))
}

/// A folder that is ours already: nothing in it is changed.
async fn again(folder: &Folder, settings: Settings, shield: &Shield) -> Result<Done> {
    let user = server_user(Some(&settings.server.run_as))?;
    let mut delegate = Delegate::start(&user).await?;
    let _lock = Lock::take(folder.root())?;
    let (state, pid) = if let Some(server) = control::find_ready(folder, &settings, &mut delegate).await? {
        (UpState::Running, server.pid)
    } else {
        let held = shield.hold();
        let postgres = trusted::program(&settings.server.bindir.join("postgres"))?;
        let pid = control::start(folder, &postgres, &mut delegate).await?;
        drop(held);
        (UpState::Started, pid)
    };
    let subject = folder_subject(folder, &settings);
    // A login that fails here is what the proof will say, with all its evidence.
    let _ = ensure_database(&subject).await;
    let proof = prove(&subject, OffsetDateTime::now_utc()).await?;
    let word = if state == UpState::Running { "was running" } else { "started" };
    Ok(Done {
        folder: folder.clone(),
        facts: vec![(word, listening(&settings, pid))],
        warnings: Vec::new(),
        state,
        pid: Some(pid),
        container: None,
        settings,
        proof,
    })
}

pub(super) fn made_facts(
    folder: &Folder,
    settings: &Settings,
    certificates: &CertificatePlan,
    started: String,
) -> Vec<(&'static str, String)> {
    let key = &settings.certificate.key_type;
    let ca = folder.authority_certificate();
    let names = settings.certificate.names.join(", ");
    let (authority_until, leaf_until) = (certificates.authority.not_after, certificates.leaf.not_after);
    vec![
        ("server CA", format!("{key}, until {}, {}", authority_until.date(), ca.display())),
        ("certificate", format!("{names}; until {} ({})", leaf_until.date(), settings.certificate.validity)),
        ("started", started),
    ]
}

fn listening(settings: &Settings, pid: i32) -> String {
    format!("{}, pid {pid}", sockets(settings))
}

/// Where clients reach it.
pub(super) fn sockets(settings: &Settings) -> String {
    let port = settings.server.port;
    let places: Vec<String> =
        settings.server.listen.iter().map(|ip| std::net::SocketAddr::new(*ip, port).to_string()).collect();
    places.join(", ")
}

fn warnings(folder: &Folder, wish: &Wish) -> Vec<String> {
    let mut warnings = Vec::new();
    if !running_as_root() && wish.authority_passphrase.is_none() {
        warnings.push(
            "the CA key belongs to the user who runs the server: any SQL superuser could read it \
             (--ca-passphrase-file encrypts it, or run pgseal as root)"
                .to_owned(),
        );
    }
    if configuration::socket_folder(folder).is_none() {
        warnings.push("the folder's path is too long for a Unix socket, so the server has none".to_owned());
    }
    warnings
}

pub(super) fn say_progress(text: &str) {
    use std::io::IsTerminal as _;
    if std::io::stderr().is_terminal() {
        say(&format!("pgseal: {text}"));
    }
}

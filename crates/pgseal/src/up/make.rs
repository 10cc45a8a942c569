//! The plan carried out, byte by byte: the folder, the authority, initdb, the configuration. Nothing
//! here starts a server; when it returns, one can be started that speaks only TLS.

use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use pgseal_conf::block::{self, Block, Place};
use pgseal_pki::{CertificateAuthority, IssuedCertificate as Issued, server_with_key_pem};

use super::observe::UpFacts;
use super::plan::{CertificatePlan, UpPlan};
use super::wish::Wish;
use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::folder::lock::Lock;
use crate::folder::settings::Settings;
use crate::folder::state::{self, State};
use crate::folder::{client_files, configuration};
use crate::privilege::files;
use crate::privilege::secret::Secret;
use crate::server::said::last_lines;

/// postgresql.conf as initdb writes it is 30 kB.
const CONFIGURATION_LIMIT: u64 = 1 << 20;
/// What stands above the lines of ours in postgresql.conf.
pub(super) const NOTE: &str =
    "TLS only. Made by pgseal up; the last setting of a name wins, so keep this at the end.";
pub(super) const SECRET: u32 = 0o600;
pub(super) const PUBLIC: u32 = 0o644;
const PRIVATE_FOLDER: u32 = 0o700;
const OPEN_FOLDER: u32 = 0o755;
/// The folder itself: everybody may pass through to `client/`, and nobody else may open it, since whoever can
/// open it can hold its lock.
const PASSABLE_FOLDER: u32 = 0o711;

/// Makes everything up to the first start.
pub(crate) async fn make(
    facts: &UpFacts,
    plan: &UpPlan,
    wish: &Wish,
    password: &Secret,
    delegate: &mut Delegate,
) -> Result<()> {
    let folder = &facts.folder;
    folders(facts)?;
    write(&folder.settings(), PUBLIC, plan.settings.to_text()?.as_bytes())?;
    for ignore in [".gitignore", ".dockerignore"] {
        write(&folder.root().join(ignore), PUBLIC, b"*\n")?;
    }
    let issued = certificates(folder, &plan.certificates, wish.authority_passphrase.as_ref())?;
    delegate.create(&folder.pem(), SECRET, server_with_key_pem(&issued).as_bytes()).await?;
    delegate.create(&folder.public_certificate(), PUBLIC, issued.certificate_pem.as_bytes()).await?;
    client(folder, &plan.settings, password)?;
    initdb(facts, plan, password, delegate).await?;
    configure(folder, plan, delegate).await
}

/// Makes the folder where there was none, and takes its lock before anything lies in it: of two `up`s
/// that begin at once, the one that comes second changes nothing.
pub(crate) fn claim(folder: &Folder, folder_is_there: bool) -> Result<Lock> {
    let root = folder.root();
    let came_first = || {
        Failure::new(format!("another pgseal command works on {}", root.display()))
            .because("it was not there a moment ago")
            .hint("wait until that command has ended, then again")
    };
    if !folder_is_there {
        files::make_folder(root, PASSABLE_FOLDER).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => came_first(),
            _ => Failure::io("make the folder", root, &error),
        })?;
    }
    let lock = Lock::take(root)?;
    match state::observe(folder)? {
        State::Empty | State::Unfinished => Ok(lock),
        State::Absent | State::Made(_) => Err(came_first()),
    }
}

/// Marks the folder as unfinished: the first byte in it.
pub(crate) fn begin(folder: &Folder) -> Result<()> {
    write(&folder.unfinished(), PUBLIC, state::UNFINISHED)
}

/// The last thing before the first start. On disk before that: a mark that came back after a power
/// failure would have the next `up` start anew over somebody's data.
pub(crate) fn finish(folder: &Folder) -> Result<()> {
    let mark = folder.unfinished();
    files::remove(&mark).map_err(|error| Failure::io("remove", &mark, &error))
}

pub(super) fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    files::create(path, mode, bytes).map_err(|error| Failure::io("write", path, &error))
}

/// The CA's folder, and the clients'.
pub(super) fn own_folders(folder: &Folder) -> Result<()> {
    make_folder(&folder.authority(), PRIVATE_FOLDER)?;
    make_folder(&folder.client(), OPEN_FOLDER)
}

fn make_folder(path: &Path, mode: u32) -> Result<()> {
    files::make_folder(path, mode).map_err(|error| Failure::io("make the folder", path, &error))
}

fn folders(facts: &UpFacts) -> Result<()> {
    let folder = &facts.folder;
    own_folders(folder)?;
    for path in folder.of_the_server() {
        make_folder(&path, PRIVATE_FOLDER)?;
        give(&path, facts)
            .map_err(|error| Failure::io(&format!("give user {}", facts.server_user.name), &path, &error))?;
    }
    Ok(())
}

/// Changes the owner of a folder that nobody else could have put there: its parent is ours.
fn give(path: &Path, facts: &UpFacts) -> io::Result<()> {
    let open = files::open_folder(path)?;
    if open.metadata()?.uid() == facts.server_user.uid {
        return Ok(());
    }
    fchown(&open, Some(facts.server_user.uid), Some(facts.server_user.gid))
}

/// Makes the CA and signs the certificate; the CA's folder and the clients' have theirs when this returns.
pub(super) fn certificates(
    folder: &Folder,
    plan: &CertificatePlan,
    passphrase: Option<&Secret>,
) -> Result<Issued> {
    let cannot =
        |error: &dyn std::fmt::Display| Failure::new(format!("could not make the certificates: {error}"));
    let authority = CertificateAuthority::create(&plan.authority).map_err(|error| cannot(&error))?;
    let issued = authority.issue_server(&plan.leaf).map_err(|error| cannot(&error))?;
    let key = folder.authority_key();
    match passphrase {
        None => write(&key, SECRET, authority.key_pem().as_str().as_bytes())?,
        Some(passphrase) => {
            let encrypted = authority
                .encrypted_key_pem(passphrase.reveal().as_bytes())
                .map_err(|error| cannot(&error))?;
            write(&key, SECRET, encrypted.as_bytes())?;
        }
    }
    write(&folder.authority_certificate(), PUBLIC, authority.certificate_pem().as_bytes())?;
    write(&folder.issued(), PUBLIC, issued.certificate_pem.as_bytes())?;
    write(&folder.client_ca(), PUBLIC, authority.certificate_pem().as_bytes())?;
    Ok(issued)
}

/// What clients are handed.
pub(super) fn client(folder: &Folder, settings: &Settings, password: &Secret) -> Result<()> {
    let pgpass = client_files::pgpass_text(settings, password)?;
    write(&folder.passfile(), SECRET, pgpass.as_bytes())?;
    write(&folder.service_file(), PUBLIC, client_files::service_text(folder, settings)?.as_bytes())?;
    write(&folder.connection_text(), PUBLIC, client_files::connection_text(folder, settings)?.as_bytes())
}

pub(super) fn initdb_arguments(data: &Path, settings: &Settings) -> [String; 7] {
    [
        "--pgdata".to_owned(),
        data.display().to_string(),
        format!("--username={}", settings.server.username),
        // The password comes over a pipe that the delegate itself made.
        "--pwfile=/dev/stdin".to_owned(),
        "--encoding=UTF8".to_owned(),
        "--auth-host=scram-sha-256".to_owned(),
        "--auth-local=scram-sha-256".to_owned(),
    ]
}

async fn initdb(facts: &UpFacts, plan: &UpPlan, password: &Secret, delegate: &mut Delegate) -> Result<()> {
    let data = facts.folder.data();
    let request = Request::Run {
        program: facts.binaries.initdb.clone(),
        arguments: initdb_arguments(&data, &plan.settings).to_vec(),
        folder: data.clone(),
    };
    let line = zeroize::Zeroizing::new(format!("{}\n", password.reveal()));
    match delegate.ask(&request, line.as_bytes()).await? {
        (Reply::Ran { success: true, .. }, _) => Ok(()),
        (Reply::Ran { ending, .. }, said) => {
            Err(Failure::new(format!("{} {ending} on {}", facts.binaries.initdb.display(), data.display()))
                .because_all(last_lines(&said, 6))
                .hint(if mentions_the_locale(&said) {
                    "a locale that this machine has: LC_ALL=C.UTF-8 pgseal up"
                } else {
                    "mend what initdb says, then again: pgseal up"
                }))
        }
        (other, _) => Err(delegate.unexpected("run initdb on", &data, &other)),
    }
}

/// initdb takes the locale from LANG and LC_*; its complaint stays with the English word or names them.
fn mentions_the_locale(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    said.contains("locale") || said.contains("LC_")
}

/// The three files that decide how the server listens, each by one rename.
async fn configure(folder: &Folder, plan: &UpPlan, delegate: &mut Delegate) -> Result<()> {
    let data = folder.data();
    let main = data.join("postgresql.conf");
    let before = delegate.read(&main, CONFIGURATION_LIMIT).await?;
    let lines = configuration::settings_lines(folder, &plan.settings);
    let after = Block::new(&plan.change, NOTE, lines)
        .and_then(|block| block::insert(&before, Place::End, &block))
        .map_err(|error| {
            Failure::new(format!("could not add the settings to {}: {error}", main.display()))
        })?;
    delegate.replace(&main, SECRET, &after).await?;
    let hba = configuration::hba_text(&plan.settings);
    delegate.replace(&data.join("pg_hba.conf"), SECRET, hba.as_bytes()).await?;
    let admins: Vec<&str> = plan.local_admins.iter().map(String::as_str).collect();
    let ident = configuration::ident_text(&plan.settings, &admins);
    delegate.replace(&data.join("pg_ident.conf"), SECRET, ident.as_bytes()).await
}

//! What `up` has made so far, so that it can be unmade. Registered before it is made.

use std::fs;
use std::io;
use std::path::Path;

use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::folder::lock::Lock;
use crate::folder::state;
use crate::privilege::files::{self, Kind};
use crate::privilege::user::{SystemUser, effective_uid, server_user};
use crate::server::process::StopOutcome;

/// Until [`Undo::keep`] is called, [`Undo::run`] takes everything away again.
///
/// It holds the folder's lock to its end, so that nobody begins anew in what it takes away.
pub(crate) struct Undo {
    folder: Folder,
    /// Who runs a server on this machine.
    user: Option<SystemUser>,
    folder_is_new: bool,
    kept: bool,
    _lock: Lock,
}

/// A fast shutdown of a server that nobody has used yet, and the death of a killed initdb.
const PATIENCE_SECONDS: u64 = 60;

/// How it went, for the sentence that tells the person.
pub(crate) enum Undone {
    /// There was nothing to take away.
    Nothing,
    Removed,
    /// Something could not be removed; the folder is left as it is, marked unfinished where possible.
    Left(String),
}

impl Undo {
    pub(crate) const fn new(
        folder: Folder,
        user: Option<SystemUser>,
        folder_is_new: bool,
        lock: Lock,
    ) -> Self {
        Self { folder, user, folder_is_new, kept: false, _lock: lock }
    }

    /// From here on the folder stays, whatever happens.
    pub(crate) const fn keep(&mut self) {
        self.kept = true;
    }

    /// Stops the server if it got that far, then removes what was made.
    pub(crate) async fn run(self) -> Undone {
        if self.kept {
            return Undone::Nothing;
        }
        match self.remove().await {
            Ok(()) => Undone::Removed,
            Err(failure) => Undone::Left(failure.sentence().to_owned()),
        }
    }

    async fn remove(&self) -> Result<()> {
        clear(&self.folder, self.user.as_ref()).await?;
        if self.folder_is_new {
            remove_one(self.folder.root(), |path| fs::remove_dir(path))?;
        }
        Ok(())
    }
}

/// Empties a folder: one that never held data, or one that is to be deleted. `user` runs a server on this
/// machine; `None` where none was ever meant to.
pub(crate) async fn clear(folder: &Folder, user: Option<&SystemUser>) -> Result<()> {
    // Cut off from here on, it must never be started again on half of its data. Where the disk is too full
    // for the mark, removing makes room.
    let _ = files::create(&folder.unfinished(), 0o644, state::UNFINISHED);
    super::compose::undo::remove_project(folder).await?;
    server_folders(folder, user).await?;
    for path in [folder.authority(), folder.client()] {
        remove_one(&path, |path| fs::remove_dir_all(path))?;
    }
    for path in [
        folder.root().join(".gitignore"),
        folder.root().join(".dockerignore"),
        folder.env_file(),
        folder.compose_file(),
        folder.settings(),
        // The mark goes last: until then the next `up` knows what it looks at.
        folder.unfinished(),
    ] {
        remove_one(&path, |path| fs::remove_file(path))?;
    }
    Ok(())
}

/// Removes the folders of a server on this machine, where there are any.
async fn server_folders(folder: &Folder, user: Option<&SystemUser>) -> Result<()> {
    if folder.of_the_server().iter().all(|path| files::status(path).is_ok_and(|found| found.is_none())) {
        return Ok(());
    }
    // A cut-off `up` may have been told another user to run as.
    let owner = match (files::status(&folder.data()), user) {
        (Ok(Some(found)), user)
            if found.uid != effective_uid() && user.is_none_or(|user| user.uid != found.uid) =>
        {
            SystemUser::with_uid(found.uid)?
        }
        (_, Some(user)) => user.clone(),
        (_, None) => server_user(None)?,
    };
    let mut delegate = Delegate::start(&owner).await?;
    for path in folder.of_the_server() {
        match files::status(&path) {
            Ok(Some(found)) if found.kind != Kind::Directory => continue,
            // Cut off before it was given away, it is still empty.
            Ok(Some(found)) if found.uid != owner.uid => {}
            Ok(Some(_)) => {
                if path == folder.data() {
                    stop_quietly(&path, &mut delegate).await?;
                }
                delegate.empty(&path).await?;
            }
            _ => continue,
        }
        remove_one(&path, |path| fs::remove_dir(path))?;
    }
    Ok(())
}

/// Stops the server if there is one, and waits for what a cut-off `up` left at work.
async fn stop_quietly(data: &Path, delegate: &mut Delegate) -> Result<()> {
    let request = Request::StopServer { data: data.to_owned(), seconds: PATIENCE_SECONDS };
    match delegate.ask(&request, &[]).await?.0 {
        // A stranger's number is what a cut-off initdb leaves there: a negative one.
        Reply::Stopped(
            StopOutcome::Stopped { .. } | StopOutcome::NothingRan | StopOutcome::Stranger { .. },
        ) => {}
        Reply::Stopped(StopOutcome::TooLate { pid }) => {
            return Err(Failure::new(format!(
                "the server (pid {pid}) did not stop within {PATIENCE_SECONDS} s"
            )));
        }
        other => return Err(delegate.unexpected("stop the server of", data, &other)),
    }
    let request = Request::WaitUntilLeft { data: data.to_owned(), seconds: PATIENCE_SECONDS };
    match delegate.ask(&request, &[]).await?.0 {
        Reply::AtWork(None) => Ok(()),
        Reply::AtWork(Some(who)) => Err(Failure::new(format!("{who} still works in {}", data.display()))),
        other => Err(delegate.unexpected("look who works in", data, &other)),
    }
}

fn remove_one(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("remove", path, &error)),
        _ => Ok(()),
    }
}

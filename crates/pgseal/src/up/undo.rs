//! What `up` has made so far, so that it can be unmade. Registered before it is made.

use std::fs;
use std::io;
use std::path::Path;

use crate::failure::Result;
use crate::folder::layout::Folder;
use crate::privilege::delegate::Delegate;
use crate::privilege::message::{Reply, Request, StopOutcome};
use crate::privilege::user::SystemUser;

/// Until [`Undo::keep`] is called, [`Undo::run`] takes everything away again.
pub(crate) struct Undo {
    folder: Folder,
    user: SystemUser,
    folder_is_new: bool,
    began: bool,
}

/// How it went, for the sentence that tells the person.
pub(crate) enum Undone {
    /// There was nothing to take away.
    Nothing,
    Removed,
    /// Something could not be removed; the folder is left as it is, marked unfinished where possible.
    Left(String),
}

impl Undo {
    pub(crate) const fn new(folder: Folder, user: SystemUser, folder_is_new: bool) -> Self {
        Self { folder, user, folder_is_new, began: false }
    }

    /// From here on there may be something to take away.
    pub(crate) const fn began(&mut self) {
        self.began = true;
    }

    /// From here on the folder stays, whatever happens.
    pub(crate) const fn keep(&mut self) {
        self.began = false;
    }

    /// Stops the server if it got that far, then removes what was made.
    pub(crate) async fn run(self) -> Undone {
        if !self.began {
            return Undone::Nothing;
        }
        match self.remove().await {
            Ok(()) => Undone::Removed,
            Err(failure) => Undone::Left(failure.sentence().to_owned()),
        }
    }

    async fn remove(&self) -> Result<()> {
        clear(&self.folder, &self.user).await?;
        if self.folder_is_new {
            remove_one(self.folder.root(), |path| fs::remove_dir(path))?;
        }
        Ok(())
    }
}

/// Empties an unfinished folder. Only ever called on one that never held data.
pub(crate) async fn clear(folder: &Folder, user: &SystemUser) -> Result<()> {
    let mut delegate = Delegate::start(user).await?;
    stop_quietly(folder, &mut delegate).await?;
    for path in folder.of_the_server() {
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            delegate.empty(&path).await?;
            remove_one(&path, |path| fs::remove_dir(path))?;
        }
    }
    for path in [folder.authority(), folder.client()] {
        remove_one(&path, |path| fs::remove_dir_all(path))?;
    }
    for path in [
        folder.settings(),
        folder.root().join(".gitignore"),
        folder.root().join(".dockerignore"),
        // The mark goes last: until then the next `up` knows what it looks at.
        folder.unfinished(),
    ] {
        remove_one(&path, |path| fs::remove_file(path))?;
    }
    Ok(())
}

async fn stop_quietly(folder: &Folder, delegate: &mut Delegate) -> Result<()> {
    let data = folder.data();
    if !data.is_dir() {
        return Ok(());
    }
    let request = Request::StopServer { data: data.clone(), seconds: 60 };
    match delegate.ask(&request, &[]).await?.0 {
        Reply::Stopped(StopOutcome::Stopped { .. } | StopOutcome::NothingRan) => Ok(()),
        other => Err(delegate.unexpected("stop the server of", &data, &other)),
    }
}

fn remove_one(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(crate::failure::Failure::io("remove", path, &error))
        }
        _ => Ok(()),
    }
}

//! Files of the server's, written and removed in the right name: the server's user's, or root's where
//! the file and its folder are root's alone.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::container::MOUNTED_ALONE;
use super::{Hands, Place};
use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::journal::digest;
use crate::privilege::files::{self, Kind};
use crate::privilege::trusted;
use crate::privilege::user::{SystemUser, running_as_root};

/// Configuration files; a frame carries 16 MiB.
const LIMIT: u64 = 15 << 20;

impl Place {
    /// Lets root write root's own files in these folders. A server's settings and the links of its user lead anywhere, to
    /// `/etc/environment` as well: that a file is the server's has to be said by somebody else.
    pub(crate) fn written_as_root_in(&mut self, folders: impl IntoIterator<Item = PathBuf>) {
        self.roots.extend(folders);
    }

    fn may_be_written_as_root(&self, folder: &Path) -> bool {
        self.roots.iter().any(|named| folder.starts_with(named))
    }

    /// The digest of what lies at a real path; `None`: nothing does.
    pub(crate) async fn digest_of(&mut self, path: &Path) -> Result<Option<String>> {
        match self.hands.look(path).await? {
            None => Ok(None),
            Some(_) => Ok(Some(digest(&self.hands.read(path, LIMIT).await?))),
        }
    }

    /// The names in a folder; none where there is no such folder.
    pub(crate) async fn names_in(&mut self, folder: &Path) -> Result<Vec<Vec<u8>>> {
        match self.hands.ask(&Request::List { folder: folder.to_owned() }, &[]).await?.0 {
            Reply::Names(names) => Ok(names.into_iter().map(|(name, _)| name).collect()),
            Reply::Failed(why) if why.to_error().kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => Err(self.hands.unexpected("list", folder, &other)),
        }
    }

    /// Puts these bytes at a real path by one rename; owner and group of what was there stay.
    pub(crate) async fn put(&mut self, path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
        if self.is_roots_alone(path).await? {
            return files::replace(path, mode, bytes).map_err(|error| Failure::io("replace", path, &error));
        }
        self.hands.replace(path, mode, bytes).await
    }

    /// Refuses a path at which nothing could be put as things are: said before the first change, and not found out
    /// in the midst of it. A folder that is still to be made was looked at when it was chosen.
    pub(crate) async fn must_take(&mut self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        if self.is_mounted_alone(path) {
            return Err(Failure::new(format!("could not replace {}: {MOUNTED_ALONE}", path.display()))
                .because("a file is replaced by a rename in its folder; nothing was changed")
                .hint("mount the folder that holds it instead of the file, then again"));
        }
        let nothing = |failure: Failure| {
            failure
                .because("a file is replaced by a rename in its folder; nothing was changed")
                .hint(format!("let that user write {}, or mount it read-write, then again", folder.display()))
        };
        if let Hands::Within(container) = &self.hands
            && container.is_read_only(path)
        {
            let why = format!("could not write files in {}: it is mounted read-only", folder.display());
            return Err(nothing(Failure::new(why)));
        }
        if self.is_roots_alone(path).await? {
            return files::may_write(folder)
                .map_err(|error| nothing(Failure::io("write files as root in", folder, &error)));
        }
        if self.hands.look(folder).await?.is_none() {
            return Ok(());
        }
        self.may_give_on(path).await?;
        match self.hands.ask(&Request::MayWrite { path: folder.to_owned() }, &[]).await?.0 {
            Reply::Done => Ok(()),
            other => Err(nothing(self.hands.unexpected("write files in", folder, &other))),
        }
    }

    /// A file is replaced by one of the same owner and group, and only who belongs to a group may give files to it
    /// (chown(2)).
    async fn may_give_on(&mut self, path: &Path) -> Result<()> {
        let Some((real, status)) = self.hands.look(path).await? else { return Ok(()) };
        let user = self.hands.user();
        let theirs = status.uid == user.uid && (status.gid == user.gid || user.groups.contains(&status.gid));
        if user.uid == 0 || theirs {
            return Ok(());
        }
        Err(Failure::new(format!(
            "could not replace {} as it is: its owner and group ({}:{}) are not {}'s to give",
            real.display(),
            status.uid,
            status.gid,
            user.name
        ))
        .because("a file is replaced by one of the same owner and group; nothing was changed")
        .hint(format!(
            "chown {} {}, or make that user a member of the group, then again",
            user.name,
            real.display()
        )))
    }

    /// Puts a new file beside another one, in the name in which that one is written.
    pub(crate) async fn put_beside(
        &mut self,
        other: &Path,
        path: &Path,
        mode: u32,
        bytes: &[u8],
    ) -> Result<()> {
        if self.is_roots_alone(other).await? {
            return files::replace(path, mode, bytes).map_err(|error| Failure::io("write", path, &error));
        }
        self.hands.replace(path, mode, bytes).await
    }

    /// Reads what lies beside another file, in the same name.
    pub(crate) async fn read_beside(&mut self, other: &Path, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        if self.is_roots_alone(other).await? {
            return files::read(path, LIMIT).map_err(|error| Failure::io("read", path, &error));
        }
        self.hands.read(path, LIMIT).await
    }

    /// Removes a file, where there is one, and what an interrupted write left beside it.
    pub(crate) async fn clear_away(&mut self, path: &Path) -> Result<()> {
        self.clear_remains(path).await?;
        if self.hands.look(path).await?.is_none() {
            return Ok(());
        }
        if self.is_roots_alone(path).await? {
            return files::remove(path).map_err(|error| Failure::io("remove", path, &error));
        }
        self.hands.remove(path).await
    }

    /// Removes what an interrupted write left beside a file.
    pub(crate) async fn clear_remains(&mut self, path: &Path) -> Result<()> {
        let remains = files::beside(path).map_err(|error| Failure::io("name", path, &error))?;
        if self.hands.look(&remains).await?.is_none() {
            return Ok(());
        }
        if self.is_roots_alone(path).await? {
            return files::remove(&remains).map_err(|error| Failure::io("remove", &remains, &error));
        }
        self.hands.remove(&remains).await
    }

    /// An empty folder; one that is not empty, or not there, stays as it is.
    pub(crate) async fn remove_folder(&mut self, folder: &Path) -> Result<()> {
        match self.hands.ask(&Request::RemoveFolder { path: folder.to_owned() }, &[]).await?.0 {
            Reply::Done => Ok(()),
            Reply::Failed(why)
                if matches!(
                    why.to_error().kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                Ok(())
            }
            other => Err(self.hands.unexpected("remove the folder", folder, &other)),
        }
    }

    fn is_mounted_alone(&self, path: &Path) -> bool {
        match &self.hands {
            Hands::Within(container) => container.is_mounted_alone(path),
            Hands::Here(_) => false,
        }
    }

    /// Whether a file is root's, in a folder that only root may write, and we are root; for one that is not there
    /// yet the folder decides.
    async fn is_roots_alone(&mut self, path: &Path) -> Result<bool> {
        let found = self.hands.look(path).await?;
        let Some((_, found)) = found.filter(|(_, found)| found.kind == Kind::File) else {
            return self.is_roots_folder(path.parent().unwrap_or(Path::new("/"))).await;
        };
        let user = self.hands.user();
        if found.uid == user.uid {
            return Ok(false);
        }
        if let Hands::Within(_) = &self.hands {
            // Its root is not this machine's, and a path in it means another file here.
            let path = path.display();
            return Err(Failure::new(format!(
                "{path} belongs to uid {} in the container, and the server runs as {}",
                found.uid, user.name
            ))
            .because("whoever writes it would own it afterwards; nothing was changed")
            .hint(format!("docker exec --user 0 CONTAINER chown {} {path}", user.uid)));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let roots = found.uid == 0 && trusted::folder_for_root(folder).is_ok();
        if running_as_root() && roots && self.may_be_written_as_root(folder) {
            return Ok(true);
        }
        let owner = SystemUser::name_of(found.uid);
        let refused = Failure::new(format!(
            "{} belongs to {owner}, and the server runs as {}",
            path.display(),
            user.name
        ));
        let chown = format!("chown {} {}", user.name, path.display());
        if running_as_root() && roots {
            return Err(refused
                .because("the server's settings or a link lead there, and its user may have made them; nothing was changed")
                .hint(format!("{chown}, or, where it is this server's, --write-as-root {}", folder.display())));
        }
        Err(refused
            .because("whoever writes it would own it afterwards; nothing was changed")
            .hint(format!("{chown}, or run pgseal as root where it is root's in root's folder")))
    }

    async fn is_roots_folder(&mut self, folder: &Path) -> Result<bool> {
        let never = !running_as_root() || matches!(self.hands, Hands::Within(_));
        if never || !self.may_be_written_as_root(folder) {
            return Ok(false);
        }
        let found = self.hands.look(folder).await?;
        // A link or a folder of anybody else's is theirs to go through.
        Ok(found.is_some_and(|(real, found)| real == folder && found.uid == 0)
            && trusted::folder_for_root(folder).is_ok())
    }
}

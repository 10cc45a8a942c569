//! What touches a server's files and process in the name of its user: a delegate on this machine, or
//! the shell of a container. Both answer the same requests.

use std::path::{Path, PathBuf};

use pgseal_conf::ByteString;
use pgseal_conf::files::{FileFault, ListedFile};
use zeroize::Zeroizing;

use super::container::Container;
use crate::delegate::Delegate;
use crate::delegate::message::{Reply, Request};
use crate::failure::{Failure, Result};
use crate::hba::doors::{bytes_in, listed, names_in, read_through};
use crate::hba::snapshot::Door;
use crate::privilege::files::Status;
use crate::privilege::user::SystemUser;

pub(crate) enum Hands {
    Here(Box<Delegate>),
    Within(Box<Container>),
}

impl Hands {
    pub(crate) async fn ask(
        &mut self,
        request: &Request,
        payload: &[u8],
    ) -> Result<(Reply, Zeroizing<Vec<u8>>)> {
        match self {
            Self::Here(delegate) => delegate.ask(request, payload).await,
            Self::Within(container) => container.ask(request, payload).await,
        }
    }

    /// The server's user.
    pub(crate) fn user(&self) -> &SystemUser {
        match self {
            Self::Here(delegate) => delegate.user(),
            Self::Within(container) => container.user(),
        }
    }

    /// Where a path leads, links followed, and what lies there.
    pub(crate) async fn look(&mut self, path: &Path) -> Result<Option<(PathBuf, Status)>> {
        match self.ask(&Request::Look { path: path.to_owned() }, &[]).await?.0 {
            Reply::Seen(seen) => Ok(seen),
            other => Err(self.unexpected("look at", path, &other)),
        }
    }

    pub(crate) async fn read(&mut self, path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>> {
        match self.ask(&Request::Read { path: path.to_owned(), limit }, &[]).await? {
            (Reply::Bytes, bytes) => Ok(bytes),
            (other, _) => Err(self.unexpected("read", path, &other)),
        }
    }

    pub(crate) async fn replace(&mut self, path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
        self.do_it("replace", path, &Request::Replace { path: path.to_owned(), mode }, bytes).await
    }

    pub(crate) async fn remove(&mut self, path: &Path) -> Result<()> {
        self.do_it("remove", path, &Request::Remove { path: path.to_owned() }, &[]).await
    }

    pub(crate) async fn make_folder(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.do_it("make the folder", path, &Request::MakeFolder { path: path.to_owned(), mode }, &[]).await
    }

    async fn do_it(&mut self, verb: &str, path: &Path, request: &Request, bytes: &[u8]) -> Result<()> {
        match self.ask(request, bytes).await?.0 {
            Reply::Done => Ok(()),
            other => Err(self.unexpected(verb, path, &other)),
        }
    }

    /// The sentence for an answer that is not the one hoped for.
    pub(crate) fn unexpected(&self, verb: &str, path: &Path, reply: &Reply) -> Failure {
        let user = &self.user().name;
        match reply {
            Reply::Failed(trouble) => Failure::new(format!(
                "could not {verb} {} as user {user}: {}",
                path.display(),
                trouble.to_error()
            )),
            other => Failure::new(format!("could not {verb} {}: the answer was {other:?}", path.display())),
        }
    }
}

impl Door for Hands {
    async fn read(&mut self, path: &ByteString) -> Result<Vec<u8>, FileFault> {
        bytes_in(self.ask(&read_through(path), &[]).await)
    }

    async fn list(&mut self, folder: &ByteString) -> Result<Vec<ListedFile>, FileFault> {
        names_in(self.ask(&listed(folder), &[]).await)
    }
}

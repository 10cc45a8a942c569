//! A session with the server from inside: over its Unix socket, opened in the name of the server's
//! user, after a look at who listens there.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use pgseal_wire::{ChannelBinding, Credentials, Session, on_socket};
use rustix::net::sockopt::socket_peercred;

use super::Place;
use crate::failure::{Failure, Result};
use crate::privilege::secret::Secret;
use crate::server::process::RunningServer;
use crate::sql::APPLICATION;

/// From the first packet to a session.
const LIMIT: Duration = Duration::from_secs(20);

/// Who logs in. Host and port never come from outside: they are the place's own.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) dbname: String,
    pub(crate) password: Option<Secret>,
}

impl Place {
    /// Logs in over the Unix socket of this very server.
    pub(crate) async fn session(&mut self, server: &RunningServer, who: &Login) -> Result<Session> {
        let Some(folder) = &server.socket_folder else {
            return Err(Failure::new(format!(
                "the server of {} has no Unix socket to log in over",
                self.data.display()
            ))
            .hint("a connection string as TARGET"));
        };
        let path = folder.join(format!(".s.PGSQL.{}", server.port));
        let socket = self.socket(&path, server).await?;
        let channel = on_socket(socket, path.clone(), LIMIT)
            .map_err(|error| Failure::io("use the socket", &path, &error))?;
        let credentials = Credentials {
            password: who.password.as_ref().map(|word| zeroize::Zeroizing::new(word.reveal().to_owned())),
            application_name: Some(APPLICATION.to_owned()),
            channel_binding: ChannelBinding::Prefer,
            ..Credentials::new(who.username.clone(), who.dbname.clone())
        };
        channel.login(&credentials).await.map_err(|error| self.refused(&path, who, &error.to_string()))
    }

    /// Anybody may bind a socket in /tmp: the process behind it has to be this server (unix(7), SO_PEERCRED
    /// tells who called listen(2)).
    async fn socket(&mut self, path: &Path, server: &RunningServer) -> Result<UnixStream> {
        let socket = self.delegate.connect(path).await?.map_err(|trouble| {
            Failure::new(format!("could not connect to {}: {}", path.display(), trouble.to_error()))
        })?;
        let peer = socket_peercred(&socket)
            .map_err(|error| Failure::io("ask who listens on", path, &error.into()))?;
        let (pid, uid) = (peer.pid.as_raw_nonzero().get(), peer.uid.as_raw());
        if pid == server.pid && uid == self.delegate.user().uid {
            return Ok(socket);
        }
        Err(Failure::new(format!("{} is not this server's socket", path.display()))
            .because(format!(
                "process {pid} of uid {uid} listens there; the server is process {} of {}",
                server.pid,
                self.delegate.user().name
            ))
            .because("nothing was sent to it"))
    }

    fn refused(&self, path: &Path, who: &Login, why: &str) -> Failure {
        Failure::new(format!("could not log in as {} over {}: {why}", who.username, path.display()))
            .because(format!("the socket was opened as system user {}", self.delegate.user().name))
            .hint("PGUSER and PGPASSWORD (or a password file) of a superuser")
    }
}

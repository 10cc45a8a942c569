//! A session with the server from inside: over its Unix socket, opened in the name of the server's
//! user, after a look at who listens there; over TCP to a container.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{
    Channel, ChannelBinding, ClientCertificate, Credentials, Encryption, Route, Session, on_socket, open,
};
use rustix::net::sockopt::socket_peercred;

use super::{Hands, Place};
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
    /// What is shown over TLS to a server that asks for a certificate.
    pub(crate) certificate: ClientCertificate,
}

impl Place {
    /// Logs in: over the Unix socket of this very server, or to a container over TCP.
    pub(crate) async fn session(&mut self, server: &RunningServer, who: &Login) -> Result<Session> {
        let (channel, way) = match self.reach(server).await {
            Some((address, port)) => over_tcp(address, port, who).await?,
            None => self.over_socket(server).await?,
        };
        channel.login(&credentials(who)).await.map_err(|error| self.refused(&way, who, &error.to_string()))
    }

    async fn over_socket(&mut self, server: &RunningServer) -> Result<(Channel, String)> {
        let Some(folder) = &server.socket_folder else {
            return Err(Failure::new(format!(
                "the server of {} has no Unix socket to log in over",
                self.data.display()
            ))
            .hint("unix_socket_directories = '/run/postgresql', or another folder of the server's user"));
        };
        let path = folder.join(format!(".s.PGSQL.{}", server.port));
        let socket = self.socket(&path, server).await?;
        let way = path.display().to_string();
        let channel = on_socket(socket, path.clone(), LIMIT)
            .map_err(|error| Failure::io("use the socket", &path, &error))?;
        Ok((channel, way))
    }

    /// Anybody may bind a socket in /tmp: the process behind it has to be this server (unix(7), SO_PEERCRED
    /// tells who called listen(2)).
    async fn socket(&mut self, path: &Path, server: &RunningServer) -> Result<UnixStream> {
        let Hands::Here(delegate) = &mut self.hands else {
            return Err(Failure::new(format!("{} lies in a container", path.display())));
        };
        let socket = delegate.connect(path).await?.map_err(|trouble| {
            Failure::new(format!("could not connect to {}: {}", path.display(), trouble.to_error()))
        })?;
        let peer = socket_peercred(&socket)
            .map_err(|error| Failure::io("ask who listens on", path, &error.into()))?;
        let (pid, uid) = (peer.pid.as_raw_nonzero().get(), peer.uid.as_raw());
        if pid == server.pid && uid == self.hands.user().uid {
            return Ok(socket);
        }
        Err(Failure::new(format!("{} is not this server's socket", path.display()))
            .because(format!(
                "process {pid} of uid {uid} listens there; the server is process {} of {}",
                server.pid,
                self.hands.user().name
            ))
            .because("nothing was sent to it"))
    }

    fn refused(&self, way: &str, who: &Login, why: &str) -> Failure {
        let failure = Failure::new(format!("could not log in as {} over {way}: {why}", who.username));
        let failure = match &self.hands {
            Hands::Here(delegate) => {
                failure.because(format!("the socket was opened as system user {}", delegate.user().name))
            }
            Hands::Within(_) => failure,
        };
        // As every language of PostgreSQL's has it where pg_hba.conf refuses (auth.c, ClientAuthentication): no
        // password would help.
        if why.contains("\"[local]\"") {
            return failure.hint(format!(
                "a line for the socket at the top of pg_hba.conf, such as: local all {} peer; then a reload",
                who.username
            ));
        }
        if says_that_the_disk_is_full(why) {
            return failure
                .because(
                    "PostgreSQL says that where no room is left for its files, and no password would help",
                )
                .hint(format!("{}, make room there, then again", self.room_words()));
        }
        failure.hint("PGUSER and PGPASSWORD (or a password file) of a superuser")
    }
}

/// A login writes files, too: the cache of the catalogs (relcache.c, `write_relcache_init_file`, which names no reason),
/// and whatever the disk is too full for by its own code (`disk_full`).
fn says_that_the_disk_is_full(why: &str) -> bool {
    ["(53100)", "could not write init file", "No space left on device"].iter().any(|word| why.contains(word))
}

fn credentials(who: &Login) -> Credentials {
    Credentials {
        password: who.password.as_ref().map(|word| zeroize::Zeroizing::new(word.reveal().to_owned())),
        application_name: Some(APPLICATION.to_owned()),
        channel_binding: ChannelBinding::Prefer,
        ..Credentials::new(who.username.clone(), who.dbname.clone())
    }
}

/// A session with a server that is reached by SQL alone.
pub(crate) async fn careful_session(address: IpAddr, port: u16, who: &Login) -> Result<Session> {
    let (channel, way) = over_tcp(address, port, who).await?;
    channel.login(&credentials(who)).await.map_err(|error| {
        Failure::new(format!("could not log in as {} over {way}: {error}", who.username))
            .hint("user and password in the connection string's own way: PGPASSWORD, a password file")
    })
}

/// With TLS where it is offered. The certificate may be anybody's yet; the password is sent by SCRAM only,
/// which tells nothing of it.
async fn over_tcp(address: IpAddr, port: u16, who: &Login) -> Result<(Channel, String)> {
    let route = Route { host: address.to_string(), hostaddr: Some(address), port, deadline: LIMIT };
    let wish = TlsWish { client: who.certificate.clone(), ..TlsWish::new(Check::None, route.host.clone()) };
    let opened = match open(&route, Encryption::tls(wish)).await {
        Err(error) if error.is_without_tls() => open(&route, Encryption::Plaintext).await,
        outcome => outcome,
    };
    let way = SocketAddr::new(address, port).to_string();
    let channel = opened.map_err(|error| Failure::new(format!("could not connect to {way}: {error}")))?;
    Ok((channel, way))
}

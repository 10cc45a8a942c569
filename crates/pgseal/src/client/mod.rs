//! The libpq client of any TARGET: a connection string's own, or the one that a server on this machine would have.
//!
//! Knows what a server's own files and its folder say to clients; refuses to know what comes of a connection.

pub(crate) mod check;
pub(crate) mod compose;
pub(crate) mod drivers;
pub(crate) mod forms;
pub(crate) mod managed;
mod nearest;
pub(crate) mod served;
mod syntax;
pub(crate) mod trusted;
pub(crate) mod values;
pub(crate) mod warnings;
pub(crate) mod write;

use std::path::Path;

use pgseal_wire::{Roots, SslMode};

use crate::delegate::Delegate;
use crate::failure::{Failure, Result};
use crate::folder::control;
use crate::folder::state;
use crate::privilege::user::server_user;
use crate::secure::examine::seen_by_clients;
use crate::target::{Asked, Client, Given, Said, Target, folder_subject, host_and_port};

/// The client of a connection string, `host[:port]`, a folder, a data directory, a cluster, a container.
pub(crate) async fn client_of(word: &str, said: &Said<'_>) -> Result<Client> {
    if let Some(text) = host_and_port(word) {
        return Client::of_text(&text, said);
    }
    match Target::parse(word)? {
        Target::Connection(text) => Client::of_text(&text, said),
        Target::Folder(path) if path.join("pgseal.toml").symlink_metadata().is_ok() => {
            of_folder(&path, said).await
        }
        _ => of_place(word, said).await,
    }
}

/// A folder made by `pgseal up`, whose server runs.
async fn of_folder(path: &Path, said: &Said<'_>) -> Result<Client> {
    let folder = state::resolve(path)?;
    let settings = state::made(&folder)?;
    let mut delegate = Delegate::start(&server_user(Some(&settings.server.run_as))?).await?;
    if control::find(&folder, &settings, &mut delegate).await?.is_none() {
        return Err(Failure::new(format!("no server runs in {}", folder.root().display()))
            .hint(format!("pgseal up {}", folder.root().display())));
    }
    let subject = folder_subject(&folder, &settings);
    let authority = folder.client_ca().display().to_string();
    let said = Said { sslrootcert: said.sslrootcert.or(Some(&authority)), ..*said };
    let mut client = Client::told(&subject.host, subject.port, &said)?;
    client.log_in_as(&said, &subject.username, &subject.dbname, subject.password);
    // What its clients are handed says so.
    client.set_mode(SslMode::VerifyFull)?;
    Ok(client)
}

/// A data directory, a cluster or a container, looked at from inside.
async fn of_place(word: &str, said: &Said<'_>) -> Result<Client> {
    let mut place = Target::place(word).await?;
    let asked = Asked { username: said.username.map(str::to_owned), dbname: said.dbname.map(str::to_owned) };
    let seen = seen_by_clients(&mut place, &asked).await?;
    let mut client = Client::told(&seen.host, seen.port, said)?;
    if let Some(address) = seen.address.filter(|address| address.to_string() != seen.host) {
        client.pin_to(address)?;
    }
    if let (None, Some(authority)) = (said.sslrootcert, seen.authority) {
        let roots = Roots::from_certificates("the CA beside its certificate", vec![authority]);
        client.given = roots.map_or(Given::Nothing, Given::Known);
    }
    client.log_in_as(said, &seen.who.username, &seen.who.dbname, seen.who.password);
    Ok(client)
}

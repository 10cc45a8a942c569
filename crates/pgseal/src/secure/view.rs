//! What a server shows from outside, without credentials: enough to tell one state from another.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pgseal_pki::Certificate;
use pgseal_wire::message::{Replication, SqlState, StartupParameters};
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{Encryption, FirstAnswer, Route, open};

use crate::journal::View;
use crate::place::Login;
use crate::sql::APPLICATION;

const DEADLINE: Duration = Duration::from_secs(10);

/// One handshake and one startup packet in the clear, neither of which is answered.
pub(crate) async fn look(address: IpAddr, port: u16, who: &Login) -> View {
    look_closely(address, port, who).await.0
}

/// The same, with the chain that was served.
pub(crate) async fn look_closely(address: IpAddr, port: u16, who: &Login) -> (View, Vec<Certificate>) {
    let route = Route { host: address.to_string(), hostaddr: Some(address), port, deadline: DEADLINE };
    let served = chain(&route).await.unwrap_or_default();
    let view = View {
        at: Some(SocketAddr::new(address, port)),
        user: who.username.clone(),
        dbname: who.dbname.clone(),
        certificate: served.first().map(|leaf| leaf.fingerprint().to_string()),
        plaintext: plaintext(&route, who).await,
    };
    (view, served)
}

/// What is served, the leaf first; `None`: no TLS connection could be made.
async fn chain(route: &Route) -> Option<Vec<Certificate>> {
    let encryption = Encryption::tls(TlsWish::new(Check::None, route.host.clone()));
    let channel = open(route, encryption).await.ok()?;
    let served = channel.tls().map(|facts| facts.chain.clone());
    channel.close().await;
    served
}

/// The key exchange group of a handshake in which a hybrid one is offered first.
pub(super) async fn exchanged(address: IpAddr, port: u16) -> Result<String, String> {
    let route = Route { host: address.to_string(), hostaddr: Some(address), port, deadline: DEADLINE };
    let encryption = Encryption::tls(TlsWish::new(Check::None, route.host.clone()));
    let channel = open(&route, encryption).await.map_err(|error| error.to_string())?;
    let group = channel.tls().and_then(|facts| facts.group);
    channel.close().await;
    group.map(|group| group.to_string()).ok_or_else(|| "the handshake named no group".to_owned())
}

async fn plaintext(route: &Route, who: &Login) -> Option<bool> {
    let startup = StartupParameters {
        replication: Replication::No,
        application_name: Some(APPLICATION.to_owned()),
        ..StartupParameters::new(who.username.clone(), who.dbname.clone())
    };
    let channel = open(route, Encryption::Plaintext).await.ok()?;
    match channel.ask(&startup).await.ok()? {
        FirstAnswer::Asked(_) => Some(true),
        FirstAnswer::Refused(error) if error.is(SqlState::INVALID_AUTHORIZATION) => Some(false),
        // Full, starting: that says nothing of pg_hba.conf.
        FirstAnswer::Refused(_) => None,
    }
}

//! What a server shows from outside, without credentials: enough to tell one state from another.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pgseal_wire::message::{Replication, SqlState, StartupParameters};
use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{Encryption, FirstAnswer, Route, open};

use crate::journal::View;
use crate::place::Login;
use crate::sql::APPLICATION;

const DEADLINE: Duration = Duration::from_secs(10);

/// One handshake and one startup packet in the clear, neither of which is answered.
pub(crate) async fn look(address: IpAddr, port: u16, who: &Login) -> View {
    let route = Route { host: address.to_string(), hostaddr: Some(address), port, deadline: DEADLINE };
    View {
        at: Some(SocketAddr::new(address, port)),
        user: who.username.clone(),
        dbname: who.dbname.clone(),
        certificate: certificate(&route).await,
        plaintext: plaintext(&route, who).await,
    }
}

/// The fingerprint of what is served; `None`: no TLS connection could be made.
pub(crate) async fn certificate(route: &Route) -> Option<String> {
    let encryption = Encryption::tls(TlsWish::new(Check::None, route.host.clone()));
    let channel = open(route, encryption).await.ok()?;
    let served = channel.tls().and_then(|facts| facts.leaf()).map(|leaf| leaf.fingerprint().to_string());
    channel.close().await;
    served
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

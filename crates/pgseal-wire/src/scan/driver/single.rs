//! One hello by itself, for whoever knows already what to ask.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::candidates::{groups, schemes, suites};
use super::super::hello::{Offer, Protocol};
use super::super::probe::Answer;
use super::{hello, secure};
use crate::deadline::Deadline;
use crate::route::dial_one;
use crate::socket::Peer;

impl Offer {
    /// Everything that could be agreed on under this version: suites, groups and signature schemes of the tables.
    pub fn everything(protocol: Protocol) -> Self {
        Self {
            protocol,
            suites: suites(protocol),
            groups: groups(protocol),
            schemes: schemes(protocol),
            fallback: false,
        }
    }
}

/// Sends `SSLRequest` and this hello, without SNI, and hears the first flight; no key is ever exchanged. `within` is for
/// all of it. Never fails: what went wrong is the answer, [`Answer::NoSocket`] or [`Answer::Hello`].
pub async fn greet(address: SocketAddr, offer: &Offer, within: Duration) -> Answer {
    let deadline = Deadline::after(within);
    match dial_one(&Peer::Tcp(address), deadline).await {
        Ok(socket) => hello::ask(socket, &offer.encode(None, true, &secure::random()), deadline).await,
        Err(error) => Answer::NoSocket { text: error.to_string(), refused: false },
    }
}

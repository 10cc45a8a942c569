//! One TLS handshake over an open socket, and what it showed.

use std::net::Ipv4Addr;
use std::sync::Arc;

use pgseal_pki::{Certificate, LibpqRules, NameRefusal, libpq_matches};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::binding::{EndPointBinding, NoBinding};
use super::config::{Asked, Prepared};
use super::facts::{ChainVerdict, TlsFacts};
use super::failure::HandshakeFailure;
use super::negotiated::Negotiated;
use super::verifier::Seen;
use super::wish::{Check, TlsWish};
use crate::closing;
use crate::deadline::{Deadline, Step};
use crate::socket::Socket;

pub(crate) type SecureStream = TlsStream<Socket>;

/// What was seen of a server that TLS was not established with.
#[derive(Debug, Clone, Default)]
pub struct Presented {
    /// The certificates that it presented, the leaf first; empty when it came to none.
    pub chain: Vec<Certificate>,
    /// What became of the check of the chain.
    pub verdict: ChainVerdict,
}

impl From<Seen> for Presented {
    fn from(seen: Seen) -> Self {
        Self { chain: seen.chain, verdict: seen.verdict }
    }
}

/// Does the handshake. The chain is judged within it, the name after it, as libpq does.
pub(crate) async fn handshake(
    socket: Socket,
    wish: &TlsWish,
    direct: bool,
    deadline: Deadline,
) -> Result<(SecureStream, TlsFacts), (HandshakeFailure, Presented)> {
    let nothing_seen = |failure| (failure, Presented::default());
    let prepared = Prepared::new(wish, direct).map_err(nothing_seen)?;
    // Without SNI the name is of no use to rustls: names are judged here, below.
    let name =
        wish.sni_name().unwrap_or_else(|| ServerName::from(std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED)));
    let connector = TlsConnector::from(Arc::new(prepared.config));
    let connecting = connector.connect(name, socket).into_fallible();
    let stream = match deadline.wait(Step::Handshake, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, socket))) => {
            let seen = prepared.record.take();
            let failure = HandshakeFailure::of(&error, &seen);
            // Our alert is on its way: a reset must not overtake it.
            closing::politely(socket, deadline).await;
            return Err((failure, seen.into()));
        }
        Err(late) => return Err((late.into(), prepared.record.take().into())),
    };
    let mut facts = facts_of(&stream, prepared.record.take(), &prepared.asked);
    match judge_completed(&facts, wish, direct) {
        Ok(name_verified) => {
            facts.name_verified = name_verified;
            Ok((stream, facts))
        }
        Err(failure) => {
            closing::politely(stream, deadline).await;
            let presented = Presented { chain: facts.chain, verdict: facts.verdict };
            Err((failure, presented))
        }
    }
}

/// What libpq looks at once the handshake is complete: ALPN, then the name. Returns whether the
/// name was verified.
fn judge_completed(facts: &TlsFacts, wish: &TlsWish, direct: bool) -> Result<bool, HandshakeFailure> {
    if direct && facts.alpn.is_none() {
        return Err(HandshakeFailure::NoAlpn);
    }
    let named = matches!(wish.check, Check::ChainAndName(_));
    if named {
        name_fits(facts, wish).map_err(HandshakeFailure::Name)?;
    }
    Ok(named)
}

fn name_fits(facts: &TlsFacts, wish: &TlsWish) -> Result<(), NameRefusal> {
    let Some(leaf) = facts.leaf() else {
        return Err(NameRefusal::NoName);
    };
    let name = wish.server_name.as_deref().unwrap_or_default();
    libpq_matches(leaf, name, LibpqRules { ip_sans: wish.ip_sans })
}

fn facts_of(stream: &SecureStream, seen: Seen, asked: &Asked) -> TlsFacts {
    let (_, session) = stream.get_ref();
    let Negotiated { version, suite, group, alpn } = Negotiated::of(session);
    let binding = match seen.chain.first() {
        Some(leaf) => EndPointBinding::of_leaf(leaf),
        None => Err(NoBinding::Unreadable),
    };
    TlsFacts {
        version,
        suite,
        group,
        alpn,
        chain: seen.chain,
        verdict: seen.verdict,
        name_verified: false,
        client_certificate_requested: asked.requested(),
        client_certificate_sent: asked.shown(),
        binding,
    }
}

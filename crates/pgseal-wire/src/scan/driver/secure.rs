//! Whole handshakes, by rustls: what a client of today agrees on, and what is said under TLS.
//!
//! Nothing is trusted and nothing is verified but that the server holds the key of its certificate, and not even that of
//! an RSA key below 2048 bits: verdicts are others' business. Nothing is sent that a server could use.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, ResolvesClientCert, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::{DnsName, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, SignatureScheme, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;

use super::super::probe::{Answer, Failed, Outcome, Seen, SslReply};
use super::{Talk, clear, hello};
use crate::closing;
use crate::deadline::{Deadline, Step};
use crate::message::ProtocolVersion as PgProtocol;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::tls::{
    ALPN, Alert, HandshakeFailure, Negotiated, PROVIDER, SecureStream, Seen as Verified, Verifier,
};
use crate::wire_error::WireError;

/// Sessions of one server, kept so that its second login may try to resume one.
#[derive(Debug)]
pub(super) struct Sessions {
    store: ClientSessionMemoryCache,
    tickets: AtomicU32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { store: ClientSessionMemoryCache::new(8), tickets: AtomicU32::new(0) }
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.store.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.store.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.tickets.fetch_add(1, Ordering::Relaxed);
        self.store.set_tls12_session(server, value);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.store.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.store.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.tickets.fetch_add(1, Ordering::Relaxed);
        self.store.insert_tls13_ticket(server, value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.store.take_tls13_ticket(server)
    }
}

/// Sends no client certificate, and remembers whether one was asked for, and from whom.
#[derive(Debug, Default)]
pub(super) struct Asked {
    asked: AtomicBool,
    authorities: Mutex<Vec<Vec<u8>>>,
}

/// More names of authorities than this are not kept.
const MAX_AUTHORITIES: usize = 64;

impl ResolvesClientCert for Asked {
    fn resolve(&self, names: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        let kept = names.iter().take(MAX_AUTHORITIES).map(|name| name.to_vec()).collect();
        *self.authorities.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Bytes for a hello. A server could not do anything with their being guessed.
pub(super) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Without randomness no handshake would work either; these hellos never lead to a key.
    let _ = PROVIDER.secure_random.fill(&mut bytes);
    bytes
}

pub(super) async fn login(talk: &Talk, mut socket: Socket, replication: bool, deadline: Deadline) -> Answer {
    let ssl = hello::ssl(&mut socket, deadline).await;
    if ssl != SslReply::Yes {
        return Answer::Login(ssl, Err(Failed::because("TLS was not agreed on".to_owned())));
    }
    let sessions = Arc::clone(&talk.sessions);
    let result = match shake(talk, socket, Some(ALPN), sessions, deadline).await {
        Ok(shaken) => Ok(Box::new(inside(talk, shaken, replication, deadline).await)),
        Err(failed) => Err(failed),
    };
    Answer::Login(ssl, result)
}

/// A startup packet before the handshake, and another inside it: which is answered?
pub(super) async fn stuffed(talk: &Talk, mut socket: Socket, deadline: Deadline) -> Answer {
    let before = match talk.startup(false).encode(clear::FOUR) {
        Ok(packet) => packet,
        Err(error) => return Answer::NoSocket { text: error.to_string(), refused: false },
    };
    let ssl = hello::stuffed(&mut socket, &before, deadline).await;
    if ssl != SslReply::Yes {
        return Answer::Stuffed(ssl, Err(Failed::because("TLS was not agreed on".to_owned())));
    }
    let result = match shake(talk, socket, Some(ALPN), Arc::default(), deadline).await {
        Ok(shaken) => {
            let stream = Stream::Tls(Box::new(shaken.stream));
            let (outcome, stream) = clear::outcome(talk, stream, false, PgProtocol::V3_0, deadline).await;
            closing::politely(stream, deadline).await;
            Ok(outcome)
        }
        Err(failed) => Err(failed),
    };
    Answer::Stuffed(ssl, result)
}

/// TLS from the first byte on. Without ALPN PostgreSQL hangs up after the handshake.
pub(super) async fn direct(talk: &Talk, socket: Socket, alpn: bool, deadline: Deadline) -> Answer {
    let alpn = alpn.then_some(ALPN);
    let sessions = Arc::clone(&talk.sessions);
    let result = match shake(talk, socket, alpn, sessions, deadline).await {
        Ok(shaken) => Ok(Box::new(inside(talk, shaken, true, deadline).await)),
        Err(failed) => Err(failed),
    };
    Answer::Direct(result)
}

/// A handshake that came to its end.
pub(super) struct Shaken {
    pub(super) stream: SecureStream,
    verified: Verified,
    asked: Arc<Asked>,
    sessions: Arc<Sessions>,
}

async fn inside(talk: &Talk, shaken: Shaken, replication: bool, deadline: Deadline) -> Seen {
    let Shaken { stream, verified, asked, sessions } = shaken;
    let (_, session) = stream.get_ref();
    let Negotiated { version, suite, group, alpn } = Negotiated::of(session);
    let mut seen = Seen {
        version,
        suite,
        group,
        alpn,
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        chain: (!verified.chain.is_empty()).then_some(verified.chain),
        ocsp: verified.ocsp,
        certificate_request: asked
            .asked
            .load(Ordering::Relaxed)
            .then(|| asked.authorities.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        tickets: 0,
        outcome: Outcome::odd(String::new()),
    };
    let stream = Stream::Tls(Box::new(stream));
    let (outcome, stream) = clear::outcome(talk, stream, replication, PgProtocol::V3_0, deadline).await;
    closing::politely(stream, deadline).await;
    seen.tickets = sessions.tickets.load(Ordering::Relaxed);
    seen.outcome = outcome;
    seen
}

/// A client that trusts everybody, and sends nothing.
pub(super) fn listening(
    versions: &[&'static SupportedProtocolVersion],
    verifier: Verifier,
    asked: Arc<Asked>,
) -> Result<ClientConfig, Failed> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(versions)
        .map_err(|error| Failed::because(error.to_string()))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(asked as Arc<dyn ResolvesClientCert>))
}

/// What rustls is to take for the server's name; only a name of DNS is sent.
pub(super) fn named(talk: &Talk, config: &mut ClientConfig) -> ServerName<'static> {
    let name = talk.target.server_name.as_deref().and_then(dns_name);
    config.enable_sni = name.is_some();
    name.unwrap_or_else(|| ServerName::from(talk.target.address.ip()))
}

/// Does the handshake.
pub(super) async fn shake(
    talk: &Talk,
    socket: Socket,
    alpn: Option<&[u8]>,
    sessions: Arc<Sessions>,
    deadline: Deadline,
) -> Result<Shaken, Failed> {
    let verifier = Verifier::for_listening(PROVIDER.signature_verification_algorithms);
    let record = verifier.record();
    let asked = Arc::new(Asked::default());
    let mut config = listening(rustls::DEFAULT_VERSIONS, verifier, Arc::clone(&asked))?;
    config.resumption = Resumption::store(Arc::clone(&sessions) as Arc<dyn ClientSessionStore>);
    config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
    let name = named(talk, &mut config);
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket).into_fallible();
    match deadline.wait(Step::Handshake, connecting).await {
        Ok(Ok(stream)) => Ok(Shaken { stream, verified: record.take(), asked, sessions }),
        Ok(Err((error, socket))) => {
            let failure = HandshakeFailure::of(&error, &record.take());
            closing::politely(socket, deadline).await;
            Err(failed(&failure))
        }
        Err(late) => Err(Failed { late: true, ..Failed::because(late.to_string()) }),
    }
}

fn dns_name(name: &str) -> Option<ServerName<'static>> {
    if name.parse::<IpAddr>().is_ok() {
        return None;
    }
    DnsName::try_from(name.to_owned()).ok().map(ServerName::DnsName)
}

fn failed(failure: &HandshakeFailure) -> Failed {
    // What a server says that finds nothing in a hello that it could take.
    const NOTHING_IN_COMMON: [Alert; 3] = [Alert(40), Alert::PROTOCOL_VERSION, Alert(71)];
    let alert = match failure {
        HandshakeFailure::Alert(alert) => Some(*alert),
        _ => None,
    };
    Failed {
        why: failure.to_string(),
        alert,
        beyond_us: matches!(failure, HandshakeFailure::NothingInCommon(_))
            || alert.is_some_and(|alert| NOTHING_IN_COMMON.contains(&alert)),
        late: matches!(failure, HandshakeFailure::Wire(WireError::Late { .. })),
        speaks_tls: alert.is_some()
            || matches!(
                failure,
                HandshakeFailure::NothingInCommon(_)
                    | HandshakeFailure::Misbehaved(_)
                    | HandshakeFailure::Unreadable { .. }
                    | HandshakeFailure::NotItsKey
            ),
    }
}

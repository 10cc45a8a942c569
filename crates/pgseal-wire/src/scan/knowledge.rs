//! What is known of a server so far. Plain data: [`super::learn`] adds to it, [`super::next_probes`] reads it.

use std::collections::BTreeMap;

use pgseal_pki::Certificate;
use pgseal_pki::public_key::KeyKind;

use super::candidates;
use super::hello::{CertificateRequest, Heard, Protocol};
use super::hunt::Hunt;
use super::probe::Renegotiation;
use super::probe::{Failed, Outcome, Seen, SslReply, Startup, StrayReply, Stuffing};
use super::told::Told;

/// How much is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// The posture only, in at most six connections.
    pub quick: bool,
    /// Also what leaves traces: words in clear before the handshake, stray bytes, a second handshake.
    pub intrusive: bool,
}

/// More connections than this to one server are never made.
pub const MOST_CONNECTIONS: u32 = 400;
/// So many probes in a row without an answer, and the server is taken to have stopped.
pub(super) const SILENCES: u32 = 3;

/// What is known of a server.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// How much is wished.
    pub wish: Wish,
    /// Whether a socket was opened; with the system's words where none was.
    pub reached: Option<Result<(), String>>,
    /// The answer to `SSLRequest`.
    pub ssl: Option<SslReply>,
    /// The answer to `GSSENCRequest`.
    pub gssenc: Option<SslReply>,
    /// Suites, by version.
    pub suites: BTreeMap<Protocol, Hunt>,
    /// Versions that a server chose when a newer one was asked for.
    pub(super) chosen_instead: Vec<Protocol>,
    /// How a version was refused: the alert, or that it hung up.
    pub refusals: BTreeMap<Protocol, String>,
    /// Groups under TLS 1.2 and 1.3.
    pub groups: BTreeMap<Protocol, Hunt>,
    /// Schemes that sign the key exchange of TLS 1.2.
    pub schemes: Hunt,
    /// Chains as served, one for each leaf.
    pub chains: Vec<Vec<Certificate>>,
    /// Certificates that could not be read: place from 1, and why.
    pub unreadable: Vec<(usize, String)>,
    /// Bits of the primes that were offered for Diffie-Hellman.
    pub dh_bits: Vec<usize>,
    /// What else the flights showed.
    pub features: Features,
    /// What a downgraded second try met.
    pub fallback: Option<Told>,
    /// Answers to startup packets in the clear.
    pub startups: BTreeMap<StartupKey, Outcome>,
    /// Answers to startup packets under TLS: database, replication.
    pub logins: BTreeMap<bool, Result<Seen, Failed>>,
    /// TLS from the first byte on, with ALPN and without.
    pub direct: BTreeMap<bool, Result<Seen, Failed>>,
    /// What became of words in clear before the handshake; only where intrusive questions are wished.
    pub stuffing: Option<Stuffing>,
    /// What became of bytes that no protocol has; likewise.
    pub stray: Option<StrayReply>,
    /// What became of a hello inside a session; likewise.
    pub renegotiation: Option<Renegotiation>,
    /// Connections that were tried.
    pub connections: u32,
    /// About so many lines in the server's log, at its default settings.
    pub log_lines: u32,
    /// How often the server was full, and was waited for.
    pub waited: u32,
    /// Why the scan ended before its end.
    pub cut: Option<String>,
    /// Probes in a row that got no answer.
    pub(super) silences: u32,
}

/// [`Startup`] as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartupKey {
    /// The database.
    Database,
    /// Physical replication.
    Replication,
    /// Protocol 4.0.
    Version,
}

impl From<Startup> for StartupKey {
    fn from(startup: Startup) -> Self {
        match startup {
            Startup::Database => Self::Database,
            Startup::Replication => Self::Replication,
            Startup::Version => Self::Version,
        }
    }
}

/// What flights of TLS 1.2 and older showed beside suites.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "a feature is there or not")]
pub struct Features {
    /// A flight was heard that could have shown them.
    pub seen: bool,
    /// DEFLATE was chosen.
    pub compression: bool,
    /// RFC 7627.
    pub extended_master_secret: bool,
    /// RFC 7366: None until a CBC suite was picked.
    pub encrypt_then_mac: Option<bool>,
    /// RFC 5746.
    pub secure_renegotiation: bool,
    /// RFC 5077: a ticket was promised.
    pub session_ticket: bool,
    /// A session had a name.
    pub session_id: bool,
    /// An OCSP response came.
    pub ocsp: bool,
    /// What was chosen by ALPN.
    pub alpn: Option<String>,
    /// A client certificate was asked for.
    pub certificate_request: Option<CertificateRequest>,
}

impl Knowledge {
    /// Nothing yet.
    pub fn new(wish: Wish) -> Self {
        Self { wish, ..Self::default() }
    }

    /// Whether the server speaks TLS after `SSLRequest`.
    pub fn offers_tls(&self) -> bool {
        matches!(self.ssl, Some(SslReply::Yes))
    }

    /// Whether it spoke as PostgreSQL does: to `SSLRequest`, or to a startup packet.
    pub fn speaks_postgres(&self) -> bool {
        let to_startup = |outcome: &Outcome| outcome.oddity().is_none();
        matches!(self.ssl, Some(SslReply::Yes | SslReply::No | SslReply::Error(_)))
            || self.startups.values().any(to_startup)
            || self.direct.values().flatten().any(|seen| to_startup(&seen.outcome))
    }

    /// Whether a version is spoken.
    pub fn version(&self, protocol: Protocol) -> Told {
        if self.chosen_instead.contains(&protocol) {
            return Told::Yes;
        }
        if self.handshakes().any(|seen| seen.version.as_str() == protocol.as_str()) {
            return Told::Yes;
        }
        match self.suites.get(&protocol) {
            Some(hunt) if hunt.found_any() => Told::Yes,
            Some(hunt) if !hunt.trials().is_empty() => Told::No,
            Some(hunt) => Told::Unknown(hunt.gave_up().unwrap_or_else(|| "it was not answered".to_owned())),
            None => Told::not_asked(),
        }
    }

    /// What a startup packet under TLS met: for the database, or for replication, which is asked for by direct TLS where
    /// that is spoken.
    pub fn under_tls(&self, replication: bool) -> Option<&Result<Seen, Failed>> {
        let direct = self.direct.get(&true).filter(|result| replication && result.is_ok());
        self.logins.get(&replication).or(direct)
    }

    /// Every whole handshake that came to its end.
    pub fn handshakes(&self) -> impl Iterator<Item = &Seen> {
        self.logins.values().chain(self.direct.values()).flatten()
    }

    /// The newest version that is spoken.
    pub fn newest(&self) -> Option<Protocol> {
        Protocol::ALL.into_iter().rev().find(|protocol| self.version(*protocol).is_yes())
    }

    /// The suites of a version, in the server's order as far as it has one.
    pub fn suites_of(&self, protocol: Protocol) -> Vec<u16> {
        self.suites.get(&protocol).map(Hunt::accepted).unwrap_or_default()
    }

    /// All groups: those of TLS 1.3 in their order, then those that only TLS 1.2 takes.
    pub fn all_groups(&self) -> Vec<u16> {
        let mut all: Vec<u16> = Vec::new();
        for protocol in [Protocol::Tls1_3, Protocol::Tls1_2] {
            let found = self.groups.get(&protocol).map(Hunt::accepted).unwrap_or_default();
            all.extend(found.into_iter().filter(|code| candidates::is_group(*code)));
        }
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|code| seen.insert(*code));
        all
    }

    /// The leaf of the first chain.
    pub fn leaf(&self) -> Option<&Certificate> {
        self.chains.first()?.first()
    }

    /// The curve that an ECDSA leaf needs in every TLS 1.2 hello; None where a suite signs with another key.
    pub(super) fn curve_of_leaf(&self) -> Option<u16> {
        let leaves = self.chains.iter().filter_map(|chain| chain.first());
        let mut curve = None;
        for leaf in leaves {
            curve = Some(match leaf.public_key().kind() {
                KeyKind::EcdsaP256 => 0x17,
                KeyKind::EcdsaP384 => 0x18,
                KeyKind::EcdsaP521 => 0x19,
                KeyKind::OtherCurve(oid) => candidates::curve_of(oid)?,
                _ => return None,
            });
        }
        curve
    }

    /// Notes a chain in DER, unless its leaf is known.
    pub(super) fn chain(&mut self, ders: &[Vec<u8>]) {
        let known = |leaf: &Vec<u8>| {
            self.chains.iter().any(|chain| chain.first().is_some_and(|one| one.der() == leaf))
        };
        if ders.first().is_none_or(known) {
            return;
        }
        let mut chain = Vec::new();
        for (place, der) in ders.iter().enumerate() {
            match Certificate::from_der(der) {
                Ok(certificate) => chain.push(certificate),
                Err(error) => {
                    let fault = (place + 1, error.to_string());
                    if !self.unreadable.contains(&fault) {
                        self.unreadable.push(fault);
                    }
                }
            }
        }
        if !chain.is_empty() {
            self.chains.push(chain);
        }
    }

    pub(super) fn chain_of_certificates(&mut self, chain: &[Certificate]) {
        let known = |leaf: &Certificate| self.chains.iter().any(|other| other.first() == Some(leaf));
        if chain.first().is_some_and(|leaf| !known(leaf)) {
            self.chains.push(chain.to_vec());
        }
    }

    /// What a flight of TLS 1.2 or older showed beside its suite.
    pub(super) fn flight(&mut self, heard: &Heard) {
        let Some(hello) = &heard.server_hello else {
            return;
        };
        let features = &mut self.features;
        if let Some(alpn) = &hello.alpn {
            features.alpn = Some(String::from_utf8_lossy(alpn).into_owned());
        }
        if hello.version < Protocol::Tls1_3.code() {
            features.seen = true;
            features.compression |= hello.compression != 0;
            features.extended_master_secret |= hello.extended_master_secret;
            features.secure_renegotiation |= hello.secure_renegotiation;
            features.session_ticket |= hello.session_ticket;
            features.session_id |= hello.session_id;
            features.ocsp |= heard.ocsp;
            if crate::registry::suite(hello.suite).is_some_and(|suite| suite.is("cbc")) {
                *features.encrypt_then_mac.get_or_insert(false) |= hello.encrypt_then_mac;
            }
            if heard.certificate_request.is_some() {
                features.certificate_request.clone_from(&heard.certificate_request);
            }
        }
        if let Some(super::hello::KeyExchange::FiniteField { bits, .. }) = heard.key_exchange
            && !self.dh_bits.contains(&bits)
        {
            self.dh_bits.push(bits);
        }
        if let Some(ders) = &heard.certificates {
            self.chain(ders);
        }
    }
}

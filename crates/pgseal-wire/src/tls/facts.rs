//! What a handshake showed.

use pgseal_pki::{Certificate, ChainRefusal, VerifiedChain};

use super::binding::{EndPointBinding, NoBinding};
use super::names::{CipherSuite, KeyExchangeGroup};
use super::version::TlsVersion;

/// What became of the check of the chain.
#[derive(Debug, Clone, Default)]
pub enum ChainVerdict {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// It leads to a root.
    Verified(VerifiedChain),
    /// It does not.
    Refused(ChainRefusal),
}

/// What a completed handshake showed. Plain data.
#[derive(Debug, Clone)]
pub struct TlsFacts {
    /// The version agreed on.
    pub version: TlsVersion,
    /// The cipher suite agreed on.
    pub suite: CipherSuite,
    /// The key exchange group agreed on.
    pub group: Option<KeyExchangeGroup>,
    /// The protocol that the server chose by ALPN: `postgresql`, from 17 on.
    pub alpn: Option<String>,
    /// The certificates as presented, the leaf first. Never empty.
    pub chain: Vec<Certificate>,
    /// What became of the check of the chain.
    pub verdict: ChainVerdict,
    /// Whether the name was compared, and fitted.
    pub name_verified: bool,
    /// Whether the server asked for a client certificate.
    pub client_certificate_requested: bool,
    /// Whether one was shown.
    pub client_certificate_sent: bool,
    /// What SCRAM-SHA-256-PLUS binds to, or why there is nothing.
    pub binding: Result<EndPointBinding, NoBinding>,
}

impl TlsFacts {
    /// The server's own certificate.
    pub fn leaf(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// Whether the chain was verified.
    pub const fn chain_verified(&self) -> bool {
        matches!(self.verdict, ChainVerdict::Verified(_))
    }
}

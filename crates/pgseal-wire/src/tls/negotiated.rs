//! What both ends agreed on in a handshake, in the registry's numbers.

use rustls::{ClientConnection, ProtocolVersion};

use super::names::{CipherSuite, KeyExchangeGroup};
use super::version::TlsVersion;

pub(crate) struct Negotiated {
    pub(crate) version: TlsVersion,
    pub(crate) suite: CipherSuite,
    pub(crate) group: Option<KeyExchangeGroup>,
    pub(crate) alpn: Option<String>,
}

impl Negotiated {
    /// Of a session whose handshake came to its end.
    pub(crate) fn of(session: &ClientConnection) -> Self {
        Self {
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls1_2,
                // rustls speaks no third.
                _ => TlsVersion::Tls1_3,
            },
            suite: CipherSuite(session.negotiated_cipher_suite().map_or(0, |suite| u16::from(suite.suite()))),
            group: session
                .negotiated_key_exchange_group()
                .map(|group| KeyExchangeGroup(u16::from(group.name()))),
            alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        }
    }
}

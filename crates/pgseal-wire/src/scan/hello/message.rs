//! The messages of a server's first flight, understood: what it chose, how it exchanges keys, what it asks for.
//!
//! RFC 5246 section 7.4 and RFC 8446 section 4.1.3; the older versions differ only in what they lack.

use super::protocol::Protocol;
use super::reader::Reader;
use crate::registry;

/// RFC 8446, 4.1.3: the random of a `ServerHello` that is a `HelloRetryRequest`.
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// More names of authorities than this are counted and not kept.
const MAX_AUTHORITIES: usize = 64;
/// A name that is longer than this is none that anybody would read.
const MAX_AUTHORITY: usize = 4096;

/// What the server chose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "an extension is there or not")]
pub struct ServerHello {
    /// The version agreed on: `supported_versions` where it is there (RFC 8446, 4.2.1), else the old field.
    pub version: u16,
    /// Whether it is a `HelloRetryRequest`.
    pub retry: bool,
    /// The suite.
    pub suite: u16,
    /// 0 is none, 1 is DEFLATE (RFC 3749).
    pub compression: u8,
    /// Whether the server gave the session a name, by which it might be resumed.
    pub session_id: bool,
    /// The group of `key_share`, from TLS 1.3 on.
    pub group: Option<u16>,
    /// RFC 7627.
    pub extended_master_secret: bool,
    /// RFC 7366; only ever there with a CBC suite.
    pub encrypt_then_mac: bool,
    /// RFC 5077: a ticket will follow.
    pub session_ticket: bool,
    /// RFC 5746.
    pub secure_renegotiation: bool,
    /// An OCSP response will follow (RFC 6066, section 8).
    pub ocsp: bool,
    /// What was chosen by ALPN (RFC 7301).
    pub alpn: Option<Vec<u8>>,
}

impl ServerHello {
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut rest = Reader(body);
        let mut hello = Self { version: rest.u16()?, ..Self::default() };
        hello.retry = rest.take(32)? == RETRY_RANDOM;
        hello.session_id = !rest.short().filter(|id| id.0.len() <= 32)?.is_empty();
        hello.suite = rest.u16()?;
        hello.compression = rest.u8()?;
        if rest.is_empty() {
            return Some(hello);
        }
        let mut extensions = rest.vector()?;
        if !rest.is_empty() {
            return None;
        }
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            hello.extension(kind, extensions.vector()?)?;
        }
        Some(hello)
    }

    fn extension(&mut self, kind: u16, mut content: Reader<'_>) -> Option<()> {
        match kind {
            5 => self.ocsp = true,
            16 => {
                let mut names = content.vector()?;
                self.alpn = Some(names.short()?.0.to_vec());
            }
            22 => self.encrypt_then_mac = true,
            23 => self.extended_master_secret = true,
            35 => self.session_ticket = true,
            43 => self.version = content.u16()?,
            51 => self.group = Some(content.u16()?),
            0xff01 => self.secure_renegotiation = true,
            _ => {}
        }
        Some(())
    }

    /// The version, where it is one that exists.
    pub fn protocol(&self) -> Option<Protocol> {
        Protocol::of(self.version)
    }
}

/// `ServerKeyExchange`, as far as it tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExchange {
    /// A named curve.
    Curve {
        /// Which.
        group: u16,
        /// The scheme that signed it, from TLS 1.2 on.
        scheme: Option<u16>,
    },
    /// Diffie-Hellman over a prime field.
    FiniteField {
        /// Bits of the prime.
        bits: usize,
        /// The scheme that signed it, from TLS 1.2 on.
        scheme: Option<u16>,
    },
    /// Anything else: a temporary RSA key of an export suite, a curve written out, a PSK hint.
    Other,
}

impl KeyExchange {
    /// The scheme that signed it.
    pub const fn scheme(&self) -> Option<u16> {
        match self {
            Self::Curve { scheme, .. } | Self::FiniteField { scheme, .. } => *scheme,
            Self::Other => None,
        }
    }

    /// For a suite and a version, since the message does not say its own kind.
    pub(super) fn decode(body: &[u8], hello: &ServerHello) -> Option<Self> {
        let Some(suite) = registry::suite(hello.suite) else {
            return Some(Self::Other);
        };
        let mut rest = Reader(body);
        if suite.is("psk") {
            rest.vector()?;
        }
        let signed = !suite.is("anonymous") && !suite.is("psk") && hello.version >= Protocol::Tls1_2.code();
        if suite.is("ecdhe") {
            // 3 is named_curve (RFC 8422, 5.4).
            if rest.u8()? != 3 {
                return Some(Self::Other);
            }
            let group = rest.u16()?;
            rest.short()?;
            let scheme = if signed { Some(rest.u16()?) } else { None };
            return Some(Self::Curve { group, scheme });
        }
        if suite.is("dhe") {
            let prime = rest.vector()?;
            rest.vector()?;
            rest.vector()?;
            let scheme = if signed { Some(rest.u16()?) } else { None };
            return Some(Self::FiniteField { bits: bit_length(prime.0), scheme });
        }
        Some(Self::Other)
    }
}

fn bit_length(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|byte| **byte == 0);
    let mut bits = 0;
    for (place, byte) in significant.enumerate() {
        bits = if place == 0 { usize::try_from(8 - byte.leading_zeros()).unwrap_or(0) } else { bits + 8 };
    }
    bits
}

/// `CertificateRequest`: what a client certificate would have to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateRequest {
    /// Signature schemes that the server would take, from TLS 1.2 on.
    pub schemes: Vec<u16>,
    /// Names of authorities in DER, at most 64 of them.
    pub authorities: Vec<Vec<u8>>,
    /// How many were named.
    pub authority_count: usize,
}

impl CertificateRequest {
    /// As TLS 1.2 and older have it.
    pub(super) fn decode(body: &[u8], version: u16) -> Option<Self> {
        let mut rest = Reader(body);
        let mut request = Self::default();
        rest.short()?;
        if version >= Protocol::Tls1_2.code() {
            let mut schemes = rest.vector()?;
            while !schemes.is_empty() {
                request.schemes.push(schemes.u16()?);
            }
        }
        let mut authorities = rest.vector()?;
        while !authorities.is_empty() {
            let name = authorities.vector()?.0;
            request.authority_count += 1;
            if request.authorities.len() < MAX_AUTHORITIES && name.len() <= MAX_AUTHORITY {
                request.authorities.push(name.to_vec());
            }
        }
        Some(request)
    }
}

/// The certificates of a `Certificate` message of TLS 1.2 or older, in DER, at most `most` of them.
pub(super) fn certificates(body: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
    let mut list = Reader(body).long()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        let der = list.long()?.0;
        if all.len() < most {
            all.push(der.to_vec());
        }
    }
    Some(all)
}

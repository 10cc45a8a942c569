//! A `ClientHello` of any version, made to ask one question.
//!
//! Knows how RFC 8446, 5246, 4346, 2246, 6101 and the SSL 2.0 draft write it. A TLS 1.3 hello brings no key share (RFC 8446,
//! 4.2.8): the server has to name version, suite and group in a `HelloRetryRequest`, and no key is ever exchanged.

use std::net::IpAddr;

use super::protocol::Protocol;

/// RFC 5746, 3.3: a suite that stands for the empty extension where there are no extensions.
const RENEGOTIATION_SCSV: u16 = 0x00ff;
/// RFC 7507.
const FALLBACK_SCSV: u16 = 0x5600;
/// The protocol that PostgreSQL 17 and later name in ALPN.
const ALPN: &[u8] = b"postgresql";
/// A host name longer than this has no place in DNS, and is not sent.
const LONGEST_NAME: usize = 253;

/// What is offered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offer {
    /// The one version asked for.
    pub protocol: Protocol,
    /// Suites in the client's order.
    pub suites: Vec<u16>,
    /// Groups in the client's order.
    pub groups: Vec<u16>,
    /// Signature schemes in the client's order; sent from TLS 1.2 on.
    pub schemes: Vec<u16>,
    /// Whether it pretends to be a second try with an older version (RFC 7507).
    pub fallback: bool,
}

/// The cipher kinds of SSL 2.0 (draft-hickman-netscape-ssl-00, 5.4.1).
const SSL2_KINDS: [[u8; 3]; 7] = [
    [0x01, 0x00, 0x80],
    [0x02, 0x00, 0x80],
    [0x03, 0x00, 0x80],
    [0x04, 0x00, 0x80],
    [0x05, 0x00, 0x80],
    [0x06, 0x00, 0x40],
    [0x07, 0x00, 0xc0],
];

impl Offer {
    /// The hello in a record of its own. `server_name` is sent as SNI unless it is an address or no DNS name; `alpn`
    /// offers `postgresql`.
    pub fn encode(&self, server_name: Option<&str>, alpn: bool, random: &[u8; 32]) -> Vec<u8> {
        if self.protocol == Protocol::Ssl2 {
            return ssl2_hello(random);
        }
        let record_version = self.protocol.min(Protocol::Tls1_0);
        record(22, record_version, &self.message(server_name, alpn, random, &[]))
    }

    /// The hello as a message without a record. `verify_data` is that of the client's Finished where a session is to be
    /// negotiated anew (RFC 5746, 3.5), and empty at its beginning.
    pub(in crate::scan) fn message(
        &self,
        server_name: Option<&str>,
        alpn: bool,
        random: &[u8; 32],
        verify_data: &[u8],
    ) -> Vec<u8> {
        let mut body = Vec::with_capacity(1024);
        body.extend(self.protocol.min(Protocol::Tls1_2).code().to_be_bytes());
        body.extend(random);
        // No session to resume.
        body.push(0);
        body.extend(codes(&self.suites_with_signals()));
        // DEFLATE is asked for, too: a server that takes it has a finding. TLS 1.3 forbids to.
        if self.protocol == Protocol::Tls1_3 {
            body.extend([1, 0]);
        } else {
            body.extend([2, 1, 0]);
        }
        if self.protocol > Protocol::Ssl3 {
            body.extend(sized(&self.extensions(server_name, alpn, verify_data)));
        }
        message(1, &body)
    }

    fn suites_with_signals(&self) -> Vec<u16> {
        let mut suites = self.suites.clone();
        if self.protocol == Protocol::Ssl3 {
            suites.push(RENEGOTIATION_SCSV);
        }
        if self.fallback {
            suites.push(FALLBACK_SCSV);
        }
        suites
    }

    fn extensions(&self, server_name: Option<&str>, alpn: bool, verify_data: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut add = |kind: u16, content: Vec<u8>| {
            all.extend(kind.to_be_bytes());
            all.extend(sized(&content));
        };
        if let Some(name) = server_name.filter(|name| is_dns_name(name)) {
            let entry = [&[0][..], &sized(name.as_bytes())].concat();
            add(0, sized(&entry));
        }
        if !self.groups.is_empty() {
            add(10, codes(&self.groups));
        }
        if self.protocol >= Protocol::Tls1_2 {
            add(13, codes(&self.schemes));
        }
        if alpn {
            let name = [&[u8::try_from(ALPN.len()).unwrap_or(0)][..], ALPN].concat();
            add(16, sized(&name));
        }
        if self.protocol == Protocol::Tls1_3 {
            add(43, vec![2, 3, 4]);
            // key_share without a share.
            add(51, vec![0, 0]);
        } else {
            // ec_point_formats: uncompressed, as RFC 8422 leaves it.
            add(11, vec![1, 0]);
            // status_request for OCSP, encrypt_then_mac, extended_master_secret, session_ticket, renegotiation_info.
            add(5, vec![1, 0, 0, 0, 0]);
            add(22, Vec::new());
            add(23, Vec::new());
            add(35, Vec::new());
            let length = u8::try_from(verify_data.len()).unwrap_or(0);
            add(0xff01, [&[length][..], verify_data].concat());
        }
        all
    }
}

/// Whether a name may stand in SNI: a host name and no address (RFC 6066, section 3).
fn is_dns_name(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(letters)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && name.parse::<IpAddr>().is_err()
}

/// A vector with two bytes of length. What is put in here is far shorter than that can say.
fn sized(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], content].concat()
}

/// Code points as a vector.
fn codes(list: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = list.iter().copied().flat_map(u16::to_be_bytes).collect();
    sized(&bytes)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![kind];
    bytes.extend(length.iter().skip(1));
    bytes.extend(body);
    bytes
}

/// Wraps bytes in one record (RFC 8446, 5.1).
pub(in crate::scan) fn record(kind: u8, version: Protocol, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![kind];
    bytes.extend(version.code().to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(content);
    bytes
}

/// A `CLIENT-HELLO` of SSL 2.0 that speaks nothing newer.
fn ssl2_hello(random: &[u8; 32]) -> Vec<u8> {
    let challenge = random.get(..16).unwrap_or_default();
    let kinds = SSL2_KINDS.concat();
    let short = |length: usize| u16::try_from(length).unwrap_or(0).to_be_bytes();
    let mut body = vec![1, 0, 2];
    body.extend(short(kinds.len()));
    body.extend([0, 0]);
    body.extend(short(challenge.len()));
    body.extend(kinds);
    body.extend(challenge);
    let [high, low] = short(body.len());
    [&[high | 0x80, low][..], &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(protocol: Protocol) -> Offer {
        Offer {
            protocol,
            suites: vec![0x1302, 0xc02c],
            groups: vec![0x1d],
            schemes: vec![0x0403],
            fallback: false,
        }
    }

    fn holds(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_hello_says_its_own_lengths() {
        for protocol in Protocol::ALL.into_iter().skip(1) {
            let bytes = offer(protocol).encode(Some("db.example.org"), true, &[7; 32]);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])) + 5, bytes.len(), "{protocol}");
            let body = usize::from(u16::from_be_bytes([bytes[7], bytes[8]]));
            assert_eq!((bytes[5], bytes[6], body + 9), (1, 0, bytes.len()), "{protocol}");
            assert_eq!(holds(&bytes, b"db.example.org"), protocol > Protocol::Ssl3, "{protocol}");
            assert_eq!(holds(&bytes, &[0, 43, 0, 3, 2, 3, 4]), protocol == Protocol::Tls1_3);
        }
    }

    #[test]
    fn the_oldest_hello_is_that_of_its_draft() {
        let bytes = offer(Protocol::Ssl2).encode(Some("db.example.org"), true, &[7; 32]);
        assert_eq!(bytes[..5], [0x80, u8::try_from(bytes.len() - 2).unwrap(), 1, 0, 2]);
        assert!(bytes.ends_with(&[7; 16]));
    }

    #[test]
    fn an_address_and_what_is_no_name_are_not_sent() {
        for name in ["10.0.0.1", "::1", "a b", "", ".", "a.", "ü"] {
            let with = offer(Protocol::Tls1_2).encode(Some(name), false, &[7; 32]);
            assert_eq!(with, offer(Protocol::Tls1_2).encode(None, false, &[7; 32]), "{name:?}");
        }
    }

    #[test]
    fn a_fallback_is_signalled_by_its_suite() {
        let fallback = Offer { fallback: true, ..offer(Protocol::Tls1_1) };
        assert!(holds(&fallback.encode(None, false, &[7; 32]), &[0xc0, 0x2c, 0x56, 0x00]));
    }
}

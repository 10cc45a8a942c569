//! A server's first flight, collected from records and messages however the network cuts them.
//!
//! Everything is bounded: a record by RFC 8446 5.1 and what older versions add, a message by what libpq's OpenSSL would take
//! and some more, the whole by a quarter of a megabyte. What breaks a bound or a format ends the flight with a [`Fault`].

use super::message::{self, CertificateRequest, KeyExchange, ServerHello};
use super::protocol::Protocol;
use super::reader::Reader;
use crate::tls::Alert;

/// 2^14 bytes and what an old record may add (RFC 5246, 6.2.3).
const MAX_RECORD: usize = 16_384 + 2_048;
/// OpenSSL's client takes 100 KiB of certificates (`SSL_CTX_set_max_cert_list`).
const MAX_MESSAGE: usize = 128 * 1024;
/// Of everything that is read in one conversation.
const MAX_FLIGHT: usize = 256 * 1024;
/// As many certificates as OpenSSL builds a chain of.
const MAX_CERTIFICATES: usize = 101;

/// Why a flight cannot be read further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It does not begin like TLS.
    #[error("it is no TLS: it begins with \"{}\"", .0.escape_ascii())]
    NotTls(Vec<u8>),
    /// More than makes sense.
    #[error("{what} has {length} bytes, and at most {limit} make sense")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// As it says itself.
        length: usize,
        /// What would be taken.
        limit: usize,
    },
    /// A message that does not hold what its type promises.
    #[error("its {0} cannot be read")]
    Malformed(&'static str),
}

/// What a flight held, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// The choice.
    pub server_hello: Option<ServerHello>,
    /// The chain as served, in DER; TLS 1.2 and older.
    pub certificates: Option<Vec<Vec<u8>>>,
    /// How keys are exchanged; TLS 1.2 and older.
    pub key_exchange: Option<KeyExchange>,
    /// Whether a client certificate is asked for; TLS 1.2 and older.
    pub certificate_request: Option<CertificateRequest>,
    /// Whether an OCSP response came.
    pub ocsp: bool,
    /// Whether the flight came to its end.
    pub done: bool,
    /// The server's fatal alert.
    pub alert: Option<Alert>,
    /// Whether SSL 2.0 answered.
    pub ssl2: bool,
    /// Why it was not read to its end.
    pub fault: Option<Fault>,
}

impl Heard {
    /// Whether nothing more is to be expected.
    pub const fn is_over(&self) -> bool {
        self.done || self.ssl2 || self.alert.is_some() || self.fault.is_some()
    }
}

/// Takes the first record off these bytes, once it is whole: its type, and what it holds.
pub(in crate::scan) fn take_record(bytes: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>, Fault> {
    let Some((&[kind, major, _, high, low], _)) = bytes.split_first_chunk::<5>() else {
        let begins = bytes.first().is_none_or(|first| (20..=23).contains(first));
        return if begins { Ok(None) } else { Err(not_tls(bytes)) };
    };
    if !(20..=23).contains(&kind) || major != 3 {
        return Err(not_tls(bytes));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_RECORD {
        return Err(Fault::TooLong { what: "a record", length, limit: MAX_RECORD });
    }
    if bytes.len() < length + 5 {
        return Ok(None);
    }
    let rest = bytes.split_off(length + 5);
    let mut record = std::mem::replace(bytes, rest);
    record.drain(..5);
    Ok(Some((kind, record)))
}

fn not_tls(bytes: &[u8]) -> Fault {
    Fault::NotTls(bytes.iter().take(16).copied().collect())
}

/// A flight that is being received.
#[derive(Debug, Default)]
pub struct Flight {
    records: Vec<u8>,
    messages: Vec<u8>,
    taken: usize,
    heard: Heard,
}

impl Flight {
    /// Adds bytes that came from the server. After the end of the flight they are passed over.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.heard.is_over() {
            return;
        }
        self.taken += bytes.len();
        self.records.extend_from_slice(bytes);
        while !self.heard.is_over() {
            match self.next_record() {
                Ok(Some((kind, content))) => self.record(kind, &content),
                Ok(None) => break,
                Err(fault) => self.heard.fault = Some(fault),
            }
        }
        if !self.heard.is_over() && self.taken > MAX_FLIGHT {
            let (what, length, limit) = ("the flight", self.taken, MAX_FLIGHT);
            self.heard.fault = Some(Fault::TooLong { what, length, limit });
        }
    }

    /// What was heard so far.
    pub const fn heard(&self) -> &Heard {
        &self.heard
    }

    /// What was heard.
    pub fn into_heard(self) -> Heard {
        self.heard
    }

    fn next_record(&mut self) -> Result<Option<(u8, Vec<u8>)>, Fault> {
        let Some(first) = self.records.first().copied() else {
            return Ok(None);
        };
        // SERVER-HELLO of SSL 2.0: two bytes of length, then message 4.
        if first & 0x80 != 0 && self.heard.server_hello.is_none() {
            return match self.records.get(2) {
                Some(4) => {
                    self.heard.ssl2 = true;
                    Ok(None)
                }
                Some(_) => Err(self.not_tls()),
                None => Ok(None),
            };
        }
        take_record(&mut self.records)
    }

    fn not_tls(&self) -> Fault {
        not_tls(&self.records)
    }

    fn record(&mut self, kind: u8, content: &[u8]) {
        match (kind, content) {
            (21, [1, description]) => {
                // close_notify ends it; any other warning does not.
                if *description == 0 {
                    self.heard.alert = Some(Alert(0));
                }
            }
            (21, [_, description]) => self.heard.alert = Some(Alert(*description)),
            (21, _) => self.heard.fault = Some(Fault::Malformed("alert")),
            (22, _) => {
                self.messages.extend_from_slice(content);
                while let Some((kind, body)) = self.next_message() {
                    if let Err(fault) = self.message(kind, &body) {
                        self.heard.fault = Some(fault);
                    }
                    if self.heard.is_over() {
                        return;
                    }
                }
            }
            // ChangeCipherSpec, and what is encrypted: a server that takes a hello without a share for whole.
            _ if self.heard.server_hello.is_some() => self.heard.done = true,
            _ => self.heard.fault = Some(Fault::Malformed("first record")),
        }
    }

    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut rest = Reader(&self.messages);
        let kind = rest.u8()?;
        let length = rest.u24()?;
        if length > MAX_MESSAGE {
            self.heard.fault = Some(Fault::TooLong { what: name_of(kind), length, limit: MAX_MESSAGE });
            return None;
        }
        let body = rest.take(length)?.to_vec();
        self.messages.drain(..length + 4);
        Some((kind, body))
    }

    fn message(&mut self, kind: u8, body: &[u8]) -> Result<(), Fault> {
        let broken = || Fault::Malformed(name_of(kind));
        let heard = &mut self.heard;
        let Some(hello) = &heard.server_hello else {
            // Nothing but HelloRequest (0) may come before it, and that means nothing here.
            return match kind {
                0 => Ok(()),
                2 => {
                    let hello = ServerHello::decode(body).ok_or_else(broken)?;
                    // What follows in TLS 1.3 is encrypted, or is waited for by the server.
                    heard.done = hello.version >= Protocol::Tls1_3.code();
                    heard.server_hello = Some(hello);
                    Ok(())
                }
                _ => Err(broken()),
            };
        };
        match kind {
            11 => {
                let all = message::certificates(body, MAX_CERTIFICATES).ok_or_else(broken)?;
                heard.certificates = Some(all);
            }
            12 => heard.key_exchange = Some(KeyExchange::decode(body, hello).ok_or_else(broken)?),
            13 => {
                let request = CertificateRequest::decode(body, hello.version).ok_or_else(broken)?;
                heard.certificate_request = Some(request);
            }
            14 => heard.done = true,
            22 => heard.ocsp = true,
            0 | 4 => {}
            _ => return Err(broken()),
        }
        Ok(())
    }
}

const fn name_of(kind: u8) -> &'static str {
    match kind {
        2 => "ServerHello",
        11 => "Certificate message",
        12 => "ServerKeyExchange",
        13 => "CertificateRequest",
        14 => "ServerHelloDone",
        22 => "CertificateStatus",
        _ => "handshake message",
    }
}

//! A second handshake inside a session of TLS 1.2, begun by the client: what is said, and what the answer means. Pure.
//!
//! The hello is the one that an honest client would send (RFC 5746, 3.5): it brings the verify_data of the session's own
//! Finished, which is read from the record in which it was sent. A server that renegotiates has no reason to refuse it.

use rustls::ExtractedSecrets;

use super::hello::{Flight, Offer, Protocol, record, take_record};
use super::probe::Renegotiation;
use super::sealed::Sealed;
use crate::tls::Alert;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// RFC 5246, 7.2.2.
const NO_RENEGOTIATION: u8 = 100;
/// The header of a Finished of TLS 1.2: its type, and the 12 bytes of its verify_data.
const FINISHED: [u8; 4] = [20, 0, 0, 12];

/// A session whose keys are ours.
pub(super) struct Session {
    write: Sealed,
    read: Sealed,
    verify_data: Vec<u8>,
    received: Vec<u8>,
    flight: Flight,
}

impl Session {
    /// Of what rustls gave out after the handshake, and of the bytes that it sent in it.
    pub(super) fn new(secrets: &ExtractedSecrets, sent: &[u8]) -> Result<Self, String> {
        let no_suite = || "its suite is not one whose records can be written here".to_owned();
        let (write, read) = (&secrets.tx, &secrets.rx);
        let first = Sealed::new(0, &write.1).ok_or_else(no_suite)?;
        Ok(Self {
            write: Sealed::new(write.0, &write.1).ok_or_else(no_suite)?,
            read: Sealed::new(read.0, &read.1).ok_or_else(no_suite)?,
            verify_data: verify_data(first, sent)
                .ok_or_else(|| "the end of the first handshake could not be read again".to_owned())?,
            received: Vec::new(),
            flight: Flight::default(),
        })
    }

    /// The record with a hello that asks for another handshake.
    pub(super) fn hello(&mut self, server_name: Option<&str>, random: &[u8; 32]) -> Option<Vec<u8>> {
        let offer = Offer::everything(Protocol::Tls1_2);
        let message = offer.message(server_name, true, random, &self.verify_data);
        self.write.seal(HANDSHAKE, &message)
    }

    /// The record that ends the session.
    pub(super) fn farewell(&mut self) -> Option<Vec<u8>> {
        self.write.seal(ALERT, &[1, 0])
    }

    /// Adds what came back; gives what it means, once that is clear.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Option<Renegotiation> {
        self.received.extend_from_slice(bytes);
        loop {
            let (kind, payload) = match take_record(&mut self.received) {
                Ok(record) => record?,
                Err(fault) => return Some(Renegotiation::Unknown(fault.to_string())),
            };
            let Some(content) = self.read.open(kind, &payload) else {
                return Some(Renegotiation::Unknown(
                    "what came back is not sealed with the session's keys".to_owned(),
                ));
            };
            if let Some(told) = self.record(kind, &content) {
                return Some(told);
            }
        }
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> Option<Renegotiation> {
        match (kind, content) {
            (ALERT, [_, NO_RENEGOTIATION]) => Some(Renegotiation::Refused),
            (ALERT, [level, description]) if *level == 2 || *description == 0 => {
                let alert = Alert(*description);
                Some(Renegotiation::Unknown(format!("it ended the session with alert {alert}")))
            }
            (HANDSHAKE, _) => {
                self.flight.push(&record(kind, Protocol::Tls1_2, content));
                let heard = self.flight.heard();
                match &heard.fault {
                    _ if heard.server_hello.is_some() => Some(Renegotiation::Entered),
                    Some(fault) => Some(Renegotiation::Unknown(fault.to_string())),
                    None => None,
                }
            }
            // Another warning, or words of PostgreSQL: they say nothing of this.
            _ => None,
        }
    }
}

/// That of the Finished in these bytes: it is the first sealed record, behind ChangeCipherSpec.
fn verify_data(mut sealed: Sealed, sent: &[u8]) -> Option<Vec<u8>> {
    let mut records = sent.to_vec();
    let mut changed = false;
    while let Some((kind, payload)) = take_record(&mut records).ok()? {
        if changed {
            return sealed.open(kind, &payload)?.strip_prefix(&FINISHED).map(<[u8]>::to_vec);
        }
        changed = kind == CHANGE_CIPHER_SPEC;
    }
    None
}

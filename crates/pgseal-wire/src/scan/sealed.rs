//! Records of TLS 1.2 under an AEAD, sealed and opened one by one with the keys of a session: what a client says inside
//! TLS that no client of rustls would say.
//!
//! AES-GCM carries half of its nonce in the record (RFC 5288, section 3); ChaCha20-Poly1305 has all of it from the number
//! of the record (RFC 7905, section 2).

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use rustls::ConnectionTrafficSecrets;

use super::hello::{Protocol, record};

/// Bytes of the nonce that an AES-GCM record carries.
const EXPLICIT: usize = 8;
const TAG: usize = 16;

/// One direction of a session.
pub(super) struct Sealed {
    key: LessSafeKey,
    iv: [u8; 12],
    explicit: bool,
    number: u64,
}

impl Sealed {
    /// With these keys, `number` records into it. None where the suite is none of those that rustls has for TLS 1.2.
    pub(super) fn new(number: u64, secrets: &ConnectionTrafficSecrets) -> Option<Self> {
        let (algorithm, key, iv): (&'static Algorithm, _, _) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return None,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).ok()?);
        let iv = iv.as_ref().try_into().ok()?;
        Some(Self { key, iv, explicit: algorithm != &CHACHA20_POLY1305, number })
    }

    /// The next record, whole. None where there is more content than a record holds.
    pub(super) fn seal(&mut self, kind: u8, content: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.nonce();
        let mut sealed = content.to_vec();
        let aad = Aad::from(self.header(kind, content.len())?);
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        let carried = if self.explicit { nonce.get(12 - EXPLICIT..)? } else { &[] };
        self.number += 1;
        Some(record(kind, Protocol::Tls1_2, &[carried, &sealed].concat()))
    }

    /// What the next record holds. None where it is not sealed with these keys.
    pub(super) fn open(&mut self, kind: u8, payload: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = self.nonce();
        let mut sealed = payload;
        if self.explicit {
            let (carried, rest) = payload.split_at_checked(EXPLICIT)?;
            nonce.get_mut(12 - EXPLICIT..)?.copy_from_slice(carried);
            sealed = rest;
        }
        let aad = Aad::from(self.header(kind, sealed.len().checked_sub(TAG)?)?);
        let mut content = sealed.to_vec();
        let length =
            self.key.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut content).ok()?.len();
        content.truncate(length);
        self.number += 1;
        Some(content)
    }

    /// The number of the record, laid over the end of the session's own bytes.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().skip(12 - 8).zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }

    /// What is sealed along (RFC 5246, 6.2.3.3): number, type, version and length.
    fn header(&self, kind: u8, length: usize) -> Option<[u8; 13]> {
        let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
        let [major, minor] = Protocol::Tls1_2.code().to_be_bytes();
        let mut header = [0; 13];
        let (number, rest) = header.split_at_mut(8);
        number.copy_from_slice(&self.number.to_be_bytes());
        rest.copy_from_slice(&[kind, major, minor, high, low]);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::cipher::{AeadKey, Iv};

    use super::super::hello::take_record;
    use super::*;

    fn all() -> [ConnectionTrafficSecrets; 2] {
        let (key, iv) = (|| AeadKey::from([7; 32]), || Iv::from([9; 12]));
        [
            ConnectionTrafficSecrets::Aes256Gcm { key: key(), iv: iv() },
            ConnectionTrafficSecrets::Chacha20Poly1305 { key: key(), iv: iv() },
        ]
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        for secrets in all() {
            let at = |number| Sealed::new(number, &secrets).unwrap();
            let mut bytes = at(3).seal(22, b"hello").unwrap();
            let (kind, payload) = take_record(&mut bytes).unwrap().unwrap();
            assert_eq!(at(3).open(kind, &payload).as_deref(), Some(&b"hello"[..]));
            assert_eq!(at(4).open(kind, &payload), None);
            assert_eq!(at(3).open(21, &payload), None);
            for length in 0..payload.len() {
                assert_eq!(at(3).open(kind, &payload[..length]), None);
            }
        }
    }
}

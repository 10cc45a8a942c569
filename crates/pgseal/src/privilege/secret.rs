//! A secret that is never shown: no Debug, no Display, wiped when dropped.

use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// A password.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Letters and digits that no two fonts confuse: a password people may have to read out.
const ALPHABET: &[u8; 56] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
/// 28 characters of 56 kinds: 162 bits.
const LENGTH: usize = 28;

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// A fresh password from the system's random numbers, every character equally likely.
    pub(crate) fn generate() -> Result<Self> {
        let random = SystemRandom::new();
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        let mut bytes = Zeroizing::new([0_u8; 64]);
        while text.len() < LENGTH {
            random
                .fill(bytes.as_mut_slice())
                .map_err(|_| Failure::new("the system gave no random numbers for a password"))?;
            // 224 is the largest multiple of 56 in a byte: what lies above would favour some.
            let usable = bytes.iter().filter(|byte| **byte < 224);
            for byte in usable.take(LENGTH - text.len()) {
                let index = usize::from(*byte) % ALPHABET.len();
                text.extend(ALPHABET.get(index).map(|byte| char::from(*byte)));
            }
        }
        Ok(Self(text))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_password_is_long_and_never_the_same() {
        let one = Secret::generate().unwrap();
        let two = Secret::generate().unwrap();
        assert_eq!(one.reveal().len(), LENGTH);
        assert!(one.reveal().bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(one.reveal(), two.reveal());
    }

    #[test]
    fn debug_output_of_a_secret_hides_it() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}

//! A certificate's SHA-256 fingerprint, the name by which it is recognised on the wire and on disk.

use std::fmt;
use std::str::FromStr;

/// SHA-256 over a certificate's DER, as `openssl x509 -fingerprint -sha256` computes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of these DER bytes.
    pub fn of(der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    /// Lower-case hexadecimal pairs with colons between: `9f:3c:…:81`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The text was not a SHA-256 fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint is 64 hexadecimal digits, with or without colons between pairs")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads both forms that people copy around: `9F:3C:…` and `9f3c…`, in either case.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        if digits.len() != 64 || text.len() > 95 {
            return Err(FingerprintError);
        }
        let mut bytes = [0; 32];
        for (to, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *to = pair.iter().try_fold(0, |sum: u8, digit| {
                let value = char::from(*digit).to_digit(16).ok_or(FingerprintError)?;
                u8::try_from(u32::from(sum) * 16 + value).map_err(|_| FingerprintError)
            })?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_back_as_it_is_shown() {
        let shown = Fingerprint::of(b"pgseal").to_string();
        assert_eq!(shown.len(), 95);
        assert_eq!(shown.parse(), Ok(Fingerprint::of(b"pgseal")));
        assert_eq!(shown.to_uppercase().replace(':', "").parse(), Ok(Fingerprint::of(b"pgseal")));
    }

    #[test]
    fn other_text_is_no_fingerprint() {
        for text in ["", "9f", &"g".repeat(64), &"9f:".repeat(32), &"é".repeat(32)] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }
}

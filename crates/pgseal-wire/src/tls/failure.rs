//! Why there is no TLS connection, by whose doing.

use std::io;

use pgseal_pki::{ChainRefusal, NameRefusal};

use super::alert::Alert;
use super::client_certificate::ClientCertificateError;
use super::roots::NoRoots;
use super::verifier::Seen;
use super::wish::UnspeakableVersions;
use crate::deadline::Step;
use crate::libpq::LibpqVersion;
use crate::wire_error::WireError;

/// Why a handshake did not lead to a connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HandshakeFailure {
    /// The wish itself cannot be tried.
    #[error(transparent)]
    Versions(#[from] UnspeakableVersions),
    /// The roots that were to be used cannot be had.
    #[error("{0}")]
    Roots(NoRoots),
    /// The client's own certificate cannot be shown.
    #[error(transparent)]
    ClientCertificate(ClientCertificateError),
    /// The server broke off with an alert.
    #[error("the server ended the TLS handshake with the alert {0}")]
    Alert(Alert),
    /// What came back is no TLS, or broken TLS.
    #[error("the answer to the TLS handshake is no sound TLS: {0}")]
    NotTls(String),
    /// The server speaks TLS, and nothing that rustls speaks.
    #[error("the server's TLS and ours have nothing in common: {0}")]
    NothingInCommon(String),
    /// The server broke a rule of TLS.
    #[error("the server broke a rule of TLS: {0}")]
    Misbehaved(String),
    /// A presented certificate cannot be read.
    #[error("the server's certificate number {place} cannot be read: {why}")]
    Unreadable {
        /// Its place in what was presented, 1 is the leaf.
        place: usize,
        /// What is wrong.
        why: String,
    },
    /// The handshake is not signed by the presented certificate's key.
    #[error("the server could not prove that it holds the key of its certificate")]
    NotItsKey,
    /// The chain leads to none of our roots.
    #[error("certificate verify failed: {0}")]
    Chain(ChainRefusal),
    /// The chain is good and the name is another's.
    #[error("{0}")]
    Name(NameRefusal),
    /// Direct TLS without ALPN: whatever answered, it is no PostgreSQL that speaks direct TLS.
    #[error("direct SSL connection was established without ALPN protocol negotiation extension")]
    NoAlpn,
    /// The conversation broke off.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl HandshakeFailure {
    /// What this libpq would print for it, where it has a stable text.
    pub fn libpq_text(&self, libpq: LibpqVersion) -> Option<String> {
        Some(match self {
            Self::Chain(_) => "SSL error: certificate verify failed".to_owned(),
            Self::Alert(alert) => format!("SSL error: {}", alert.openssl_text()?),
            Self::Name(name) => name.to_string(),
            Self::NoAlpn => self.to_string(),
            Self::Roots(none) => none.libpq_text(libpq),
            Self::ClientCertificate(error) if !error.is_ours() => error.to_string(),
            Self::Versions(UnspeakableVersions::Reversed { .. }) => {
                "invalid SSL protocol version range".to_owned()
            }
            _ => return None,
        })
    }

    /// Whether it says more about this crate than about the server: libpq with OpenSSL might get further.
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Versions(UnspeakableVersions::TooOld { .. })
            | Self::NothingInCommon(_)
            | Self::Unreadable { .. }
            | Self::Misbehaved(_) => true,
            Self::ClientCertificate(error) => error.is_ours(),
            _ => false,
        }
    }

    /// Sorts what rustls said, with what the verifier saw.
    pub(crate) fn of(error: &io::Error, seen: &Seen) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return Self::Wire(WireError::of_io(Step::Handshake, error));
        };
        if let Some((place, why)) = &seen.unreadable {
            return Self::Unreadable { place: *place, why: why.clone() };
        }
        if let super::facts::ChainVerdict::Refused(refusal) = &seen.verdict {
            return Self::Chain(refusal.clone());
        }
        Self::of_rustls(tls)
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::AlertReceived(alert) => Self::Alert(Alert(u8::from(*alert))),
            E::InvalidCertificate(_) => Self::NotItsKey,
            E::PeerIncompatible(why) => Self::NothingInCommon(words(&format!("{why:?}"))),
            E::PeerMisbehaved(why) => Self::Misbehaved(words(&format!("{why:?}"))),
            E::InvalidMessage(why) => Self::NotTls(words(&format!("{why:?}"))),
            E::NoCertificatesPresented => Self::Misbehaved("no certificate".to_owned()),
            E::DecryptError => Self::NotTls("a record that does not decrypt".to_owned()),
            E::PeerSentOversizedRecord => Self::NotTls("an oversized record".to_owned()),
            E::InappropriateMessage { .. } | E::InappropriateHandshakeMessage { .. } => {
                Self::Misbehaved("a message out of turn".to_owned())
            }
            other => Self::NotTls(other.to_string()),
        }
    }
}

/// `NoCipherSuitesInCommon` as words: `no cipher suites in common`; `MissingData("random")` as
/// `missing data: random`.
fn words(name: &str) -> String {
    let (name, subject) = name.split_once('(').unwrap_or((name, ""));
    let mut text = String::new();
    let mut before = None;
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_small = letters.peek().is_some_and(char::is_ascii_lowercase);
        let after_small = before.is_some_and(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if letter.is_ascii_uppercase() {
            if after_small || (next_is_small && before.is_some_and(|c: char| c.is_ascii_alphanumeric())) {
                text.push(' ');
            }
            if next_is_small || before.is_none() || after_small {
                text.push(letter.to_ascii_lowercase());
            } else {
                text.push(letter);
            }
        } else {
            text.push(letter);
        }
        before = Some(letter);
    }
    let subject = subject.trim_matches(['(', ')', '"']);
    if subject.is_empty() { text } else { format!("{text}: {subject}") }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn an_inner_name_is_shown_as_words() {
        assert_eq!(words("NoCipherSuitesInCommon"), "no cipher suites in common");
        assert_eq!(words("InvalidCcs"), "invalid ccs");
        assert_eq!(words("Tls12NotOffered"), "tls12 not offered");
        assert_eq!(words("MissingData(\"u16\")"), "missing data: u16");
    }
}

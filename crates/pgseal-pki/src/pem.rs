//! PEM text (RFC 7468).

use pkcs8::der::pem::{LineEnding, encode_string};
use zeroize::Zeroizing;

/// Wraps DER into PEM: lines of 64 characters, a line feed at the end.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    // The encoder refuses only labels that are not ours and lengths past usize.
    Zeroizing::new(encode_string(label, LineEnding::LF, der).unwrap_or_default())
}

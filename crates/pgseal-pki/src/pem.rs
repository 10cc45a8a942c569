//! PEM text (RFC 7468): written, and cut into blocks as OpenSSL would read them.
//!
//! Knows labels, lines and base64; what stands in a block is for [`crate::bundle`].

use pkcs8::der::pem::{LineEnding, encode_string};
use rustls_pki_types::pem::{SectionKind, SliceIter};
use zeroize::Zeroizing;

/// Wraps DER into PEM: lines of 64 characters, a line feed at the end.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    // The encoder refuses only labels that are not ours and lengths past usize.
    Zeroizing::new(encode_string(label, LineEnding::LF, der).unwrap_or_default())
}

/// One block of a PEM text, not decoded yet.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    /// Line of its `BEGIN`, from 1.
    pub(crate) line: usize,
    body: Vec<&'a [u8]>,
}

/// What a PEM text holds, in order.
pub(crate) enum Part<'a> {
    Block(Block<'a>),
    /// A run of lines outside of blocks, empty lines aside.
    Text {
        /// First of its lines, from 1.
        line: usize,
        /// How many.
        count: usize,
    },
}

/// Why a text could not be cut.
pub(crate) enum CutError {
    /// `BEGIN` without its `END`.
    Unterminated { line: usize, label: String },
    /// More parts than are read.
    TooMany,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Cuts a text into at most `most` parts.
pub(crate) fn parts(text: &[u8], most: usize) -> Result<Vec<Part<'_>>, CutError> {
    let mut parts = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        let number = index + 1;
        if let Some(mut block) = open.take() {
            match marker(line, END) {
                Some(label) if label == block.label => parts.push(Part::Block(block)),
                _ if marker(line, BEGIN).is_some() => return Err(unterminated(&block)),
                _ => {
                    block.body.push(line);
                    open = Some(block);
                }
            }
        } else if let Some(label) = marker(line, BEGIN) {
            open = Some(Block { label, line: number, body: Vec::new() });
        } else if !line.is_empty() {
            match parts.last_mut() {
                Some(Part::Text { count, .. }) => *count += 1,
                _ => parts.push(Part::Text { line: number, count: 1 }),
            }
        }
        if parts.len() > most {
            return Err(CutError::TooMany);
        }
    }
    match open {
        Some(block) => Err(unterminated(&block)),
        None => Ok(parts),
    }
}

fn unterminated(block: &Block<'_>) -> CutError {
    CutError::Unterminated { line: block.line, label: block.label.to_owned() }
}

/// The label of a `BEGIN` or `END` line.
fn marker<'a>(line: &'a [u8], kind: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(kind)?.strip_suffix(DASHES)?;
    let plain = label.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    (plain && label.len() <= 64).then_some(std::str::from_utf8(label).ok()?)
}

impl Block<'_> {
    /// True for OpenSSL's old encrypted keys, which carry headers (RFC 1421).
    pub(crate) fn has_headers(&self) -> bool {
        self.body.iter().any(|line| line.contains(&b':'))
    }

    /// The bytes in the block; None where they are no base64. Decoded in constant time, since it
    /// may be a private key.
    pub(crate) fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let size = self.body.iter().map(|line| line.len() + 1).sum::<usize>() + 80;
        let mut text = Zeroizing::new(Vec::with_capacity(size));
        text.extend(b"-----BEGIN PRIVATE KEY-----\n");
        for line in &self.body {
            text.extend(*line);
            text.push(b'\n');
        }
        text.extend(b"-----END PRIVATE KEY-----\n");
        let (_, der): (SectionKind, Vec<u8>) = SliceIter::new(&text).next()?.ok()?;
        Some(Zeroizing::new(der))
    }
}

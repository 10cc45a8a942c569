//! The few strokes of DER that are needed beside the parsers: cut one element off the front of a
//! slice, and write one element.
//!
//! Knows tags and definite lengths; refuses to know what an element means.

/// Universal tag of a SEQUENCE, constructed bit set.
pub(crate) const SEQUENCE: u8 = 0x30;
/// Universal tag of a SET, constructed bit set.
pub(crate) const SET: u8 = 0x31;
/// Universal tag of an INTEGER.
pub(crate) const INTEGER: u8 = 0x02;
/// Universal tag of a BIT STRING.
pub(crate) const BIT_STRING: u8 = 0x03;
/// Universal tag of an OBJECT IDENTIFIER.
pub(crate) const OID: u8 = 0x06;
/// Context tag 0, constructed: the version of a certificate.
pub(crate) const VERSION: u8 = 0xa0;

/// One element: its tag byte, its content, and the whole of it with its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

/// Cuts the first element off `input`; gives the element and what follows it.
///
/// Refuses indefinite lengths, lengths of more than four bytes and multi-byte tags: none of them
/// occur in the outer frame of a certificate (X.690 section 10.1).
pub(crate) fn cut(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        let length = bytes.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        (length, rest)
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = input.get(..input.len() - after.len())?;
    Some((Element { tag, content, whole }, after))
}

/// Cuts one element that must bear `tag`.
pub(crate) fn expect(input: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    cut(input).filter(|(element, _)| element.tag == tag)
}

/// The bytes of a BIT STRING whose length is a multiple of eight bits, as every public key and
/// signature of RFC 5280 has it.
pub(crate) fn whole_bytes(bit_string: &[u8]) -> Option<&[u8]> {
    match bit_string.split_first() {
        Some((0, bytes)) => Some(bytes),
        _ => None,
    }
}

/// Writes one element with a definite length of the fewest bytes (X.690 section 10.1).
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = content.len().to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let length = bytes.get(zeros..).unwrap_or_default();
            // At most eight bytes.
            out.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            out.extend(length);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_cut_with_its_header() {
        let (element, rest) = cut(&[0x04, 0x02, 1, 2, 9]).unwrap();
        assert_eq!((element.tag, element.content, rest), (4, &[1, 2][..], &[9][..]));
        assert_eq!(element.whole, &[4, 2, 1, 2]);
    }

    #[test]
    fn what_is_written_is_cut_again() {
        for length in [0, 1, 127, 128, 255, 256, 65_536] {
            let content = vec![7; length];
            let written = element(OID, &content);
            let (cut_again, rest) = cut(&written).unwrap();
            assert_eq!((cut_again.tag, cut_again.content, rest), (OID, content.as_slice(), &[][..]));
        }
    }

    #[test]
    fn a_length_past_the_end_is_refused() {
        assert!(cut(&[0x04, 0x03, 1, 2]).is_none());
        assert!(cut(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(cut(&[0x04, 0x80, 0, 0]).is_none());
        assert!(cut(&[]).is_none());
    }
}

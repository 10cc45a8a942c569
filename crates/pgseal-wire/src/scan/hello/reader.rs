//! Bytes taken off the front, each step checked.

/// What is left of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        match self.take(3)? {
            [a, b, c] => Some(usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c)),
            _ => None,
        }
    }

    /// A vector with one byte of length (RFC 8446, 3.4).
    pub(super) fn short(&mut self) -> Option<Self> {
        let length = self.u8()?;
        self.take(usize::from(length)).map(Self)
    }

    /// A vector with two bytes of length.
    pub(super) fn vector(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.take(usize::from(length)).map(Self)
    }

    /// A vector with three bytes of length.
    pub(super) fn long(&mut self) -> Option<Self> {
        let length = self.u24()?;
        self.take(length).map(Self)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

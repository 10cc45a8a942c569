//! A stream that tokio-postgres believes to be fresh, though the login on it is done.
//!
//! Its startup packet is swallowed, and what the server said at the login is said once more. From
//! then on bytes pass as they come, with an eye on lengths: tokio-postgres takes a message of any
//! size into memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// `AuthenticationOk`.
const AUTHENTICATION_OK: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

/// The longest message of a session, body and length field. Rows of pgseal's own queries are
/// small; a postgresql.conf or a log excerpt read over SQL may have some megabytes.
const MAX_MESSAGE: u32 = 64 * 1024 * 1024;

/// The most that may come between one `ReadyForQuery` and the next: an answer is gathered in memory, and one
/// of endless rows would fill it.
const MAX_ANSWER: u64 = 128 * 1024 * 1024;

/// `ReadyForQuery`, the end of every answer.
const READY_FOR_QUERY: u8 = b'Z';

pub(super) struct Handover {
    stream: Stream,
    swallow: Swallow,
    replay: Vec<u8>,
    replayed: usize,
    guard: LengthGuard,
}

impl Handover {
    /// `replay` is what followed `AuthenticationOk`.
    pub(super) fn new(stream: Stream, replay: &[u8]) -> Self {
        let mut told = AUTHENTICATION_OK.to_vec();
        told.extend_from_slice(replay);
        Self { stream, swallow: Swallow::default(), replay: told, replayed: 0, guard: LengthGuard::default() }
    }
}

impl AsyncRead for Handover {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = this.replay.get(this.replayed..).unwrap_or_default();
        if !left.is_empty() {
            let count = left.len().min(buf.remaining());
            buf.put_slice(left.get(..count).unwrap_or_default());
            this.replayed += count;
            if this.replayed == this.replay.len() {
                this.replay = Vec::new();
                this.replayed = 0;
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        Poll::Ready(this.guard.watch(fresh))
    }
}

impl AsyncWrite for Handover {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let swallowed = this.swallow.take(buf);
        if swallowed > 0 {
            return Poll::Ready(Ok(swallowed));
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The startup packet: four bytes of length that count themselves, and the rest.
#[derive(Debug, Default)]
enum Swallow {
    #[default]
    Begin,
    Header {
        digits: [u8; 4],
        have: usize,
    },
    Body {
        left: usize,
    },
    Done,
}

impl Swallow {
    /// How many bytes at the front of `bytes` belong to the startup packet.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for byte in bytes {
            match self {
                Self::Done => break,
                Self::Begin => {
                    let digits = [*byte, 0, 0, 0];
                    *self = Self::Header { digits, have: 1 };
                }
                Self::Header { digits, have } => {
                    if let Some(digit) = digits.get_mut(*have) {
                        *digit = *byte;
                    }
                    *have += 1;
                    if *have == 4 {
                        let length = u32::from_be_bytes(*digits);
                        let left = usize::try_from(length).unwrap_or_default().saturating_sub(4);
                        *self = if left == 0 { Self::Done } else { Self::Body { left } };
                    }
                }
                Self::Body { left } => {
                    *left -= 1;
                    if *left == 0 {
                        *self = Self::Done;
                    }
                }
            }
            taken += 1;
        }
        taken
    }
}

/// Follows the messages that pass, and refuses the first that is too long, or that makes its answer so.
#[derive(Debug, Default)]
struct LengthGuard {
    header: [u8; 5],
    have: usize,
    left: usize,
    /// Bytes since the last answer's end.
    answered: u64,
}

impl LengthGuard {
    fn watch(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.header.get_mut(self.have) {
                *place = *first;
            }
            self.have += 1;
            bytes = rest;
            if self.have == self.header.len() {
                self.have = 0;
                let [kind, a, b, c, d] = self.header;
                let length = u32::from_be_bytes([a, b, c, d]);
                if length > MAX_MESSAGE {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the server announced a message of {length} bytes"),
                    ));
                }
                self.answered += u64::from(length) + 1;
                if self.answered > MAX_ANSWER {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the server's answer has more than {MAX_ANSWER} bytes"),
                    ));
                }
                if kind == READY_FOR_QUERY {
                    self.answered = 0;
                }
                self.left = usize::try_from(length).unwrap_or_default().saturating_sub(4);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exactly_the_startup_packet_is_swallowed_however_it_is_cut(
            body in 0_u16..600, tail in 0_usize..50, cut in 1_usize..40,
        ) {
            let mut bytes = (u32::from(body) + 4).to_be_bytes().to_vec();
            bytes.extend(vec![7; usize::from(body)]);
            let packet = bytes.len();
            bytes.extend(vec![9; tail]);
            let mut swallow = Swallow::default();
            let mut passed = Vec::new();
            for chunk in bytes.chunks(cut) {
                let taken = swallow.take(chunk);
                passed.extend_from_slice(&chunk[taken..]);
            }
            prop_assert_eq!(passed.len(), bytes.len() - packet);
        }

        #[test]
        fn a_message_that_is_too_long_is_seen_however_it_is_cut(
            bodies in prop::collection::vec(0_usize..300, 0..8), cut in 1_usize..64,
        ) {
            let mut bytes = Vec::new();
            for body in &bodies {
                bytes.push(b'D');
                bytes.extend(u32::try_from(body + 4).unwrap().to_be_bytes());
                bytes.extend(vec![0xff; *body]);
            }
            let mut guard = LengthGuard::default();
            for chunk in bytes.chunks(cut) {
                guard.watch(chunk).unwrap();
            }
            let mut found = false;
            for chunk in [b'D', 0x7f, 0, 0, 0].chunks(cut) {
                found |= guard.watch(chunk).is_err();
            }
            prop_assert!(found);
        }
    }

    #[test]
    fn an_answer_without_an_end_is_refused_and_many_small_ones_are_not() {
        const ROW: usize = 1 << 20;
        let message = |kind: u8| {
            let mut bytes = vec![kind];
            bytes.extend(u32::try_from(ROW).unwrap().to_be_bytes());
            bytes.resize(ROW + 1, 0);
            bytes
        };
        let (row, end) = (message(b'D'), message(READY_FOR_QUERY));
        let mut guard = LengthGuard::default();
        for _ in 0..300 {
            guard.watch(&row).unwrap();
            guard.watch(&end).unwrap();
        }
        assert!((0..300).any(|_| guard.watch(&row).is_err()));
    }
}

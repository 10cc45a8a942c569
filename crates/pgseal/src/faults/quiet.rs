//! The points at which a test may end or fail this program: in what people run, nothing at all.
//!
//! What the tests run instead is `armed.rs`. Which of the two a program has is said in its `main.rs` or
//! `faulty.rs`; no feature and no variable of the environment puts the other one in.

use std::io;
use std::path::Path;

/// Variables that a delegate is to hear of, too.
pub(crate) const HANDED_DOWN: [&str; 0] = [];

/// A boundary between two steps.
#[inline]
pub(crate) const fn step(_name: &str) {}

/// Just before something on the disk changes.
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "what the tests run may say no")]
pub(crate) const fn change(_name: &str, _path: &Path) -> io::Result<()> {
    Ok(())
}

/// Just before the disk is looked at.
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "what the tests run may say no")]
pub(crate) const fn look(_name: &str, _path: &Path) -> io::Result<()> {
    Ok(())
}

/// The parts in which bytes are written.
#[inline]
pub(crate) const fn parts(bytes: &[u8]) -> [&[u8]; 1] {
    [bytes]
}

/// A delegate has ended unasked.
#[inline]
pub(crate) const fn delegate_ended() {}

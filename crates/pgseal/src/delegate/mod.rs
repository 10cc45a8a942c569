//! The delegate: this program again, in another user's name. The two ends of its pipe, and what is
//! said over it.

pub(crate) mod deeds;
pub(crate) mod message;
mod process;

pub(crate) use process::{ARGUMENT, Delegate};

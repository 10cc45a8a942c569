//! Connecting as libpq does: in its order, with its retries, in its words.
//!
//! Knows what each sslmode tries, and when it tries again without TLS or with it. Every attempt is
//! recorded as plain data: `prefer: TLS, chain refused → again in plaintext → connected WITHOUT
//! encryption` is something that people must be told.

mod attempt;
mod options;
mod parameters;
mod plan;
mod target_session;
mod walk;
mod words;

pub use attempt::{Attempt, AttemptOutcome, AttemptStep};
pub use options::{ConnectOptions, GssEncMode, InvalidGssEncMode, InvalidOptions};
pub use parameters::{Parameter, understand};
pub use target_session::{InvalidTargetSession, TargetSession, Unsuitable};
pub use walk::{ConnectError, Connected, Reached, connect, reach};

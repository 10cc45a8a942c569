//! Everything that a server's wire tells to somebody without a password.
//!
//! A scan is a conversation with itself: [`next_probes`] says what to ask, given what is known; [`learn`] adds an answer to
//! what is known; both are pure. A driver ([`scan`]) carries questions to a server and answers back, so that a
//! conversation that was recorded can be played again ([`Recording`]).
//!
//! One question is one connection. Most are a [`hello::Offer`] that is never followed by a key exchange; only what is asked
//! under TLS does a whole handshake, by rustls.

mod candidates;
mod driver;
mod estimate;
pub mod hello;
mod hunt;
mod knowledge;
mod learn;
mod log;
mod plan;
mod probe;
mod renegotiation;
mod sealed;
mod told;

pub use driver::{Limits, Recording, Target, greet, scan, scan_recorded};
pub use estimate::Estimate;
pub use hunt::{Hunt, Preference, Trial};
pub use knowledge::{Features, Knowledge, MOST_CONNECTIONS, StartupKey, Wish};
pub use learn::learn;
pub use plan::{next_probes, unfinished};
pub use probe::{
    Answer, End, Failed, Outcome, Probe, Question, Renegotiation, Seen, SslReply, Startup, StrayReply,
    Stuffing,
};
pub use told::Told;

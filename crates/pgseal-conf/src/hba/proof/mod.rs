//! What holds for every connection at once: whether any is let in without TLS, which rules are dead, where a method can
//! be reached and from which addresses. An answer is *no*, *yes* with a connection that proves it, or what it hinges on.
//!
//! Refuses to guess: roles and interfaces are unknown unless given, host names always, and what an expression matches
//! where it is not understood.

mod answers;
mod cover;
mod cube;
mod hinges;
mod interval;
mod lower;
mod question;
mod shelf;
mod sweep;
mod universe;
mod witness;

pub use answers::{
    AddressSpan, Reach, admission, local_path, plaintext_path, reach, reachable, without_client_certificate,
};
pub use question::{NoPath, Purposes, Question, Unclear, Verdict, Witness, WitnessAddress, WitnessName};

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;

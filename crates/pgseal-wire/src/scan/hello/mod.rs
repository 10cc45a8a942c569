//! Hellos: those that ask, and the server's flight that answers. Pure; sockets are others' business.

mod client;
mod flight;
mod message;
mod protocol;
mod reader;
#[cfg(test)]
mod tests;

pub use client::Offer;
pub(super) use client::record;
pub(super) use flight::take_record;
pub use flight::{Fault, Flight, Heard};
pub use message::{CertificateRequest, KeyExchange, ServerHello};
pub use protocol::Protocol;

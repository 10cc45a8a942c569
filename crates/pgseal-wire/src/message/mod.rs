//! The PostgreSQL messages of a connection's first moments, without any I/O.
//!
//! Knows the protocol up to `ReadyForQuery` (protocol.sgml, "Message Formats"); SQL is left to
//! tokio-postgres. Everything read here is hostile: every length is bounded.

mod authentication;
mod backend;
mod frame;
mod frontend;
mod server_error;
mod startup;
#[cfg(test)]
mod tests;

pub use authentication::AuthenticationRequest;
pub use backend::BackendMessage;
pub use frame::{DecodeError, Frame, FrameReader};
pub use frontend::{password_message, sasl_initial_response, sasl_response};
pub use server_error::{ServerError, SqlState};
pub use startup::{
    GSSENC_REQUEST, MAX_STARTUP_PACKET, ProtocolVersion, Replication, SSL_REQUEST, StartupError,
    StartupParameters,
};

//! PostgreSQL configuration as PostgreSQL reads it. Pure: no files, no sockets, no clock.
#![warn(missing_docs)]

pub mod block;
pub mod conninfo;
mod version;

pub use version::{PgVersion, UnknownVersion};

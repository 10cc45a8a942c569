//! Connection strings, URIs, service files and password files, as libpq reads them (`fe-connect.c`, 12 to 19).
//!
//! Knows the text forms and their escaping. Refuses to know where files lie, what the environment says (the caller
//! passes a look-up) and what a value means beyond its place: `sslmode=bogus` parses here, as it does in libpq.

mod defaults;
mod error;
mod hosts;
mod keyword;
mod options;
mod parse;
pub mod pgpass;
mod render;
pub mod service;
mod uri;

pub use defaults::Environment;
pub use error::ConninfoError;
pub use hosts::{Endpoint, HostSpec};
pub use keyword::Keyword;
pub use options::Conninfo;
pub use parse::{is_connection_string, is_uri};
pub use render::Secrets;

#[cfg(test)]
mod tests;

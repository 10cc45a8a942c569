#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod auth;
pub mod block;
mod byte_string;
pub mod conninfo;
pub mod files;
pub mod hba;
pub mod ident;
pub mod regex;
pub mod settings;
mod version;

pub use byte_string::ByteString;
pub use version::{PgVersion, UnknownVersion};

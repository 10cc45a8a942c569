//! `postgresql.conf` as PostgreSQL reads it (`guc-file.l`, the same from 12 to 18): the text without loss, includes,
//! `postgresql.auto.conf`, the command line, and which of several values counts.
//!
//! Knows names, places and order. Refuses to judge values beyond `on` and `off`: the server does that, and says so in
//! `pg_file_settings`.

mod command_line;
mod file;
mod lexer;
mod load;
mod names;

pub use command_line::{CommandLine, CommandLineSetting, postmaster_opts};
pub use file::{ConfFile, ConfLine, Statement};
pub use lexer::{parse_bool, quote};
pub use load::{Effective, ErrorLimit, FileError, FileSetting, Settings};
pub use names::is_parameter;

#[cfg(test)]
mod tests;

//! The lexical form that `pg_hba.conf` and `pg_ident.conf` share (`hba.c`): lines and their continuation, tokens,
//! fields, files named by `@` and `include`. Refuses to know what a field means.

mod expand;
mod file;
mod lines;
mod token;

pub use file::{AuthFile, Field, FileTooLarge, Line, LineFault, Token};

pub(crate) use expand::{Record, Word, expand};

//! `pg_ident.conf`: which authenticated name may be which database user, for the methods that take `map=` (`hba.c`).
//!
//! The form is that of `pg_hba.conf`, three fields to a line. A mistake costs less here: PostgreSQL logs it and keeps the
//! maps it had. Refuses to know who authenticated a name.

mod load;
mod mapping;

pub use load::{Entry, Maps};
pub use mapping::{Mapped, Mapping};

#[cfg(test)]
mod tests;

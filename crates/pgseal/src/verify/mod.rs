//! Proving it: every claim taken from the wire and from a real session, never from `SHOW ssl`.

mod answer;
mod certificate;
pub(crate) mod claim;
pub(crate) mod database;
mod modes;
mod passwords;
mod plaintext;
mod prove;
mod session;
pub(crate) mod sql;
pub(crate) mod subject;
pub(crate) mod target;
mod tls;

pub(crate) use prove::prove;

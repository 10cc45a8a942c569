//! Proving it: every claim taken from the wire and from a real session, never from `SHOW ssl`.

pub(crate) mod administrator;
mod certificate;
pub(crate) mod claim;
pub(crate) mod database;
mod hba;
mod modes;
mod passwords;
mod plaintext;
mod prove;
mod session;
pub(crate) mod subject;
pub(crate) mod target;
mod tls;

pub(crate) use prove::prove;

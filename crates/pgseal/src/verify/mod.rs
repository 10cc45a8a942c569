//! Proving it: every claim taken from the wire and from a real session, never from `SHOW ssl`.

pub(crate) mod administrator;
mod certificate;
pub(crate) mod claim;
mod clients;
mod hba;
mod modes;
mod passwords;
mod plaintext;
mod prove;
pub(crate) mod session;
pub(crate) mod subject;
mod tls;

pub(crate) use prove::{prove, prove_with};

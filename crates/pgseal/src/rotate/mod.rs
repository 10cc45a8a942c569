//! A new certificate for a server that lives, with nobody noticing: one rename, one reload, a look at the wire; back
//! again when it does not show.

mod apply;
mod choose;
mod contained;
mod copies;
pub(crate) mod drill;
mod encrypted;
pub(crate) mod hook;
mod plan;
mod prove;
mod ready;
pub(crate) mod run;
mod seat;
pub(crate) mod wire;
pub(crate) mod wish;

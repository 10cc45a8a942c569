//! A scan in every form: for people, for programs, for CI and monitoring. Every foreign byte is made harmless for its form.

pub(crate) mod document;
pub(crate) mod fleet;
pub(crate) mod human;
mod intrusive;
mod renegotiation;
pub(crate) mod row;
mod verbose;

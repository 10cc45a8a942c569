//! Servers seen from outside, without credentials: found out by pgseal-wire, judged here, shown in many forms.
//!
//! Knows targets, trust, policies, findings and grades. Refuses to know how a question reaches a server.

pub(crate) mod authentication;
pub(crate) mod baseline;
pub(crate) mod chain;
pub(crate) mod fleet;
pub(crate) mod judge;
pub(crate) mod report;
pub(crate) mod scanned;
pub(crate) mod show;
pub(crate) mod target;

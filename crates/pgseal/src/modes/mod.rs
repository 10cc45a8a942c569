//! The sslmode table of a server, live: what each mode comes to with each kind of root file, what somebody who listens
//! learns of it, and what somebody in the middle can make of it.

pub(crate) mod advice;
pub(crate) mod against;
pub(crate) mod certificate;
pub(crate) mod onlookers;
pub(crate) mod survey;

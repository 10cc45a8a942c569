//! The server of a compose service: what its project does to it, and a change for which the container has to be made
//! anew. Where a reload is enough nothing here is needed.

mod edit;
pub(crate) mod judge;
mod masks;
pub(super) mod put_back;
pub(crate) mod run;
mod start;

pub(crate) use edit::ComposeStep;

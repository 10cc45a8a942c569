//! Root, other people's directories, and keys: who may touch what, and in whose name.
//!
//! Everything that happens on a path which the server's user can write, or which the server named,
//! happens in a [`delegate`](crate::delegate): this program again, as that user, with a clean environment. What root
//! itself runs or reads must be [`trusted`]: root's own, and writable by nobody else.

pub(crate) mod files;
pub(crate) mod secret;
pub(crate) mod trusted;
pub(crate) mod user;
pub(crate) mod whose;

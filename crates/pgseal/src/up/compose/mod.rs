//! A new sealed server in a container: a compose project whose key, certificate and rules lie in a volume before the
//! container first starts.

pub(crate) mod dry_run;
pub(crate) mod observe;
pub(crate) mod plan;
mod ready;
pub(crate) mod run;
pub(crate) mod undo;

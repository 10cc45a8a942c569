//! PostgreSQL servers on this machine: their processes, their ports, what they say.

pub(crate) mod machine;
pub(crate) mod pidfile;
pub(crate) mod port;
pub(crate) mod postmaster;
pub(crate) mod process;
pub(crate) mod said;
pub(crate) mod stragglers;
pub(crate) mod version;

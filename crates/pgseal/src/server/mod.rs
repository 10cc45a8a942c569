//! PostgreSQL servers on this machine: their programs, their processes, their ports.

pub(crate) mod binaries;
pub(crate) mod control;
pub(crate) mod pidfile;
pub(crate) mod port;
pub(crate) mod postmaster;
pub(crate) mod said;
pub(crate) mod stragglers;
pub(crate) mod version;

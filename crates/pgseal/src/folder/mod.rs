//! A folder made by `pgseal up`: what lies where in it, what was asked for, what state it is in.

pub(crate) mod authority;
pub(crate) mod client_files;
pub(crate) mod configuration;
pub(crate) mod control;
pub(crate) mod issued;
pub(crate) mod layout;
pub(crate) mod lock;
pub(crate) mod settings;
pub(crate) mod state;

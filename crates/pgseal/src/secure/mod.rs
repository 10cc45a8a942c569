//! A server that lives, taken to TLS and then to TLS only: observe, judge, plan, apply, verify; back
//! again when it does not verify.

pub(crate) mod apply;
mod authentication;
pub(crate) mod certificate;
mod client_rules;
pub(crate) mod clients;
pub(crate) mod composed;
pub(crate) mod examine;
pub(crate) mod facts;
pub(crate) mod fixed;
pub(crate) mod judge;
pub(crate) mod lockout;
pub(crate) mod log;
mod log_lines;
mod managed;
pub(crate) mod observe;
mod offline;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod present;
pub(crate) mod previous_keys;
pub(crate) mod prove;
pub(crate) mod recover;
pub(crate) mod remote;
pub(crate) mod restart;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod saved;
mod sessions_end;
pub(crate) mod settings;
mod stopped;
pub(crate) mod trust;
mod upgrade;
pub(crate) mod view;
pub(crate) mod watcher;
pub(crate) mod wish;

//! A server that lives, taken to TLS and then to TLS only: observe, judge, plan, apply, verify; back
//! again when it does not verify.

mod apply;
mod authentication;
pub(crate) mod certificate;
pub(crate) mod examine;
pub(crate) mod facts;
mod judge;
pub(crate) mod lockout;
mod log;
mod managed;
mod observe;
pub(crate) mod plan;
mod present;
mod prove;
pub(crate) mod recover;
pub(crate) mod remote;
mod restart;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod saved;
mod sessions_end;
mod settings;
mod view;
pub(crate) mod watcher;
pub(crate) mod wish;

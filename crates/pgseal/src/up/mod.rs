//! A new sealed server: observe what is there, plan every byte, make it, prove it.

mod binaries;
pub(crate) mod compose;
mod database;
pub(crate) mod dry_run;
pub(crate) mod make;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod undo;
pub(crate) mod wish;

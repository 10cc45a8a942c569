//! What scenarios stand on: real servers of chosen versions, the built binary, and places that are cleaned up.
//!
//! It knows how to start, change and stop things, and nothing of what pgseal promises. What it needs and does not find
//! fails the test with a sentence that says how to get it; nothing is ever skipped.
//! It runs on Linux: stray processes are found through `/proc`.

mod account;
mod cluster;
mod depth;
mod dice;
mod forge;
mod impostor;
mod install;
mod pgseal;
mod picture;
mod port;
mod process;
mod proof;
mod psql;
mod sandbox;
mod schema;
mod sealed;
mod server;
mod shelf;
mod stray;
mod template;

pub(crate) use account::Account;
pub(crate) use cluster::Cluster;
pub(crate) use depth::{record, samples, versions, versions_in_turn};
pub(crate) use dice::Dice;
pub(crate) use forge::{Forge, Forged, leaf_params, this_year};
pub(crate) use impostor::{Impostor, asks_cleartext, asks_md5, asks_scram, refuses, tls};
pub(crate) use install::{Install, project};
pub(crate) use pgseal::Pgseal;
pub(crate) use picture::{Pictured, picture};
pub(crate) use port::Port;
pub(crate) use process::{Ran, Running};
pub(crate) use proof::{Holds, NO, UNTOLD, all_hold, all_hold_but, claim, claims};
pub(crate) use psql::Psql;
pub(crate) use rustix::process::Signal;
pub(crate) use sandbox::Sandbox;
pub(crate) use schema::Schema;
pub(crate) use sealed::Sealed;
pub(crate) use server::Server;
pub(crate) use template::{PASSWORD, SUPERUSER};

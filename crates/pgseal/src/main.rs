//! pgseal: turns TLS on for any PostgreSQL, proves it on the wire, and keeps it on.

mod certs;
mod cli;
mod client;
mod compose;
mod delegate;
mod doctor;
mod export;
mod failure;
#[path = "faults/quiet.rs"]
mod faults;
mod findings;
mod folder;
mod hba;
mod interrupt;
mod journal;
mod modes;
mod place;
mod policy;
mod privilege;
mod report;
mod rotate;
mod scan;
mod secure;
mod server;
mod sessions;
mod sql;
mod start;
mod target;
mod up;
mod verify;

fn main() -> std::process::ExitCode {
    start::main()
}

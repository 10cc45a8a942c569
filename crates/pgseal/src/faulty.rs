//! pgseal as the tests run it where it is to be killed or to meet a disk that refuses: the same program
//! with `faults/armed.rs` in the place of `faults/quiet.rs`.

mod certs;
mod cli;
mod client;
mod compose;
mod delegate;
mod doctor;
mod export;
mod failure;
#[path = "faults/armed.rs"]
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

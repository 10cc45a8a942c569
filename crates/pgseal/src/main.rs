//! pgseal: turns TLS on for any PostgreSQL, proves it on the wire, and keeps it on.

mod cli;
mod delegate;
mod failure;
mod folder;
mod hba;
mod interrupt;
mod journal;
mod place;
mod policy;
mod privilege;
mod report;
mod secure;
mod server;
mod sessions;
mod sql;
mod target;
mod up;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == delegate::ARGUMENT) {
        return delegate::deeds::main();
    }
    // No core dump of a process that may hold keys.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    if let [_, first, word, change] = std::env::args_os().collect::<Vec<_>>().as_slice()
        && first == secure::watcher::ARGUMENT
    {
        return cli::watch(&word.to_string_lossy(), &change.to_string_lossy());
    }
    cli::run()
}

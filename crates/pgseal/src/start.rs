//! The first look at the command line: a delegate, a watcher, or a person.

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == crate::delegate::ARGUMENT) {
        return crate::delegate::deeds::main();
    }
    // No core dump of a process that may hold keys.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    if let [_, first, word, change] = std::env::args_os().collect::<Vec<_>>().as_slice()
        && first == crate::secure::watcher::ARGUMENT
    {
        return crate::cli::watch(&word.to_string_lossy(), &change.to_string_lossy());
    }
    crate::cli::run()
}

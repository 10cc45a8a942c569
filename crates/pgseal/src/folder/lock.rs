//! One command at a time on a folder: `flock(2)` on the folder itself.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::privilege::files;

/// Held until it is dropped; the kernel drops it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _folder: File,
}

impl Lock {
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        Self::of(files::open_folder(folder), folder)
    }

    /// The same for a path that was resolved before.
    pub(crate) fn take_resolved(folder: &Path) -> Result<Self> {
        Self::of(files::open_resolved_folder(folder), folder)
    }

    fn of(open: io::Result<File>, folder: &Path) -> Result<Self> {
        let open = open.map_err(|error| Failure::io("open the folder", folder, &error))?;
        match open.try_lock() {
            Ok(()) => Ok(Self { _folder: open }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new(format!("another pgseal command works on {}", folder.display()))
                    .hint("wait until it has ended, then again"))
            }
            Err(TryLockError::Error(error)) => Err(Failure::io("lock", folder, &error)),
        }
    }
}

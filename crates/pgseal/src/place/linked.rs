//! The OpenSSL that a running server has loaded: PostgreSQL tells neither its version nor what it knows, and a name that it
//! does not know makes it refuse a whole reload.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::Place;
use crate::server::process::RunningServer;

/// A libcrypto has 5 to 8 MB, and a frame carries 16 MiB.
const LIBRARY: u64 = 15 << 20;
/// A mapping is a line.
const MAPS: u64 = 4 << 20;
/// Behind the path of a file that was replaced since it was loaded (proc(5)).
const DELETED: &[u8] = b" (deleted)";

impl Place {
    /// Those of the names that the server's own OpenSSL holds; none where that cannot be told.
    pub(crate) async fn known_to_openssl(
        &mut self,
        server: &RunningServer,
        names: &[&'static str],
    ) -> Vec<&'static str> {
        let Some(library) = self.libcrypto(server).await else { return Vec::new() };
        let Ok(bytes) = self.hands.read(&library, LIBRARY).await else { return Vec::new() };
        names.iter().copied().filter(|name| holds(&bytes, name)).collect()
    }

    /// The file that is mapped, or the program itself where it holds all.
    async fn libcrypto(&mut self, server: &RunningServer) -> Option<PathBuf> {
        let process = Path::new("/proc").join(server.pid.to_string());
        let maps = self.hands.read(&process.join("maps"), MAPS).await.ok()?;
        match mapped(&maps) {
            Mapped::File(path) => self.hands.look(&path).await.ok()?.map(|(real, _)| real),
            Mapped::Replaced => None,
            Mapped::Nothing => self.hands.look(&process.join("exe")).await.ok()?.map(|(real, _)| real),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Mapped {
    File(PathBuf),
    /// What lies at its path now is not what the server runs with.
    Replaced,
    Nothing,
}

/// `address perms offset dev inode   path` (proc(5)).
fn mapped(maps: &[u8]) -> Mapped {
    let paths = maps.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b'/')?;
        line.get(at..)
    });
    let is_libcrypto = |path: &[u8]| {
        path.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(b"libcrypto"))
    };
    let found = paths.into_iter().find(|path| is_libcrypto(path));
    match found {
        None => Mapped::Nothing,
        Some(path) if path.ends_with(DELETED) => Mapped::Replaced,
        Some(path) => Mapped::File(PathBuf::from(OsStr::from_bytes(path))),
    }
}

/// As a C string of its own.
fn holds(library: &[u8], name: &str) -> bool {
    let word: Vec<u8> = [b"\0", name.as_bytes(), b"\0"].concat();
    memmem::find(library, &word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"55d0 r-xp 0000 08:01 1    /usr/lib/postgresql/18/bin/postgres\n\
        7f00 rw-p 0000 00:00 0 \n7f01 r-xp 0000 08:01 2    /lib/libk5crypto.so.3\n\
        7f02 r-xp 0000 08:01 3    /opt/my lib/libcrypto.so.3\n";

    #[test]
    fn the_library_is_the_one_that_is_mapped() {
        assert_eq!(mapped(MAPS), Mapped::File("/opt/my lib/libcrypto.so.3".into()));
        assert_eq!(mapped(b"7f02 r-xp 0000 08:01 3 /lib/libcrypto.so.3 (deleted)\n"), Mapped::Replaced);
        assert_eq!(mapped(b"55d0 r-xp 0000 08:01 1 /usr/bin/postgres\n"), Mapped::Nothing);
    }

    #[test]
    fn a_name_is_held_whole_and_not_as_a_part_of_another() {
        let library = b"\0X25519MLKEM768\0SecP256r1MLKEM768\0";
        assert!(holds(library, "X25519MLKEM768"));
        assert!(!holds(library, "MLKEM768"));
        assert!(!holds(b"", "X25519MLKEM768"));
    }
}

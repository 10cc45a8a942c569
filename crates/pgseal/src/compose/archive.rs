//! Files as the tar stream that `docker cp -` takes: with owner, group and mode of their own, in memory alone.
//! Kept so by docker for whoever calls it, with or without root, in a user namespace or out of one.

use std::io::Write;

use tar::{Builder, EntryType, Header};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// One file of the stream.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) mode: u32,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// Room for it all at once: a vector that grows leaves copies of a secret behind.
const BLOCK: usize = 512;

/// Whose files these are, by the container's numbers, and since when (seconds since 1970).
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) time: i64,
}

/// A folder of that name with these files in it, all of one owner.
pub(crate) fn folder(name: &str, entries: &[Entry], origin: Origin) -> Result<Zeroizing<Vec<u8>>> {
    let room: usize = entries.iter().map(|entry| entry.bytes.len() + 2 * BLOCK).sum();
    let mut stream = Zeroizing::new(Vec::with_capacity(room + 8 * BLOCK));
    write(&mut *stream, name, entries, origin)
        .map_err(|error| Failure::new(format!("could not put {name} together: {error}")))?;
    Ok(stream)
}

fn write(stream: impl Write, name: &str, entries: &[Entry], origin: Origin) -> std::io::Result<()> {
    let mut builder = Builder::new(stream);
    let header = |kind, mode, size| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(origin.uid.into());
        header.set_gid(origin.gid.into());
        header.set_mtime(u64::try_from(origin.time).unwrap_or(0));
        header.set_size(size);
        header
    };
    builder.append_data(&mut header(EntryType::Directory, 0o700, 0), format!("{name}/"), &[][..])?;
    for entry in entries {
        let size = u64::try_from(entry.bytes.len()).unwrap_or(u64::MAX);
        let mut header = header(EntryType::Regular, entry.mode, size);
        builder.append_data(&mut header, format!("{name}/{}", entry.name), entry.bytes.as_slice())?;
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_stream_holds_owner_mode_and_bytes_and_was_never_moved() {
        let key = Entry { name: "key", mode: 0o600, bytes: Zeroizing::new(b"of mine".repeat(300)) };
        let stream = folder("tls", &[key], Origin { uid: 70, gid: 71, time: 1_700_000_000 }).unwrap();
        assert!(stream.capacity() >= stream.len());
        let mut archive = tar::Archive::new(stream.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let header = entry.header();
            seen.push((
                entry.path().unwrap().display().to_string(),
                header.mode().unwrap(),
                (header.uid().unwrap(), header.gid().unwrap()),
                header.mtime().unwrap(),
                bytes.len(),
            ));
        }
        assert_eq!(
            seen,
            [
                ("tls/".to_owned(), 0o700, (70, 71), 1_700_000_000, 0),
                ("tls/key".to_owned(), 0o600, (70, 71), 1_700_000_000, 2100)
            ]
        );
    }
}

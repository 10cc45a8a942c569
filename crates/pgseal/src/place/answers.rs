//! What the scripts of a container print, as answers. The container may lie: nothing here is believed that
//! does not have the form it has to have.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::call::Said;
use crate::delegate::message::{Reply, Trouble};
use crate::privilege::files::{Kind, Status};
use crate::server::pidfile;
use crate::server::process::{Found, RunningServer};

pub(super) fn failed(words: &str) -> Reply {
    // The shell's tools have no numbers, only strerror's words.
    let known = [
        ("No such file", 2),
        ("Permission denied", 13),
        ("No space left", 28),
        ("Read-only file", 30),
        ("Directory not empty", 39),
    ];
    let code = known.into_iter().find(|(words_of, _)| words.contains(words_of)).map(|(_, code)| code);
    Reply::Failed(Trouble { code, text: words.trim().chars().take(500).collect() })
}

pub(super) fn done(said: &Said) -> Reply {
    if said.well { Reply::Done } else { failed(&said.err) }
}

pub(super) fn bytes(said: Said) -> (Reply, Zeroizing<Vec<u8>>) {
    if said.well { (Reply::Bytes, said.out) } else { (failed(&said.err), Zeroizing::default()) }
}

/// `readlink -f`, then `stat`'s kind, numbers, mode and size; nothing at all where nothing lies there.
pub(super) fn seen(said: &Said) -> Reply {
    if !said.well {
        return failed(&said.err);
    }
    if said.out.is_empty() {
        return Reply::Seen(None);
    }
    let parsed = || {
        let text = said.out.strip_suffix(b"\n").unwrap_or(&said.out);
        let at = text.iter().rposition(|byte| *byte == b'\n')?;
        let (real, rest) = text.split_at(at);
        let fields: Vec<&str> = std::str::from_utf8(rest).ok()?.trim().split('|').collect();
        let &[kind, uid, gid, mode, size] = fields.as_slice() else { return None };
        let kind = match kind {
            "regular file" | "regular empty file" => Kind::File,
            "directory" => Kind::Directory,
            "symbolic link" => Kind::Link,
            _ => Kind::Other,
        };
        let status = Status {
            kind,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            mode: u32::from_str_radix(mode, 8).ok()?,
            size: size.parse().ok()?,
        };
        let real = Path::new(OsStr::from_bytes(real));
        // `readlink -f` prints nothing else, and a relative path would mean another file to each reader.
        real.is_absolute().then(|| (real.to_owned(), status))
    };
    parsed().map_or_else(|| failed("stat printed something else"), |found| Reply::Seen(Some(found)))
}

/// NUL behind each name, which may hold anything else; `/` behind those of folders.
pub(super) fn names(said: &Said) -> Reply {
    if !said.well {
        return failed(&said.err);
    }
    let names = said.out.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Reply::Names(
        names.map(|name| (name.strip_suffix(b"/").unwrap_or(name).to_vec(), name.ends_with(b"/"))).collect(),
    )
}

/// Uid, working directory and program of the process, then postmaster.pid as it is.
pub(super) fn found(said: &Said, owner: u32, data: &Path) -> Found {
    let stranger = |pid, why: &str| Found::Stranger { pid, why: why.to_owned() };
    if !said.well {
        return stranger(0, said.err.trim());
    }
    let text = String::from_utf8_lossy(&said.out);
    let mut lines = text.splitn(4, '\n');
    let (uid, cwd, program) = (lines.next(), lines.next(), lines.next());
    let Some(file) = lines.next().and_then(pidfile::parse) else { return Found::Nothing };
    let pid = match i32::try_from(file.pid) {
        Ok(pid) if pid > 0 => pid,
        _ => return stranger(file.pid, "no server can have that process number"),
    };
    let (Some(uid), Some(cwd), Some(program)) = (uid, cwd, program) else { return Found::Nothing };
    if uid.is_empty() {
        return Found::Nothing;
    }
    if uid != owner.to_string() {
        return stranger(file.pid, &format!("that process belongs to uid {uid}"));
    }
    if Path::new(cwd) != data || !program.starts_with("postgres") {
        return stranger(file.pid, &format!("that process is {program} and works in {cwd}"));
    }
    let pidfile::PidFile { started, port, socket_folder, ready, .. } = file;
    Found::Running(RunningServer { pid, started, port, socket_folder, ready })
}

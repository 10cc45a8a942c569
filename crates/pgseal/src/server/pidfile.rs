//! `postmaster.pid`, as PostgreSQL writes it (pidfile.h, miscinit.c). Text in, values out.

use std::path::PathBuf;

/// What the lines say; nothing of it is believed without a look at the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    /// Line 1. A negative number means a standalone backend.
    pub(crate) pid: i64,
    /// Line 3: seconds since 1970.
    pub(crate) started: i64,
    /// Line 4: 0 when the line is not there yet.
    pub(crate) port: u16,
    /// Line 5: the first Unix socket folder; empty when the server has none.
    pub(crate) socket_folder: Option<PathBuf>,
    /// Line 8, since PostgreSQL 10: `ready` or `standby` once connections are let in.
    pub(crate) ready: bool,
}

/// Reads the file's text; `None` when even the first line is no number.
pub(crate) fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines().map(str::trim);
    let pid = lines.next()?.parse().ok()?;
    let mut rest = [""; 7];
    for (place, line) in rest.iter_mut().zip(lines) {
        *place = line;
    }
    let [_data, started, port, socket, _listen, _shmem, status] = rest;
    Some(PidFile {
        pid,
        started: started.parse().unwrap_or(0),
        port: port.parse().unwrap_or(0),
        socket_folder: Some(PathBuf::from(socket)).filter(|folder| folder.is_absolute()),
        ready: matches!(status, "ready" | "standby"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_server_is_read_whole() {
        let text = "4242\n/srv/data\n1700000000\n5432\n/tmp\n127.0.0.1\n  5432001    163840\nready   \n";
        let file = parse(text).unwrap();
        assert_eq!((file.pid, file.started, file.port, file.ready), (4242, 1_700_000_000, 5432, true));
        assert_eq!(file.socket_folder, Some("/tmp".into()));
        assert_eq!(parse("7\n/d\n1\n5432\n\n*\n").unwrap().socket_folder, None);
    }

    #[test]
    fn a_half_written_or_foolish_file_is_no_server() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("not a pid\n"), None);
        assert_eq!(parse("-1\n").map(|file| (file.pid, file.ready)), Some((-1, false)));
        assert_eq!(parse("7\n/d\nx\n99999\n").map(|file| file.port), Some(0));
    }
}

//! A port of this machine's loopback that leads to a server's port in a container: each connection is a `docker exec` of its
//! own, wherever the daemon is. For servers whose published port cannot be reached from here. Knows nothing of what passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};

use super::docker::Docker;
use crate::failure::{Failure, Result};
use crate::privilege::user::effective_uid;

/// By what the image has: busybox's nc, or bash. What waits must not keep the connection when the server has ended it.
const SCRIPT: &str = r#"
if command -v nc >/dev/null 2>&1; then exec nc 127.0.0.1 "$1"; fi
exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" 4<&0 || exit 1
cat <&4 >&3 & feeds=$!
cat <&3
kill "$feeds"' bash "$1""#;

/// Open as long as it lives.
pub(crate) struct Tunnel {
    port: u16,
    work: JoinHandle<()>,
}

impl Tunnel {
    /// Opens one to that port of the container's own loopback.
    pub(crate) async fn open(docker: &Docker, container: &str, port: u16) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Failure::new(format!("could not open a port of the loopback for docker exec: {error}"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let here = listener.local_addr().map_err(failed)?.port();
        let way = Way { program: docker.program().to_owned(), container: container.to_owned(), port };
        Ok(Self { port: here, work: tokio::spawn(serve(listener, way)) })
    }

    /// The port on 127.0.0.1.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.work.abort();
    }
}

#[derive(Clone)]
struct Way {
    program: PathBuf,
    container: String,
    port: u16,
}

async fn serve(listener: TcpListener, way: Way) {
    let mut all = JoinSet::new();
    while let Ok((stream, from)) = listener.accept().await {
        // In there it comes from the loopback, which may be trusted: nobody else's is led in.
        if is_ours(from) {
            all.spawn(lead(stream, way.clone()));
        }
        while all.try_join_next().is_some() {}
    }
}

/// Until either side has ended.
async fn lead(stream: TcpStream, way: Way) {
    let mut command = Command::new(&way.program);
    command
        .args(["exec", "--interactive", &way.container, "sh", "-c", SCRIPT, "sh", &way.port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") || name.as_encoded_bytes().starts_with(b"COMPOSE_") {
            command.env_remove(name);
        }
    }
    let Ok(mut child) = command.spawn() else { return };
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else { return };
    let (mut from, mut to) = stream.into_split();
    tokio::select! {
        _ = copy(&mut from, &mut stdin) => {}
        _ = copy(&mut stdout, &mut to) => {}
    }
    let _ = to.shutdown().await;
}

/// Whether a connection of this machine's belongs to this user: proc(5), /proc/net/tcp. What cannot be told is not ours.
fn is_ours(from: SocketAddr) -> bool {
    let SocketAddr::V4(from) = from else { return false };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    owner_in(&table, &address(*from.ip(), from.port())) == Some(effective_uid())
}

/// As the table has it: the address in the machine's own order of bytes, and the port, in hex.
fn address(ip: Ipv4Addr, port: u16) -> String {
    format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip.octets()))
}

/// The uid of the socket with that local address.
fn owner_in(table: &str, address: &str) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.nth(1) == Some(address)).then(|| fields.nth(5)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_its_users() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1 1\n   1: 0100007F:C350 0100007F:1538 01 00000000:00000000 00:00000000 00000000  1000        0 2 1\n";
        assert_eq!(owner_in(table, "0100007F:C350"), Some(1000));
        assert_eq!(owner_in(table, "0100007F:1538"), Some(999));
        assert_eq!(owner_in(table, "0100007F:0001"), None);
        assert_eq!(owner_in("", "0100007F:0001"), None);
        let port = 50_000;
        assert_eq!(address(Ipv4Addr::LOCALHOST, port).split(':').next_back(), Some("C350"));
    }

    #[tokio::test]
    async fn our_own_connection_is_ours() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, from) = listener.accept().await.unwrap();
        assert!(is_ours(from));
        drop(client);
    }
}

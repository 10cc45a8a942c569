//! Who holds a TCP port on this machine, as far as the system tells.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::privilege::user::SystemUser;

/// The process that listens on the address, as `postgres (pid 4242)`, or of another user's process at
/// least the user; `None` where the system does not tell (no /proc).
pub(crate) fn holder(address: SocketAddr) -> Option<String> {
    let sockets =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let (uid, inode) =
        sockets.iter().flat_map(|table| table.lines().skip(1)).find_map(|line| listening(line, address))?;
    let Some(pid) = process_with_socket(&format!("socket:[{inode}]")) else {
        return Some(format!("a process of user {}", SystemUser::name_of(uid)));
    };
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim()))
}

/// The socket's owner and inode when this line of /proc/net/tcp{,6} listens on the address (proc(5)).
fn listening(line: &str, address: SocketAddr) -> Option<(u32, u64)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, uid, inode) = (fields.get(1)?, fields.get(3)?, fields.get(7)?, fields.get(9)?);
    let (ip, port) = local.split_once(':')?;
    let same_port = u16::from_str_radix(port, 16).ok()? == address.port();
    let ip = local_address(ip)?;
    let same_address = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
    let listens = *state == LISTEN && same_port && same_address;
    listens.then(|| Some((uid.parse().ok()?, inode.parse().ok()?)))?
}

/// Addresses stand there as 32-bit words in the machine's byte order.
fn local_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if hex.len() == 8 {
        return word(0).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    }
    let mut bytes = [0_u8; 16];
    for (place, at) in bytes.chunks_mut(4).zip([0, 8, 16, 24]) {
        place.copy_from_slice(&word(at)?);
    }
    Some(IpAddr::V6(Ipv6Addr::from(bytes)))
}

fn process_with_socket(link: &str) -> Option<u32> {
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|open| {
            open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == link))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_held_by_this_very_process_is_said_to_be_so() {
        for ip in ["127.0.0.1", "::1"] {
            let Ok(listener) = TcpListener::bind((ip, 0)) else { continue };
            let holder = holder(listener.local_addr().unwrap()).unwrap();
            assert!(holder.ends_with(&format!("(pid {})", std::process::id())), "{holder}");
        }
    }
}

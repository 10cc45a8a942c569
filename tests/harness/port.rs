//! Ports that no two scenarios share, in this process or any other.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::shelf::shelf;

/// Below the ports that systems hand to outgoing connections (Linux: from 32768), which nobody could reserve.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A free TCP port, reserved among all scenarios until dropped. Nothing listens on it.
pub(crate) struct Port {
    number: u16,
    _held: File,
}

impl Port {
    pub(crate) fn free() -> Self {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let locks = shelf("port");
        // Each process starts somewhere else, and goes on from where it was.
        let start = process::id().wrapping_mul(97);
        for _ in 0..COUNT {
            let step = ASKED.fetch_add(1, Ordering::Relaxed);
            let number = FIRST + start.wrapping_add(step) % COUNT;
            let number = u16::try_from(number).expect("the range ends below 65536");
            let file = File::create(locks.join(number.to_string()))
                .unwrap_or_else(|e| panic!("could not reserve port {number}: {e}"));
            if file.try_lock().is_ok() && nobody_listens(number) {
                return Self { number, _held: file };
            }
        }
        panic!("no free port from {FIRST} to {}", FIRST + COUNT - 1);
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

fn nobody_listens(port: u16) -> bool {
    let addresses: [SocketAddr; 4] = [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
        (Ipv4Addr::UNSPECIFIED, port).into(),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ];
    addresses
        .into_iter()
        // Without IPv6 here, nobody listens on it either.
        .all(|address| !TcpListener::bind(address).is_err_and(|e| e.kind() == ErrorKind::AddrInUse))
}

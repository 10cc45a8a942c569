//! Something that listens on the loopback in the place of a server, and what it does with each that comes. Knows threads
//! and their end, not what is said.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A listener on a free port of 127.0.0.1. Dropped, it is gone, once all that came have been served.
pub(crate) struct StandIn {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Each that comes is served in a thread of its own.
    pub(crate) fn serving(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&over);
        let serve = Arc::new(serve);
        let thread = thread::spawn(move || {
            let mut guests = Vec::new();
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                let serve = Arc::clone(&serve);
                guests.push(thread::spawn(move || serve(stream)));
            }
            for guest in guests {
                guest.join().ok();
            }
        });
        Self { address, over, thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Nobody is listened to any more, and the ends of all connections have come.
    pub(super) fn close(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener up.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.close();
    }
}

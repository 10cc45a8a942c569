//! How a conversation ends without a line in the server's log.
//!
//! Measured: a socket closed without `close_notify`, or with bytes of the server unread, makes
//! PostgreSQL log `could not receive data from client: Connection reset by peer`.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::deadline::Deadline;

/// How long the other end may take to hang up too.
const PATIENCE: Duration = Duration::from_millis(250);

/// How much it may still say meanwhile.
const LAST_WORDS: usize = 64 * 1024;

/// Ends TLS with `close_notify` (or just the stream), and waits for the other end to do so.
/// Never fails, and never takes longer than a quarter of a second.
pub(crate) async fn politely<S>(mut stream: S, deadline: Deadline)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let farewell = async {
        if stream.shutdown().await.is_ok() {
            drain(&mut stream).await;
        }
    };
    let _ = tokio::time::timeout(PATIENCE.min(deadline.left()), farewell).await;
}

async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut scrap = [0; 4096];
    let mut taken = 0;
    while taken < LAST_WORDS {
        match stream.read(&mut scrap).await {
            Ok(1..) => taken += scrap.len(),
            _ => return,
        }
    }
}

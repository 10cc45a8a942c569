//! Ctrl-C, SIGTERM and SIGHUP: the work in hand is dropped at its next pause, unless it is in a part that
//! must not be left half done; then at the end of that part.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::failure::{Failure, Result, Signal};

/// Hands out protection against being dropped in the middle of something.
#[derive(Clone, Default)]
pub(crate) struct Shield(Rc<State>);

#[derive(Default)]
struct State {
    held: Cell<u32>,
    released: Notify,
}

/// While this lives, a signal waits.
pub(crate) struct Held(Rc<State>);

impl Shield {
    pub(crate) fn hold(&self) -> Held {
        self.0.held.set(self.0.held.get() + 1);
        Held(Rc::clone(&self.0))
    }

    async fn free(&self) {
        while self.0.held.get() > 0 {
            self.0.released.notified().await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.set(self.0.held.get().saturating_sub(1));
        self.0.released.notify_one();
    }
}

/// Comes back at the first signal that ends a run, for work that ends well by being told to.
pub(crate) fn until_interrupted() -> Result<impl Future<Output = ()>> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal> {
    signal(kind).map_err(|error| Failure::new(format!("could not listen for signals: {error}")))
}

/// Runs the work; a signal ends it with [`Failure::interrupted`].
pub(crate) async fn interruptible<T>(shield: &Shield, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut work = pin!(work);
    let came = tokio::select! {
        biased;
        outcome = &mut work => return outcome,
        _ = interrupt.recv() => Signal::Interrupt,
        _ = terminate.recv() => Signal::Terminate,
        _ = hangup.recv() => Signal::Hangup,
    };
    tokio::select! {
        biased;
        () = shield.free() => Err(Failure::interrupted(came)),
        // It came to its end before there was a place to stop.
        outcome = &mut work => outcome,
    }
}

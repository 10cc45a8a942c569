//! One end of time for a whole attempt, and the names of the steps that may use it up.

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::wire_error::WireError;

/// Longer waits than this are cut to it: nothing on the wire is worth a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What was being waited for, so that an error can name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Looking the host name up.
    Resolve,
    /// Opening the socket.
    Dial,
    /// The single byte that answers `SSLRequest`.
    SslRequest,
    /// The TLS handshake.
    Handshake,
    /// The first message that answers the startup packet.
    Startup,
    /// The exchange of an authentication method.
    Authentication,
    /// The messages between `AuthenticationOk` and `ReadyForQuery`.
    SessionStart,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name lookup",
            Self::Dial => "the connection attempt",
            Self::SslRequest => "SSLRequest",
            Self::Handshake => "the TLS handshake",
            Self::Startup => "the startup packet",
            Self::Authentication => "the authentication exchange",
            Self::SessionStart => "the start of the session",
        })
    }
}

/// A point in time that every await of an attempt respects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    end: Instant,
    allowed: Duration,
}

impl Deadline {
    /// A deadline `allowed` from now; anything over a day counts as a day.
    pub(crate) fn after(allowed: Duration) -> Self {
        let allowed = allowed.min(LONGEST);
        Self { end: Instant::now() + allowed, allowed }
    }

    /// What is left of it, zero when it is over.
    pub(crate) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// A deadline that takes an equal share of what is left, for the first of `of` tries.
    pub(crate) fn share(self, of: usize) -> Self {
        let of = u32::try_from(of.max(1)).unwrap_or(u32::MAX);
        let end = Instant::now() + self.left() / of;
        Self { end, ..self }
    }

    /// The same, or earlier: `limit` from now.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        Self { end: self.end.min(Instant::now() + limit), ..self }
    }

    /// Awaits `work`, and says which step was late when the time is over.
    pub(crate) async fn wait<T>(self, step: Step, work: impl Future<Output = T>) -> Result<T, WireError> {
        tokio::time::timeout_at(self.end, work)
            .await
            .map_err(|_| WireError::Late { step, allowed: self.allowed })
    }

    /// Awaits an operation of a socket, and names the step in its error.
    pub(crate) async fn io<T>(
        self,
        step: Step,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, WireError> {
        self.wait(step, work).await?.map_err(|error| WireError::of_io(step, &error))
    }
}

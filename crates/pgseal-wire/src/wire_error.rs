//! What can go wrong in a conversation before PostgreSQL itself has a say.
//!
//! These are plain values, so that an attempt can be recorded, compared and printed.

use std::io;
use std::time::Duration;

use crate::deadline::Step;
use crate::message::DecodeError;
use crate::tls::Alert;

/// A conversation that broke off, by whose doing and at which step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The time for the whole attempt was over at this step.
    #[error("no answer to {step} within {}", seconds(.allowed))]
    Late {
        /// What was being waited for.
        step: Step,
        /// The time that the whole attempt was given.
        allowed: Duration,
    },
    /// The peer closed the connection in good order where an answer was due.
    #[error("the server closed the connection without answering {step}")]
    Closed {
        /// What was being waited for.
        step: Step,
    },
    /// The operating system reported an error on the socket.
    #[error("{step} failed: {text}")]
    Io {
        /// What was being done.
        step: Step,
        /// The kind, for decisions.
        kind: io::ErrorKind,
        /// The system's own text, without its number.
        text: String,
    },
    /// The peer ended TLS with an alert: under TLS 1.3 that is also how it refuses a client's certificate.
    #[error("the server answered {step} with the TLS alert {alert}")]
    Alert {
        /// What was being waited for.
        step: Step,
        /// The alert.
        alert: Alert,
    },
    /// The peer sent something that is no PostgreSQL message, or one out of bounds.
    #[error("the answer to {step} {error}")]
    Garbled {
        /// What was being waited for.
        step: Step,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A sound message that has no place at this step.
    #[error("the answer to {step} was an unexpected message of type '{}'", tag_text(*.tag))]
    OutOfPlace {
        /// What was being waited for.
        step: Step,
        /// The type byte of the message.
        tag: u8,
    },
    /// More notices and settings than any server has reason to send.
    #[error(
        "the server sent more than {limit} bytes of notices and settings in answer to {step} without coming \
         to the point"
    )]
    Flood {
        /// What was being waited for.
        step: Step,
        /// Bytes that would have been taken.
        limit: usize,
    },
}

impl WireError {
    pub(crate) fn of_io(step: Step, error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            return Self::Alert { step, alert: Alert(u8::from(*alert)) };
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed { step },
            kind => Self::Io { step, kind, text: system_text(error) },
        }
    }

    /// The step at which it happened.
    pub const fn step(&self) -> Step {
        match self {
            Self::Late { step, .. }
            | Self::Closed { step }
            | Self::Io { step, .. }
            | Self::Alert { step, .. }
            | Self::Garbled { step, .. }
            | Self::OutOfPlace { step, .. }
            | Self::Flood { step, .. } => *step,
        }
    }
}

/// The system's text without Rust's "(os error N)": what psql would print too.
pub(crate) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text.get(..at).unwrap_or(&text).to_owned(),
        None => text,
    }
}

pub(crate) fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

pub(crate) fn tag_text(tag: u8) -> String {
    if tag.is_ascii_graphic() { char::from(tag).to_string() } else { format!("\\x{tag:02x}") }
}

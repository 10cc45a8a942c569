//! Messages to and from a server, each awaited with the deadline of the whole attempt.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::closing;
use crate::deadline::{Deadline, Step};
use crate::message::{BackendMessage, Frame, FrameReader};
use crate::stream::Stream;
use crate::wire_error::WireError;

/// How many bytes of notices and settings a server may send before it comes to the point.
/// A PostgreSQL 18 sends about 600 bytes of settings.
const MAX_PREAMBLE: usize = 256 * 1024;

/// A stream on which messages are spoken.
pub(crate) struct Conversation {
    stream: Stream,
    reader: FrameReader,
    deadline: Deadline,
    preamble: usize,
}

impl Conversation {
    pub(crate) fn new(stream: Stream, deadline: Deadline) -> Self {
        Self { stream, reader: FrameReader::default(), deadline, preamble: 0 }
    }

    /// Sends bytes, all of them.
    pub(crate) async fn send(&mut self, step: Step, bytes: &[u8]) -> Result<(), WireError> {
        let stream = &mut self.stream;
        let sending = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        self.deadline.io(step, sending).await
    }

    /// The next message that is no notice, no setting and no word about the protocol's version.
    pub(crate) async fn answer(&mut self, step: Step) -> Result<BackendMessage, WireError> {
        loop {
            let message = self.next(step).await?;
            match message {
                BackendMessage::Notice(_)
                | BackendMessage::ParameterStatus { .. }
                | BackendMessage::NegotiateProtocolVersion { .. } => {}
                decides => return Ok(decides),
            }
        }
    }

    /// The next message, whatever it is.
    pub(crate) async fn next(&mut self, step: Step) -> Result<BackendMessage, WireError> {
        Ok(self.next_framed(step).await?.1)
    }

    /// The next message as it came, and understood.
    pub(crate) async fn next_framed(&mut self, step: Step) -> Result<(Frame, BackendMessage), WireError> {
        let garbled = |error| WireError::Garbled { step, error };
        loop {
            if let Some(frame) = self.reader.take().map_err(garbled)? {
                self.preamble += frame.body.len() + 5;
                if self.preamble > MAX_PREAMBLE {
                    return Err(WireError::Flood { step, limit: MAX_PREAMBLE });
                }
                let message = BackendMessage::decode(&frame).map_err(garbled)?;
                return Ok((frame, message));
            }
            let mut chunk = [0; 4096];
            let count = self.deadline.io(step, self.stream.read(&mut chunk)).await?;
            match chunk.get(..count) {
                Some([]) | None => return Err(WireError::Closed { step }),
                Some(bytes) => self.reader.push(bytes),
            }
        }
    }

    /// Takes the stream back, with what was read and not taken, and the deadline.
    pub(crate) fn into_parts(self) -> (Stream, Vec<u8>, Deadline) {
        (self.stream, self.reader.into_pending(), self.deadline)
    }

    /// Ends it so that the server has nothing to log.
    pub(crate) async fn close(self) {
        closing::politely(self.stream, self.deadline).await;
    }
}

//! `SSLRequest` and its single byte of answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::deadline::{Deadline, Step};
use crate::message::{Frame, FrameReader, SSL_REQUEST, ServerError};
use crate::open_error::OpenProblem;
use crate::socket::Socket;
use crate::wire_error::WireError;

/// The server's word on TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `S`.
    Yes,
    /// `N`: the connection stays usable in plaintext.
    No,
}

/// Asks for TLS. Anything but exactly one byte `S` or `N` is an error: bytes that follow in the
/// clear could have been put there by someone in the middle (CVE-2021-23222).
pub(crate) async fn ssl(socket: &mut Socket, deadline: Deadline) -> Result<Answer, OpenProblem> {
    let step = Step::SslRequest;
    deadline.io(step, socket.write_all(&SSL_REQUEST)).await?;
    // Room for more than one byte on purpose: to see what does not belong there.
    let mut answer = [0; 64];
    let count = deadline.io(step, socket.read(&mut answer)).await?;
    match answer.get(..count).unwrap_or_default() {
        [] => Err(WireError::Closed { step }.into()),
        [b'S'] => Ok(Answer::Yes),
        [b'N'] => Ok(Answer::No),
        [b'S' | b'N', ..] => Err(OpenProblem::UnencryptedData),
        begun @ [b'E', ..] => Err(error_instead(socket, begun, deadline).await),
        [other, ..] => Err(OpenProblem::StrayAnswer(*other)),
    }
}

/// An error message where a byte was due. It came in the clear before any TLS, so its text is
/// not to be trusted (CVE-2024-10977).
async fn error_instead(socket: &mut Socket, begun: &[u8], deadline: Deadline) -> OpenProblem {
    let step = Step::SslRequest;
    let mut reader = FrameReader::new(30_000);
    reader.push(begun);
    loop {
        match reader.take() {
            Ok(Some(Frame { tag, body })) => {
                return match ServerError::decode(tag, &body) {
                    Ok(error) => OpenProblem::ErrorInstead(Box::new(error)),
                    Err(error) => WireError::Garbled { step, error }.into(),
                };
            }
            Ok(None) => {}
            Err(error) => return WireError::Garbled { step, error }.into(),
        }
        let mut chunk = [0; 1024];
        match deadline.io(step, socket.read(&mut chunk)).await {
            Ok(0) => return WireError::Closed { step }.into(),
            Ok(count) => reader.push(chunk.get(..count).unwrap_or_default()),
            Err(error) => return error.into(),
        }
    }
}

//! `SSLRequest`, a hello, and the flight that comes back.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::hello::Flight;
use super::super::probe::{Answer, End, SslReply};
use crate::deadline::{Deadline, Step};
use crate::message::{Frame, FrameReader, GSSENC_REQUEST, SSL_REQUEST, ServerError};
use crate::socket::Socket;
use crate::wire_error::WireError;

/// As much of something else as is worth looking at.
const BEGINNING: usize = 64;

pub(super) async fn ask(mut socket: Socket, hello: &[u8], deadline: Deadline) -> Answer {
    let ssl = ssl(&mut socket, deadline).await;
    if ssl != SslReply::Yes {
        return Answer::Hello { ssl, heard: Box::default(), end: End::NotBegun };
    }
    let mut flight = Flight::default();
    let end = match fly(&mut socket, hello, &mut flight, deadline).await {
        Ok(end) => end,
        Err(WireError::Late { allowed, .. }) => End::Late(allowed),
        Err(WireError::Io { text, .. }) => End::Broken(text),
        Err(_) => End::Closed,
    };
    Answer::Hello { ssl, heard: Box::new(flight.into_heard()), end }
}

async fn fly(
    socket: &mut Socket,
    hello: &[u8],
    flight: &mut Flight,
    deadline: Deadline,
) -> Result<End, WireError> {
    let step = Step::Handshake;
    deadline.io(step, socket.write_all(hello)).await?;
    let mut chunk = [0; 4096];
    while !flight.heard().is_over() {
        match deadline.io(step, socket.read(&mut chunk)).await? {
            0 => return Ok(End::Closed),
            count => flight.push(chunk.get(..count).unwrap_or_default()),
        }
    }
    Ok(End::Heard)
}

/// The answer to `SSLRequest`. Anything but exactly one byte is told apart.
pub(super) async fn ssl(socket: &mut Socket, deadline: Deadline) -> SslReply {
    request(socket, &SSL_REQUEST, *b"SN", deadline).await
}

/// The same, with words in clear in the same segment.
pub(super) async fn stuffed(socket: &mut Socket, behind: &[u8], deadline: Deadline) -> SslReply {
    request(socket, &[&SSL_REQUEST, behind].concat(), *b"SN", deadline).await
}

/// The answer to `GSSENCRequest`.
pub(super) async fn gssenc(socket: &mut Socket, deadline: Deadline) -> SslReply {
    request(socket, &GSSENC_REQUEST, *b"GN", deadline).await
}

async fn request(socket: &mut Socket, packet: &[u8], [yes, no]: [u8; 2], deadline: Deadline) -> SslReply {
    match exchange(socket, packet, deadline).await {
        Ok(begun) => match begun.as_slice() {
            [] => SslReply::Closed("the server hung up".to_owned()),
            [only] if *only == yes => SslReply::Yes,
            [only] if *only == no => SslReply::No,
            [first, ..] if *first == yes || *first == no => SslReply::Stuffed(begun),
            [b'E', ..] => match error(socket, &begun, deadline).await {
                Some(error) => SslReply::Error(Box::new(error)),
                None => SslReply::Other(begun),
            },
            _ => SslReply::Other(begun),
        },
        Err(WireError::Late { allowed, .. }) => SslReply::Late(allowed),
        Err(WireError::Io { text, .. }) => SslReply::Closed(text),
        Err(_) => SslReply::Closed("the server hung up".to_owned()),
    }
}

async fn exchange(socket: &mut Socket, packet: &[u8], deadline: Deadline) -> Result<Vec<u8>, WireError> {
    let step = Step::SslRequest;
    deadline.io(step, socket.write_all(packet)).await?;
    let mut begun = vec![0; BEGINNING];
    let count = deadline.io(step, socket.read(&mut begun)).await?;
    begun.truncate(count);
    Ok(begun)
}

/// An error message that began with these bytes; None where it is none, or does not come to its end.
async fn error(socket: &mut Socket, begun: &[u8], deadline: Deadline) -> Option<ServerError> {
    let mut reader = FrameReader::new(30_000);
    reader.push(begun);
    let deadline = deadline.at_most(Duration::from_secs(2));
    loop {
        match reader.take() {
            Ok(Some(Frame { tag, body })) => return ServerError::decode(tag, &body).ok(),
            Ok(None) => {}
            Err(_) => return None,
        }
        let mut chunk = [0; 1024];
        match deadline.io(Step::SslRequest, socket.read(&mut chunk)).await {
            Ok(count @ 1..) => reader.push(chunk.get(..count).unwrap_or_default()),
            _ => return None,
        }
    }
}

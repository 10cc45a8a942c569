//! What is said in the clear: startup packets, and bytes that no protocol has.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::probe::{Answer, Outcome, SslReply, Startup, StrayReply};
use super::{Talk, hello};
use crate::channel::{FirstAnswer, first_answer};
use crate::closing;
use crate::conversation::Conversation;
use crate::deadline::{Deadline, Step};
use crate::message::ProtocolVersion;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::wire_error::WireError;

/// A protocol that no server speaks: each says which it does.
pub(super) const FOUR: ProtocolVersion = ProtocolVersion(4 << 16);
/// No length of a startup packet, no record of TLS, no method of HTTP.
const STRAY: [u8; 12] = *b"\x00\x00\xff\xff\x7f\x01\x02\x03\x04\x05\x06\x07";

pub(super) async fn startup(talk: &Talk, socket: Socket, startup: Startup, deadline: Deadline) -> Answer {
    let version = if startup == Startup::Version { FOUR } else { ProtocolVersion::V3_0 };
    let replication = startup == Startup::Replication;
    let (outcome, stream) = outcome(talk, Stream::Plain(socket), replication, version, deadline).await;
    closing::politely(stream, deadline).await;
    Answer::Startup(outcome)
}

/// Asks for GSSAPI encryption. The connection stays usable where the server says N.
pub(super) async fn gssenc(talk: &Talk, mut socket: Socket, deadline: Deadline) -> Answer {
    let reply = hello::gssenc(&mut socket, deadline).await;
    if reply != SslReply::No {
        return Answer::GssEnc(reply, None);
    }
    let (outcome, stream) = outcome(talk, Stream::Plain(socket), false, FOUR, deadline).await;
    closing::politely(stream, deadline).await;
    Answer::GssEnc(reply, Some(outcome))
}

/// Sends a startup packet, takes the first word that decides, and answers nothing.
pub(super) async fn outcome(
    talk: &Talk,
    stream: Stream,
    replication: bool,
    version: ProtocolVersion,
    deadline: Deadline,
) -> (Outcome, Stream) {
    let packet = match talk.startup(replication).encode(version) {
        Ok(packet) => packet,
        Err(error) => return (Outcome::odd(error.to_string()), stream),
    };
    let mut conversation = Conversation::new(stream, deadline);
    let outcome = match first_answer(&mut conversation, &packet).await {
        Ok(FirstAnswer::Refused(error)) => Outcome::Refused(Box::new(error)),
        Ok(FirstAnswer::Asked(request)) => Outcome::Asked(request),
        Err(error) => {
            let late = matches!(error, WireError::Late { .. });
            Outcome::Odd { why: error.to_string(), late }
        }
    };
    (outcome, conversation.into_parts().0)
}

/// Bytes that mean nothing, and what becomes of them.
pub(super) async fn stray(mut socket: Socket, deadline: Deadline, allowed: Duration) -> StrayReply {
    let step = Step::Startup;
    if let Err(error) = deadline.io(step, socket.write_all(&STRAY)).await {
        return StrayReply::Unknown(error.to_string());
    }
    let mut said = [0; 64];
    match deadline.io(step, socket.read(&mut said)).await {
        Ok(0) | Err(WireError::Io { .. } | WireError::Closed { .. }) => StrayReply::HungUp,
        Ok(count) => StrayReply::Said(said.get(..count).unwrap_or_default().to_vec()),
        Err(WireError::Late { .. }) => StrayReply::Held(allowed),
        Err(error) => StrayReply::Unknown(error.to_string()),
    }
}

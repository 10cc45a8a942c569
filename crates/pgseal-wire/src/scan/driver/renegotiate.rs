//! A handshake of TLS 1.2 by rustls, and then a hello of our own inside it, with the session's keys.

use std::io;
use std::sync::Arc;

use rustls::ClientConnection;
use rustls::client::Resumption;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::probe::{Answer, Renegotiation, SslReply};
use super::super::renegotiation::Session;
use super::{Talk, hello, secure};
use crate::closing;
use crate::deadline::{Deadline, Step};
use crate::socket::Socket;
use crate::tls::{ALPN, HandshakeFailure, PROVIDER, Seen, Verifier};
use crate::wire_error::WireError;

pub(super) async fn ask(talk: &Talk, mut socket: Socket, deadline: Deadline) -> Answer {
    let ssl = hello::ssl(&mut socket, deadline).await;
    if ssl != SslReply::Yes {
        return Answer::Renegotiation(ssl, Renegotiation::Unknown("TLS was not agreed on".to_owned()));
    }
    let told = match begun(talk, &mut socket, deadline).await {
        Ok(mut session) => {
            inside(talk, &mut session, &mut socket, deadline).await.unwrap_or_else(Renegotiation::Unknown)
        }
        Err(why) => Renegotiation::Unknown(why),
    };
    closing::politely(socket, deadline).await;
    Answer::Renegotiation(ssl, told)
}

/// The first handshake, to its end.
async fn begun(talk: &Talk, socket: &mut Socket, deadline: Deadline) -> Result<Session, String> {
    let verifier = Verifier::for_listening(PROVIDER.signature_verification_algorithms);
    let mut config = secure::listening(&[&rustls::version::TLS12], verifier, Arc::default())
        .map_err(|failed| failed.why)?;
    config.enable_secret_extraction = true;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let name = secure::named(talk, &mut config);
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let mut sent = Vec::new();
    while connection.is_handshaking() || connection.wants_write() {
        if connection.wants_write() {
            let mut flight = Vec::new();
            connection.write_tls(&mut flight).map_err(|error| error.to_string())?;
            write(socket, &flight, deadline).await?;
            sent.extend(flight);
        } else {
            read(&mut connection, socket, deadline).await?;
        }
    }
    let secrets = connection.dangerous_extract_secrets().map_err(|error| error.to_string())?;
    Session::new(&secrets, &sent)
}

async fn write(socket: &mut Socket, bytes: &[u8], deadline: Deadline) -> Result<(), String> {
    let written = deadline.io(Step::Handshake, socket.write_all(bytes)).await;
    written.map_err(|error| error.to_string())
}

async fn read(
    connection: &mut ClientConnection,
    socket: &mut Socket,
    deadline: Deadline,
) -> Result<(), String> {
    let mut chunk = [0; 4096];
    let count =
        deadline.io(Step::Handshake, socket.read(&mut chunk)).await.map_err(|error| error.to_string())?;
    if count == 0 {
        return Err("the server hung up in the first handshake".to_owned());
    }
    let mut rest = chunk.get(..count).unwrap_or_default();
    while !rest.is_empty() {
        connection.read_tls(&mut rest).map_err(|error| error.to_string())?;
        connection.process_new_packets().map_err(|error| {
            HandshakeFailure::of(&io::Error::new(io::ErrorKind::InvalidData, error), &Seen::default())
                .to_string()
        })?;
    }
    Ok(())
}

/// The second hello, and what it meets. The session is ended with close_notify where it still stands.
async fn inside(
    talk: &Talk,
    session: &mut Session,
    socket: &mut Socket,
    deadline: Deadline,
) -> Result<Renegotiation, String> {
    let hello = session.hello(talk.target.server_name.as_deref(), &secure::random());
    write(socket, &hello.ok_or("the hello could not be sealed")?, deadline).await?;
    let mut chunk = [0; 4096];
    let told = loop {
        match deadline.io(Step::Handshake, socket.read(&mut chunk)).await {
            Ok(0) => return Err("it hung up on the second hello".to_owned()),
            Ok(count) => {
                if let Some(told) = session.hear(chunk.get(..count).unwrap_or_default()) {
                    break told;
                }
            }
            Err(WireError::Late { .. }) => {
                break Renegotiation::Unknown("the second hello was not answered in time".to_owned());
            }
            Err(error) => return Err(format!("the second hello was answered by no record: {error}")),
        }
    };
    if let Some(farewell) = session.farewell() {
        write(socket, &farewell, deadline).await.ok();
    }
    Ok(told)
}

//! The way from the startup packet to `ReadyForQuery`.

use zeroize::Zeroizing;

use super::credentials::{ChannelBinding, Credentials};
use super::established::{LoginMethod, Session};
use super::handover::Handover;
use super::login_error::{BindingProblem, LoginError};
use super::scram;
use crate::channel::{Channel, FirstAnswer, first_answer};
use crate::conversation::Conversation;
use crate::deadline::Step;
use crate::message::{AuthenticationRequest, BackendMessage, ProtocolVersion, ServerError, password_message};
use crate::tls::TlsFacts;
use crate::wire_error::WireError;

/// How a server's odd wishes are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// No password in clear; no binding where the certificate has nothing to bind to.
    Careful,
    /// A password in clear when asked; failure where the certificate has nothing to bind to.
    LikeLibpq,
}

/// Logs in over a channel.
pub(crate) async fn login(
    channel: Channel,
    who: &Credentials,
    manners: Manners,
) -> Result<Session, LoginError> {
    let packet = who.startup().encode(ProtocolVersion::V3_0)?;
    let (stream, peer, tls, deadline) = channel.into_parts();
    let mut conversation = Conversation::new(stream, deadline);
    let entered = enter(&mut conversation, &packet, who, tls.as_deref(), manners).await;
    let (method, start) = match entered {
        Ok(entered) => entered,
        Err(error) => {
            conversation.close().await;
            return Err(error);
        }
    };
    let (stream, unread, deadline) = conversation.into_parts();
    let mut replay = start.replay;
    replay.extend_from_slice(&unread);
    let established = Handover::new(stream, &replay);
    Session::begin(established, deadline, start.parameters, start.notices, peer, tls, method).await
}

/// Startup, authentication, and the settings that follow.
async fn enter(
    conversation: &mut Conversation,
    packet: &[u8],
    who: &Credentials,
    tls: Option<&TlsFacts>,
    manners: Manners,
) -> Result<(LoginMethod, Start), LoginError> {
    let asked = match first_answer(conversation, packet).await? {
        FirstAnswer::Asked(request) => request,
        FirstAnswer::Refused(error) => {
            return Err(LoginError::Refused { error: Box::new(error), authenticated: false });
        }
    };
    let method = authenticate(conversation, asked, who, tls, manners).await?;
    Ok((method, Start::read(conversation).await?))
}

/// Answers the server's request, up to `AuthenticationOk`.
async fn authenticate(
    conversation: &mut Conversation,
    asked: AuthenticationRequest,
    who: &Credentials,
    tls: Option<&TlsFacts>,
    manners: Manners,
) -> Result<LoginMethod, LoginError> {
    let must_bind = who.channel_binding == ChannelBinding::Require;
    let method = match asked {
        AuthenticationRequest::Ok if must_bind => return Err(BindingProblem::NotDone.into()),
        AuthenticationRequest::Ok => return Ok(LoginMethod::NotAsked),
        AuthenticationRequest::Sasl { mechanisms } => {
            let choice = scram::choose(&mechanisms, who.channel_binding, tls, manners)?;
            let method = choice.method;
            let password = who.password().ok_or(LoginError::NoPassword)?;
            scram::exchange(conversation, choice, password).await?;
            method
        }
        _ if must_bind => return Err(BindingProblem::NotSupported.into()),
        AuthenticationRequest::Cleartext => {
            if manners == Manners::Careful {
                return Err(LoginError::CleartextNotAllowed);
            }
            let password = who.password().ok_or(LoginError::NoPassword)?;
            let answer = password_message(password);
            conversation.send(Step::Authentication, &answer).await?;
            LoginMethod::Cleartext
        }
        AuthenticationRequest::Md5 { salt } => {
            let password = who.password().ok_or(LoginError::NoPassword)?;
            let hashed = postgres_protocol::authentication::md5_hash(who.user.as_bytes(), password, salt);
            let hashed = Zeroizing::new(hashed);
            let answer = password_message(hashed.as_bytes());
            conversation.send(Step::Authentication, &answer).await?;
            LoginMethod::Md5
        }
        other => return Err(LoginError::Unsupported(other)),
    };
    match scram::request(conversation).await? {
        AuthenticationRequest::Ok => Ok(method),
        _ => Err(WireError::OutOfPlace { step: Step::Authentication, tag: b'R' }.into()),
    }
}

/// What a server tells between `AuthenticationOk` and `ReadyForQuery`.
#[derive(Default)]
struct Start {
    /// The messages that tokio-postgres needs, as they came.
    replay: Vec<u8>,
    parameters: Vec<(String, String)>,
    notices: Vec<ServerError>,
}

impl Start {
    async fn read(conversation: &mut Conversation) -> Result<Self, LoginError> {
        let step = Step::SessionStart;
        let mut start = Self::default();
        loop {
            let (frame, message) = conversation.next_framed(step).await?;
            match message {
                BackendMessage::Error(error) => {
                    return Err(LoginError::Refused { error: Box::new(error), authenticated: true });
                }
                BackendMessage::Notice(notice) => {
                    start.notices.push(notice);
                    continue;
                }
                BackendMessage::NegotiateProtocolVersion { .. } => continue,
                BackendMessage::ParameterStatus { name, value } => {
                    start.parameters.push((name, value));
                }
                BackendMessage::BackendKeyData => {}
                BackendMessage::ReadyForQuery => {
                    frame.write(&mut start.replay);
                    return Ok(start);
                }
                other => return Err(WireError::OutOfPlace { step, tag: other.tag() }.into()),
            }
            frame.write(&mut start.replay);
        }
    }
}

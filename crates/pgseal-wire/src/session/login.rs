//! The way from the startup packet to `ReadyForQuery`.

use zeroize::Zeroizing;

use super::credentials::{ChannelBinding, Credentials};
use super::established::{LoginMethod, Session};
use super::handover::Handover;
use super::login_error::{BindingProblem, LoginError};
use super::require_auth::RequireAuth;
use super::scram;
use crate::channel::{Channel, FirstAnswer, first_answer};
use crate::conversation::Conversation;
use crate::deadline::Step;
use crate::libpq::LibpqVersion;
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

/// What a libpq puts up with: `require_auth` and `sslcertmode=require`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demands {
    pub(crate) require_auth: RequireAuth,
    pub(crate) certificate: bool,
    pub(crate) libpq: LibpqVersion,
}

/// Logs in over a channel.
pub(crate) async fn login(
    channel: Channel,
    who: &Credentials,
    manners: Manners,
    demands: &Demands,
) -> Result<Session, LoginError> {
    let packet = who.startup().encode(ProtocolVersion::V3_0)?;
    let (stream, peer, tls, deadline) = channel.into_parts();
    let mut conversation = Conversation::new(stream, deadline);
    let stand = Stand { who, tls: tls.as_deref(), manners, demands };
    let entered = enter(&mut conversation, &packet, &stand).await;
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

/// What libpq would say to a first request before it answers it; None where it would go on.
pub(crate) fn objection(
    asked: &AuthenticationRequest,
    who: &Credentials,
    tls: Option<&TlsFacts>,
    demands: &Demands,
) -> Option<LoginError> {
    let stand = Stand { who, tls, manners: Manners::LikeLibpq, demands };
    stand.puts_up_with(asked, false).err().or_else(|| match asked {
        AuthenticationRequest::Sasl { mechanisms } => {
            scram::choose(mechanisms, who.channel_binding, tls, Manners::LikeLibpq).err()
        }
        _ => None,
    })
}

/// Everything that decides how a request is met.
struct Stand<'a> {
    who: &'a Credentials,
    tls: Option<&'a TlsFacts>,
    manners: Manners,
    demands: &'a Demands,
}

impl Stand<'_> {
    /// `check_expected_areq`, fe-auth.c: the certificate, the method, the binding, in this order. `proved`: an
    /// exchange was gone through.
    fn puts_up_with(&self, asked: &AuthenticationRequest, proved: bool) -> Result<(), LoginError> {
        let demands = self.demands;
        if demands.certificate && *asked == AuthenticationRequest::Ok {
            let said = |text: &str| Err(LoginError::Demand(text.to_owned()));
            if !self.tls.is_some_and(|tls| tls.client_certificate_requested) {
                return said("server did not request an SSL certificate");
            }
            if !self.tls.is_some_and(|tls| tls.client_certificate_sent) {
                return said("server accepted connection without a valid SSL certificate");
            }
        }
        if let Some(text) = demands.require_auth.refuses(asked, proved, demands.libpq) {
            return Err(LoginError::Demand(text));
        }
        if self.who.channel_binding == ChannelBinding::Require && !proved {
            match asked {
                AuthenticationRequest::Ok => return Err(BindingProblem::NotDone.into()),
                AuthenticationRequest::Sasl { .. } => {}
                _ => return Err(BindingProblem::NotSupported.into()),
            }
        }
        Ok(())
    }
}

/// Startup, authentication, and the settings that follow.
async fn enter(
    conversation: &mut Conversation,
    packet: &[u8],
    stand: &Stand<'_>,
) -> Result<(LoginMethod, Start), LoginError> {
    let asked = match first_answer(conversation, packet).await? {
        FirstAnswer::Asked(request) => request,
        FirstAnswer::Refused(error) => {
            return Err(LoginError::Refused { error: Box::new(error), authenticated: false });
        }
    };
    let method = authenticate(conversation, asked, stand).await?;
    Ok((method, Start::read(conversation).await?))
}

/// Answers the server's request, up to `AuthenticationOk`.
async fn authenticate(
    conversation: &mut Conversation,
    asked: AuthenticationRequest,
    stand: &Stand<'_>,
) -> Result<LoginMethod, LoginError> {
    stand.puts_up_with(&asked, false)?;
    let who = stand.who;
    let method = match asked {
        AuthenticationRequest::Ok => return Ok(LoginMethod::NotAsked),
        AuthenticationRequest::Sasl { mechanisms } => {
            let choice = scram::choose(&mechanisms, who.channel_binding, stand.tls, stand.manners)?;
            let method = choice.method;
            let password = who.password().ok_or(LoginError::NoPassword)?;
            scram::exchange(conversation, choice, password).await?;
            method
        }
        AuthenticationRequest::Cleartext => {
            if stand.manners == Manners::Careful {
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
        AuthenticationRequest::Ok => {
            stand.puts_up_with(&AuthenticationRequest::Ok, true)?;
            Ok(method)
        }
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

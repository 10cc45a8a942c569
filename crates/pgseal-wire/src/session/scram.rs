//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), spoken to a server.
//!
//! The mathematics are postgres-protocol's, which refuses more than 100,000 iterations.

use postgres_protocol::authentication::sasl::{self, ScramSha256};

use super::credentials::ChannelBinding;
use super::established::LoginMethod;
use super::login::Manners;
use super::login_error::{BindingProblem, LoginError};
use crate::conversation::Conversation;
use crate::deadline::Step;
use crate::message::{AuthenticationRequest, BackendMessage, sasl_initial_response, sasl_response};
use crate::tls::TlsFacts;
use crate::wire_error::WireError;

/// The mechanism to use, decided as `pg_SASL_init` (fe-auth.c) decides it.
pub(super) struct Choice {
    pub(super) method: LoginMethod,
    binding: sasl::ChannelBinding,
}

pub(super) fn choose(
    mechanisms: &[String],
    wanted: ChannelBinding,
    tls: Option<&TlsFacts>,
    manners: Manners,
) -> Result<Choice, LoginError> {
    let offered = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
    let plus = offered(sasl::SCRAM_SHA_256_PLUS);
    if wanted == ChannelBinding::Require && tls.is_none() {
        return Err(BindingProblem::NoTls.into());
    }
    let Some(tls) = tls else {
        if plus {
            return Err(BindingProblem::OfferedWithoutTls.into());
        }
        return without(offered(sasl::SCRAM_SHA_256), sasl::ChannelBinding::unsupported(), mechanisms);
    };
    let mut flag = match wanted {
        ChannelBinding::Disable => sasl::ChannelBinding::unsupported(),
        // "We could, and you did not offer": undoes a downgrade by someone in the middle.
        ChannelBinding::Prefer | ChannelBinding::Require => sasl::ChannelBinding::unrequested(),
    };
    if plus && wanted != ChannelBinding::Disable {
        match &tls.binding {
            Ok(binding) => {
                let value = binding.value().to_vec();
                return Ok(Choice {
                    method: LoginMethod::ScramSha256Plus,
                    binding: sasl::ChannelBinding::tls_server_end_point(value),
                });
            }
            Err(why) if wanted == ChannelBinding::Require || manners == Manners::LikeLibpq => {
                return Err(BindingProblem::NoHash(why.clone()).into());
            }
            Err(_) => flag = sasl::ChannelBinding::unsupported(),
        }
    }
    if wanted == ChannelBinding::Require {
        return Err(BindingProblem::NotOffered.into());
    }
    without(offered(sasl::SCRAM_SHA_256), flag, mechanisms)
}

fn without(
    offered: bool,
    binding: sasl::ChannelBinding,
    mechanisms: &[String],
) -> Result<Choice, LoginError> {
    if !offered {
        let mechanisms = mechanisms.to_vec();
        return Err(LoginError::Unsupported(AuthenticationRequest::Sasl { mechanisms }));
    }
    Ok(Choice { method: LoginMethod::ScramSha256, binding })
}

/// The exchange, up to and with the server's own proof.
pub(super) async fn exchange(
    conversation: &mut Conversation,
    choice: Choice,
    password: &[u8],
) -> Result<(), LoginError> {
    let step = Step::Authentication;
    let mechanism = match choice.method {
        LoginMethod::ScramSha256Plus => sasl::SCRAM_SHA_256_PLUS,
        _ => sasl::SCRAM_SHA_256,
    };
    let mut scram = ScramSha256::new(password, choice.binding);
    let first = sasl_initial_response(mechanism, scram.message());
    conversation.send(step, &first).await?;

    let AuthenticationRequest::SaslContinue(data) = request(conversation).await? else {
        return Err(out_of_turn());
    };
    scram.update(&data).map_err(|error| wrong(&error))?;
    let last = sasl_response(scram.message());
    conversation.send(step, &last).await?;

    let AuthenticationRequest::SaslFinal(data) = request(conversation).await? else {
        return Err(out_of_turn());
    };
    scram.finish(&data).map_err(|error| wrong(&error))
}

/// The server's next authentication message.
pub(super) async fn request(conversation: &mut Conversation) -> Result<AuthenticationRequest, LoginError> {
    let step = Step::Authentication;
    match conversation.answer(step).await? {
        BackendMessage::Authentication(request) => Ok(request),
        BackendMessage::Error(error) => {
            Err(LoginError::Refused { error: Box::new(error), authenticated: false })
        }
        other => Err(WireError::OutOfPlace { step, tag: other.tag() }.into()),
    }
}

fn out_of_turn() -> LoginError {
    LoginError::Scram("an authentication message out of turn".to_owned())
}

fn wrong(error: &std::io::Error) -> LoginError {
    // These texts may quote the server: printable ASCII only.
    LoginError::Scram(error.to_string().escape_default().to_string())
}

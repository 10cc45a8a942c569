//! Why nobody was let in.

use crate::channel::AskError;
use crate::message::{AuthenticationRequest, ServerError, SqlState, StartupError};
use crate::wire_error::WireError;

/// Why a login failed. Where libpq has words for it, they are libpq's. No text holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The startup packet could not be made.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// The server said no: by `pg_hba.conf`, for the password, for the database …
    #[error("{error}{}", code(.error))]
    Refused {
        /// Its words.
        error: Box<ServerError>,
        /// Whether that was after `AuthenticationOk`: role and password were right then.
        authenticated: bool,
    },
    /// A password is wanted and there is none.
    #[error("fe_sendauth: no password supplied")]
    NoPassword,
    /// Channel binding was required, or begun, and could not be done.
    #[error(transparent)]
    Binding(#[from] BindingProblem),
    /// The server's way of authentication, or its silence about a client certificate, is not what was demanded.
    /// libpq's words.
    #[error("{0}")]
    Demand(String),
    /// The server wants the password as it is, and [`crate::Channel::login`] never does that.
    #[error("the server asks for the password in clear, which is not allowed here")]
    CleartextNotAllowed,
    /// The server wants something that is not done here: GSSAPI, SSPI, OAuth …
    #[error("the server asks for {0}, which is not supported here")]
    Unsupported(AuthenticationRequest),
    /// The server's part of SCRAM is wrong: it does not know the password's verifier, or someone
    /// in the middle does not.
    #[error("the server did not hold to SCRAM: {0}")]
    Scram(String),
    /// The session stood, and its first messages could not be understood.
    #[error("the start of the session could not be understood: {0}")]
    Handover(String),
    /// The conversation broke off.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Channel binding that could not be done, in libpq's words (fe-auth.c, fe-secure-openssl.c).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingProblem {
    /// Required without TLS.
    #[error("channel binding required, but SSL not in use")]
    NoTls,
    /// Required, and the server asks for something that cannot be bound.
    #[error("channel binding required but not supported by server's authentication request")]
    NotSupported,
    /// Required, and the server offers SCRAM only without.
    #[error(
        "channel binding is required, but server did not offer an authentication method that \
         supports channel binding"
    )]
    NotOffered,
    /// Required, and the server let in without.
    #[error("channel binding required, but server authenticated client without channel binding")]
    NotDone,
    /// SCRAM-SHA-256-PLUS without TLS: someone in the middle takes TLS off.
    #[error("server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection")]
    OfferedWithoutTls,
    /// The certificate has no hash to bind to (Ed25519). libpq says `could not find digest for
    /// NID UNDEF`.
    #[error("could not find digest for NID UNDEF: {0}")]
    NoHash(crate::tls::NoBinding),
}

impl BindingProblem {
    /// libpq's text, without what we add to it.
    pub fn libpq_text(&self) -> String {
        match self {
            Self::NoHash(_) => "could not find digest for NID UNDEF".to_owned(),
            other => other.to_string(),
        }
    }
}

impl From<AskError> for LoginError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Startup(error) => Self::Startup(error),
            AskError::Wire(error) => Self::Wire(error),
        }
    }
}

impl LoginError {
    /// The server's refusal, if it was one.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The SQLSTATE of the server's refusal.
    pub fn sqlstate(&self) -> Option<SqlState> {
        self.server_error().and_then(|error| error.sqlstate)
    }
}

fn code(error: &ServerError) -> String {
    error.sqlstate.map_or_else(String::new, |code| format!(" ({code})"))
}

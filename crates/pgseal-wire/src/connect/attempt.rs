//! The record of one attempt: where, in what, how far it came.

use std::fmt;

use super::target_session::Unsuitable;
use crate::message::AuthenticationRequest;
use crate::open_error::OpenProblem;
use crate::route::DialError;
use crate::session::{LoginError, LoginMethod};
use crate::socket::Peer;
use crate::tls::{HandshakeFailure, Presented, TlsFacts};

/// One attempt on one socket. Plain data.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The address; None when it did not come to one.
    pub peer: Option<Peer>,
    /// Whether TLS was asked for.
    pub asked_for_tls: bool,
    /// What the handshake showed, when TLS came to be.
    pub tls: Option<Box<TlsFacts>>,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// What libpq would print for it, with its prefix; None when it succeeded. Where libpq's text
    /// depends on its OpenSSL, the text is ours.
    pub libpq_text: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone)]
pub enum AttemptOutcome {
    /// No socket.
    NoSocket(DialError),
    /// No connection to speak on.
    NotOpened(OpenProblem),
    /// Nobody was let in.
    NotLetIn(LoginError),
    /// The session stood, and the server is not what `target_session_attrs` asks for.
    NotTheRightServer(Unsuitable),
    /// Logged in.
    LoggedIn(LoginMethod),
    /// The server went on to authenticate, and that was all that was wanted.
    Asked(AuthenticationRequest),
}

/// How far an attempt came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptStep {
    /// The socket.
    Dial,
    /// The answer to `SSLRequest`.
    SslRequest,
    /// Our own root certificates.
    Roots,
    /// The client's own certificate and key.
    ClientCertificate,
    /// The handshake.
    Handshake,
    /// The check of the chain.
    Chain,
    /// The check of the name.
    Name,
    /// The answer to the startup packet: `pg_hba.conf`, mostly.
    Startup,
    /// Authentication, or what comes after it.
    Login,
    /// The look at what kind of server it is.
    TargetSession,
}

impl Attempt {
    /// Whether the server let it in, or went on to authenticate.
    pub const fn succeeded(&self) -> bool {
        matches!(self.outcome, AttemptOutcome::LoggedIn(_) | AttemptOutcome::Asked(_))
    }

    /// Where it failed; None when it did not.
    pub fn failed_at(&self) -> Option<AttemptStep> {
        Some(match &self.outcome {
            AttemptOutcome::LoggedIn(_) | AttemptOutcome::Asked(_) => return None,
            AttemptOutcome::NotOpened(OpenProblem::Handshake { failure, .. }) => match **failure {
                HandshakeFailure::Roots(_) => AttemptStep::Roots,
                HandshakeFailure::ClientCertificate(_) => AttemptStep::ClientCertificate,
                HandshakeFailure::Chain(_) => AttemptStep::Chain,
                HandshakeFailure::Name(_) => AttemptStep::Name,
                _ => AttemptStep::Handshake,
            },
            AttemptOutcome::NoSocket(_) | AttemptOutcome::NotOpened(OpenProblem::Dial(_)) => {
                AttemptStep::Dial
            }
            AttemptOutcome::NotOpened(_) => AttemptStep::SslRequest,
            AttemptOutcome::NotLetIn(LoginError::Refused { authenticated: false, error })
                if !error.is(crate::message::SqlState::INVALID_PASSWORD) =>
            {
                AttemptStep::Startup
            }
            AttemptOutcome::NotLetIn(LoginError::Wire(error)) if error.step() == crate::Step::Startup => {
                AttemptStep::Startup
            }
            AttemptOutcome::NotLetIn(_) => AttemptStep::Login,
            AttemptOutcome::NotTheRightServer(_) => AttemptStep::TargetSession,
        })
    }

    /// Whether it failed for something that is not done here, so that nothing is known of what libpq would come to:
    /// old versions of TLS, kinds of keys that rustls does not read, OAuth, GSSAPI.
    pub const fn is_untold(&self) -> bool {
        match &self.outcome {
            AttemptOutcome::NotOpened(OpenProblem::Handshake { failure, .. }) => failure.is_ours(),
            AttemptOutcome::NotLetIn(LoginError::Unsupported(_)) => true,
            _ => false,
        }
    }

    /// Whether the server declined TLS and the conversation went on without it.
    pub const fn was_declined(&self) -> bool {
        self.asked_for_tls && self.spoke_plaintext()
    }

    /// Whether a startup packet went over the wire in the clear, for whoever listens: user, database and what came
    /// after that. Nothing that goes over a Unix socket counts.
    pub const fn spoke_plaintext(&self) -> bool {
        let spoke = matches!(
            self.outcome,
            AttemptOutcome::NotLetIn(_)
                | AttemptOutcome::NotTheRightServer(_)
                | AttemptOutcome::LoggedIn(_)
                | AttemptOutcome::Asked(_)
        );
        spoke && self.tls.is_none() && matches!(self.peer, Some(Peer::Tcp(_)))
    }

    /// What became of it, in words.
    pub fn came_to(&self) -> String {
        let encrypted = if self.spoke_plaintext() { " WITHOUT encryption" } else { "" };
        match &self.outcome {
            AttemptOutcome::NoSocket(error) => error.to_string(),
            AttemptOutcome::NotOpened(problem) => problem.to_string(),
            AttemptOutcome::NotLetIn(error) => error.to_string(),
            AttemptOutcome::NotTheRightServer(why) => why.to_string(),
            AttemptOutcome::LoggedIn(_) => format!("connected{encrypted}"),
            AttemptOutcome::Asked(request) => format!("asked for {request}{encrypted}"),
        }
    }

    /// What was seen of a server that TLS was not established with.
    pub fn presented(&self) -> Option<&Presented> {
        match &self.outcome {
            AttemptOutcome::NotOpened(OpenProblem::Handshake { presented, .. }) => Some(presented),
            _ => None,
        }
    }
}

/// `TLS, certificate verify failed: …`, `plaintext, connected WITHOUT encryption`.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.was_declined() {
            "TLS declined by the server, plaintext, "
        } else if self.asked_for_tls {
            "TLS, "
        } else {
            "plaintext, "
        })?;
        f.write_str(&self.came_to())
    }
}

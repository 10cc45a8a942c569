//! A real login with everything verified, and what the server itself says of it.

use std::net::IpAddr;

use pgseal_pki::Fingerprint;
use pgseal_wire::tls::Check;
use pgseal_wire::{ChannelBinding, ClientCertificate, Credentials, LoginError, Session, open};

use super::claim::{Claim, ClaimName, Proof};
use super::subject::{Issued, Subject, Trusted};
use crate::sql::{APPLICATION, rows_of};

/// Why there is no session.
pub(crate) enum NoSession {
    /// Nobody gave a password, or the server cannot be trusted with one.
    NotTried(String),
    /// The server asks for something that cannot be bound to TLS, and that we do not give.
    NotGiven(String),
    /// The attempt was made, and this came of it: a wrong password, a full server.
    Failed(String),
}

impl NoSession {
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::NotTried(why) | Self::NotGiven(why) | Self::Failed(why) => why,
        }
    }
}

impl From<LoginError> for NoSession {
    fn from(error: LoginError) -> Self {
        let why = error.to_string();
        match error {
            LoginError::NoPassword => Self::NotTried("no password was given to log in with".into()),
            LoginError::Binding(_) | LoginError::CleartextNotAllowed | LoginError::Unsupported(_) => {
                Self::NotGiven(why)
            }
            _ => Self::Failed(why),
        }
    }
}

/// Logs in with verify-full, bound to TLS where the server offers that; the password goes to nobody
/// else, and never in clear.
pub(super) async fn login(subject: &Subject, trusted: Option<Trusted>) -> Result<Session, NoSession> {
    // A certificate may do without one: the method cert.
    if subject.password.is_none() && !matches!(subject.certificate, ClientCertificate::Ready(_)) {
        return Err(NoSession::NotTried("no password was given to log in with".into()));
    }
    if let Some(why) = &subject.kept_out {
        return Err(NoSession::NotTried(why.clone()));
    }
    let address = subject.addresses.first().copied();
    let address = address.ok_or_else(|| NoSession::NotTried("there is no address to log in at".into()))?;
    match (trusted, &subject.roots, &subject.issued) {
        (Some(_), Ok(roots), _) => {
            log_in_at(subject, address, Check::ChainAndName(roots.clone()), ChannelBinding::Prefer).await
        }
        (_, Err(_), Issued::Installed(expected)) => log_in_to(subject, address, *expected).await,
        _ => Err(NoSession::NotTried(
            "the server's certificate did not verify, and no password is sent to it".into(),
        )),
    }
}

/// A login to whoever holds the key of this very certificate. The handshake's signature proves that.
async fn log_in_to(subject: &Subject, address: IpAddr, expected: Fingerprint) -> Result<Session, NoSession> {
    let opened = open(&subject.route(address), subject.tls(Check::None)).await;
    let channel = opened.map_err(|error| NoSession::Failed(error.to_string()))?;
    let served = channel.tls().and_then(|facts| facts.leaf()).map(pgseal_pki::Certificate::fingerprint);
    if served != Some(expected) {
        channel.close().await;
        return Err(NoSession::NotTried(
            "another certificate was served than the one in the server's files, and no password is sent to it"
                .into(),
        ));
    }
    Ok(channel.login(&credentials(subject, ChannelBinding::Prefer)).await?)
}

/// One login of the subject's user over TLS.
pub(crate) async fn log_in_at(
    subject: &Subject,
    address: IpAddr,
    check: Check,
    channel_binding: ChannelBinding,
) -> Result<Session, NoSession> {
    let encryption = subject.tls(check);
    let opened = open(&subject.route(address), encryption).await;
    let channel = opened.map_err(|error| NoSession::Failed(error.to_string()))?;
    Ok(channel.login(&credentials(subject, channel_binding)).await?)
}

pub(crate) fn credentials(subject: &Subject, channel_binding: ChannelBinding) -> Credentials {
    Credentials {
        user: subject.username.clone(),
        dbname: subject.dbname.clone(),
        password: subject
            .password
            .as_ref()
            .map(|password| zeroize::Zeroizing::new(password.reveal().to_owned())),
        application_name: Some(APPLICATION.to_owned()),
        channel_binding,
    }
}

/// What pg_stat_ssl says of our own session, and how the login was bound.
pub(super) async fn claims(subject: &Subject, session: &Result<Session, NoSession>, proof: &mut Proof) {
    match session {
        Err(_) if subject.kept_out.is_some() => {
            let why = subject.kept_out.as_deref().unwrap_or_default();
            for name in [ClaimName::SessionEncrypted, ClaimName::ChannelBinding] {
                proof.leave_out(name, format!("no login can be made over TLS: {why}"));
            }
        }
        Ok(session) => {
            proof.add(encrypted(session).await);
            let method = session.method();
            proof.add(if session.channel_bound() {
                Claim::holds(ClaimName::ChannelBinding, format!("logged in with {method}"))
            } else {
                Claim::fails(
                    ClaimName::ChannelBinding,
                    format!("logged in with {method}"),
                    "it is not bound to TLS",
                )
            });
        }
        Err(none) => {
            proof.add(Claim::cannot_tell(ClaimName::SessionEncrypted, format!("no session: {}", none.why())));
            let name = ClaimName::ChannelBinding;
            proof.add(match none {
                NoSession::NotTried(why) => Claim::cannot_tell(name, why.clone()),
                NoSession::NotGiven(why) => {
                    Claim::fails(name, "no SCRAM-SHA-256-PLUS is offered", why.clone())
                }
                NoSession::Failed(why) => Claim::cannot_tell(name, format!("no session: {why}")),
            });
        }
    }
}

async fn encrypted(session: &Session) -> Claim {
    const OWN_ROW: &str = "SELECT ssl, version, cipher, bits FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let name = ClaimName::SessionEncrypted;
    let rows = match rows_of(session, OWN_ROW, &[]).await {
        Ok(rows) => rows,
        Err(error) => return Claim::cannot_tell(name, format!("pg_stat_ssl could not be read: {error}")),
    };
    let Some(row) = rows.first() else {
        return Claim::cannot_tell(name, "pg_stat_ssl has no row for our own session");
    };
    let text = |at: usize| row.try_get::<_, Option<String>>(at).ok().flatten().unwrap_or_default();
    match row.try_get::<_, bool>(0) {
        Ok(true) => {
            let bits = row.try_get::<_, Option<i32>>(3).ok().flatten().unwrap_or_default();
            Claim::holds(name, format!("pg_stat_ssl of our own session: {} {} {bits} bits", text(1), text(2)))
        }
        Ok(false) => {
            Claim::fails(name, "pg_stat_ssl of our own session: ssl = f", "the session is not encrypted")
        }
        Err(error) => Claim::cannot_tell(name, format!("pg_stat_ssl could not be read: {error}")),
    }
}

//! Whether clients have to show a certificate: one that does gets in, one that does not is refused.

use pgseal_wire::message::{Replication, SqlState};
use pgseal_wire::{FirstAnswer, Session, open};

use super::claim::{Claim, ClaimName, Proof};
use super::session::NoSession;
use super::subject::Subject;
use crate::sql::text_of;

pub(super) async fn claims(subject: &Subject, session: &Result<Session, NoSession>, proof: &mut Proof) {
    proof.add(with_one(session).await);
    proof.add(without(subject).await);
}

/// What the server itself says of the certificate that our own session showed. Empty: it saw none.
async fn with_one(session: &Result<Session, NoSession>) -> Claim {
    const SHOWN: &str = "SELECT coalesce(client_dn, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let name = ClaimName::ClientCertificateConnects;
    let session = match session {
        Ok(session) => session,
        Err(none) => return Claim::cannot_tell(name, format!("no session: {}", none.why())),
    };
    match text_of(session, SHOWN, &[]).await {
        Ok(shown) if shown.is_empty() => Claim::fails(
            name,
            "pg_stat_ssl of our own session names no client_dn",
            "the server asked for no certificate, or none was shown",
        ),
        Ok(shown) => Claim::holds(name, format!("pg_stat_ssl of our own session: client_dn {shown}")),
        Err(why) => Claim::cannot_tell(name, format!("pg_stat_ssl could not be read: {why}")),
    }
}

/// PostgreSQL wants the certificate before it asks for anything else (auth.c, ClientAuthentication): nothing is answered.
async fn without(subject: &Subject) -> Claim {
    let name = ClaimName::WithoutCertificateRefused;
    let Some(address) = subject.addresses.first() else {
        return Claim::cannot_tell(name, "there is no address to try");
    };
    let channel = match open(&subject.route(*address), subject.tls_without_certificate()).await {
        Ok(channel) => channel,
        Err(error) => return Claim::cannot_tell(name, error.to_string()),
    };
    match channel.ask(&subject.startup(Replication::No)).await {
        Ok(FirstAnswer::Refused(error)) if error.is(SqlState::INVALID_AUTHORIZATION) => {
            Claim::holds(name, format!("refused: {error}"))
        }
        Ok(FirstAnswer::Refused(error)) => Claim::cannot_tell(name, error.to_string()),
        Ok(FirstAnswer::Asked(request)) => Claim::fails(
            name,
            format!("without one the server asks for {request}"),
            "it wants no certificate",
        ),
        Err(error) => Claim::cannot_tell(name, error.to_string()),
    }
}

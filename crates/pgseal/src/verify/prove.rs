//! All claims in the order in which they rest on each other.

use pgseal_wire::Session;
use time::OffsetDateTime;

use super::claim::Proof;
use super::subject::Subject;
use super::{certificate, clients, hba, modes, passwords, plaintext, session, tls};
use crate::failure::Result;

/// Looks at the server and says what holds. Changes nothing; an error only when nothing could be
/// reached.
pub(crate) async fn prove(subject: &Subject, now: OffsetDateTime) -> Result<Proof> {
    prove_with(subject, None, now).await
}

/// The same with a session that stands already, for what is asked of the server itself.
pub(crate) async fn prove_with(
    subject: &Subject,
    inside: Option<&Session>,
    now: OffsetDateTime,
) -> Result<Proof> {
    let mut proof = Proof::default();
    let seen = tls::look(subject).await?;
    tls::claims(&seen, subject.negotiation, &mut proof);
    let trusted = certificate::claims(subject, &seen, now, &mut proof);
    plaintext::claims(subject, &mut proof).await;
    let session = session::login(subject, trusted).await;
    // Where somebody is inside already, over the server's own socket, they see more than a login may.
    let looks = inside.map_or_else(|| session.as_ref(), Ok);
    proof.add(hba::claim(subject, looks).await);
    session::claims(subject, &session, &mut proof).await;
    if subject.wants_certificates {
        clients::claims(subject, &session, &mut proof).await;
    }
    proof.add(passwords::claim(looks).await);
    modes::claims(subject, trusted, &session, &mut proof).await;
    if let Ok(session) = session {
        session.close().await;
    }
    Ok(proof)
}

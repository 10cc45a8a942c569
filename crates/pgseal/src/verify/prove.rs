//! All claims in the order in which they rest on each other.

use time::OffsetDateTime;

use super::claim::Proof;
use super::subject::Subject;
use super::{certificate, hba, modes, passwords, plaintext, session, tls};
use crate::failure::Result;

/// Looks at the server and says what holds. Changes nothing; an error only when nothing could be
/// reached.
pub(crate) async fn prove(subject: &Subject, now: OffsetDateTime) -> Result<Proof> {
    let mut proof = Proof::default();
    let seen = tls::look(subject).await?;
    tls::claims(&seen, subject.negotiation, &mut proof);
    let trusted = certificate::claims(subject, &seen, now, &mut proof);
    plaintext::claims(subject, &mut proof).await;
    let session = session::login(subject, trusted).await;
    proof.add(hba::claim(&session).await);
    session::claims(&session, &mut proof).await;
    proof.add(passwords::claim(&session).await);
    modes::claims(subject, trusted, &session, &mut proof).await;
    if let Ok(session) = session {
        session.close().await;
    }
    Ok(proof)
}

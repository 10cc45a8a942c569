//! A session for looking inside a server: the same login as the proof's, and as careful.

use pgseal_wire::Session;
use time::OffsetDateTime;

use super::claim::Proof;
use super::session::login;
use super::subject::Subject;
use super::{certificate, tls};

/// A session of the subject's user, if its server's certificate verifies fully; the password goes to
/// nobody else.
pub(crate) async fn administrator(subject: &Subject) -> Result<Session, String> {
    let seen = tls::look(subject).await.map_err(|failure| failure.sentence().to_owned())?;
    let trusted = certificate::claims(subject, &seen, OffsetDateTime::now_utc(), &mut Proof::default());
    login(subject, trusted).await.map_err(|none| none.why().to_owned())
}

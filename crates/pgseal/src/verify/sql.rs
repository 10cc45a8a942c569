//! SQL over a session that verified fully: the one door to a server's inside.

use pgseal_wire::Session;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::answer::answer;
use super::claim::Proof;
use super::session::{NoSession, login};
use super::subject::Subject;
use super::{certificate, tls};

type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];

/// A session of the subject's user, if its server's certificate verifies fully; the password goes to
/// nobody else.
pub(crate) async fn administrator(subject: &Subject) -> Result<Session, String> {
    let seen = tls::look(subject).await.map_err(|failure| failure.sentence().to_owned())?;
    let now = time::OffsetDateTime::now_utc();
    let trusted = certificate::claims(subject, &seen, now, &mut Proof::default());
    login(subject, trusted).await.map_err(|none: NoSession| none.why().to_owned())
}

pub(crate) async fn rows_of(
    session: &Session,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, String> {
    answer(session.client().query(sql, parameters)).await
}

/// The one text that a query gives.
pub(crate) async fn text_of(
    session: &Session,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<String, String> {
    let row = answer(session.client().query_one(sql, parameters)).await?;
    row.try_get(0).map_err(|error| error.to_string())
}

pub(crate) async fn bytes_of(
    session: &Session,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<u8>, String> {
    let row = answer(session.client().query_one(sql, parameters)).await?;
    row.try_get(0).map_err(|error| error.to_string())
}

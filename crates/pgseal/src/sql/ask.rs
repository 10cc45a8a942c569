//! The few shapes in which an answer is wanted. Errors are one sentence.

use pgseal_wire::Session;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::answer::answer;

type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Before every question. Who owns the database may set its search_path, and a superuser's session would run
/// what they named like a catalog, in the superuser's name (CVE-2018-1058). For the one transaction only: a
/// pooler hands the session on to others.
const ALONE: &str = "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp";

/// Asks in a transaction of its own that changes nothing, and where every name is the system's.
pub(crate) async fn rows_of(
    session: &Session,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, String> {
    answer(async {
        let client = session.client();
        client.batch_execute(ALONE).await?;
        let rows = client.query(sql, parameters).await;
        let ended = client.batch_execute("ROLLBACK").await;
        rows.and_then(|rows| ended.map(|()| rows))
    })
    .await
}

/// The one text that a query gives.
pub(crate) async fn text_of(
    session: &Session,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<String, String> {
    let row = row_of(session, sql, parameters).await?;
    row.try_get(0).map_err(|error| error.to_string())
}

pub(crate) async fn bytes_of(
    session: &Session,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<u8>, String> {
    let row = row_of(session, sql, parameters).await?;
    row.try_get(0).map_err(|error| error.to_string())
}

async fn row_of(session: &Session, sql: &str, parameters: Parameters<'_>) -> Result<Row, String> {
    let mut rows = rows_of(session, sql, parameters).await?;
    match (rows.len(), rows.pop()) {
        (1, Some(row)) => Ok(row),
        (count, _) => Err(format!("the server gave {count} rows where one is the answer")),
    }
}

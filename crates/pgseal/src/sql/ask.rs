//! The few shapes in which an answer is wanted. Errors are one sentence.

use pgseal_wire::Session;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::answer::answer;

type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];

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

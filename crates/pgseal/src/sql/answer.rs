//! SQL with an end: a server that stops answering is a reason, not a wait.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

/// For one statement. What is asked here takes milliseconds; CREATE DATABASE copies a template.
const PATIENCE: Duration = Duration::from_secs(60);

/// The statement's result, or one sentence: what the server said with its SQLSTATE, or that it said
/// nothing.
pub(crate) async fn answer<T>(
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, statement).await {
        Ok(outcome) => outcome.map_err(|error| sentence(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn sentence(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("{} {}", said.code().code(), said.message()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

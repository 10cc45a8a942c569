//! Ends sessions, each by its own number.

use pgseal_wire::Session;

use crate::failure::{Failure, Result};
use crate::sql::rows_of;

/// How many of them were ended. One that has gone by itself meanwhile does not count.
pub(crate) async fn end(session: &Session, pids: &[i32]) -> Result<usize> {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         LEFT JOIN pg_stat_ssl USING (pid) WHERE pid = $1 AND NOT coalesce(ssl, false) AND client_addr IS NOT NULL";
    let mut ended = 0;
    for pid in pids {
        let rows = rows_of(session, END, &[pid]).await;
        let rows = rows.map_err(|why| Failure::new(format!("could not end session {pid}: {why}")))?;
        ended += usize::from(rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)));
    }
    Ok(ended)
}

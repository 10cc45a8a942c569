//! SQL over a session that stands: statements with an end, answers as values.

mod answer;
mod ask;

pub(crate) use answer::answer;
pub(crate) use ask::{bytes_of, rows_of, text_of};

/// The name our sessions have in `pg_stat_activity`.
pub(crate) const APPLICATION: &str = "pgseal";

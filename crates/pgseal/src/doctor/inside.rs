//! What the server itself says of its files: errors, what waits for a restart, what is not loaded.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pgseal_wire::Session;

use super::Notes;
use crate::hba::fetch::compared;
use crate::hba::loaded::Loaded;
use crate::sql::{rows_of, text_of};

/// Both views read the files now, as the next reload would (guc.c, hba.c). Rows without a type are errors, too:
/// the view does not say so of every one.
const ERRORS: [(&str, &str); 2] = [
    (
        "configuration-errors",
        "SELECT coalesce(sourcefile, '') || ' line ' || coalesce(sourceline, 0) || ': ' || coalesce(name || ': ', '') || error \
         FROM pg_file_settings WHERE error IS NOT NULL AND error <> 'setting could not be applied' LIMIT 3",
    ),
    (
        "rules-errors",
        "SELECT 'line ' || coalesce(line_number, 0) || ': ' || coalesce(error, 'it is no rule') FROM pg_hba_file_rules \
         WHERE error IS NOT NULL OR type IS NULL LIMIT 3",
    ),
];

pub(super) async fn look(session: &Session, hba: Option<&Path>, notes: &mut Notes<'_>) {
    for (name, query) in ERRORS {
        match rows_of(session, query, &[]).await {
            Ok(rows) if rows.is_empty() => {}
            Ok(rows) => {
                let said: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
                notes.findings.retain(|finding| finding.name != name);
                notes.find(name, said.join("; "));
            }
            Err(why) => notes.unseen("errors in the files", why, "a superuser's login"),
        }
    }
    pending(session, notes).await;
    let path = match hba {
        Some(path) => path.as_os_str().as_bytes().into(),
        None => match text_of(session, "SELECT current_setting('hba_file')", &[]).await {
            Ok(path) => path.into(),
            Err(why) => return notes.unseen("whether pg_hba.conf is loaded", why, "a superuser's login"),
        },
    };
    match compared(session, &path).await {
        Loaded::Newer(times) => notes.find("rules-not-loaded", format!("changed and loaded: {times}")),
        Loaded::Unknown(why) => {
            notes.unseen("whether pg_hba.conf is loaded", why, "a reload, and another look");
        }
        Loaded::Older | Loaded::AtNextStart => {}
    }
}

async fn pending(session: &Session, notes: &mut Notes<'_>) {
    const PENDING: &str = "SELECT name FROM pg_settings WHERE pending_restart ORDER BY name LIMIT 20";
    if let Ok(rows) = rows_of(session, PENDING, &[]).await
        && !rows.is_empty()
    {
        let names: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        notes.find("restart-pending", names.join(", "));
    }
}

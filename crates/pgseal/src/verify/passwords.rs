//! Are the stored passwords ones that never cross the wire? Only a superuser may look.

use pgseal_wire::Session;

use super::claim::{Claim, ClaimName};
use super::session::NoSession;
use crate::sql::{rows_of, text_of};

/// Roles that may log in with a password that is no SCRAM verifier; NULL means no password at all.
const WEAK: &str = "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL \
                    AND rolpassword NOT LIKE 'SCRAM-SHA-256$%' ORDER BY rolname LIMIT 6";
const STRONG: &str =
    "SELECT count(*)::text FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE 'SCRAM-SHA-256$%'";

pub(super) async fn claim(session: Result<&Session, &NoSession>) -> Claim {
    let name = ClaimName::PasswordsScram;
    let session = match session {
        Ok(session) => session,
        Err(none) => return Claim::cannot_tell(name, format!("no session: {}", none.why())),
    };
    let cannot = |error: String| Claim::cannot_tell(name, format!("pg_authid could not be read: {error}"));
    let weak = match rows_of(session, WEAK, &[]).await {
        Ok(rows) => rows,
        Err(error) => return cannot(error),
    };
    let names: Result<Vec<String>, _> = weak.iter().map(|row| row.try_get(0)).collect();
    match names {
        Err(error) => cannot(error.to_string()),
        Ok(names) if !names.is_empty() => Claim::fails(
            name,
            format!("not SCRAM: {}", names.join(", ")),
            "md5 passwords are weak and cannot be bound to TLS",
        ),
        Ok(_) => match text_of(session, STRONG, &[]).await {
            Ok(count) => Claim::holds(name, format!("{count} of {count} roles with a password")),
            Err(error) => cannot(error),
        },
    }
}

//! Every role of a server and who is a member of which, for rules that say `+role` or `samerole`.

use pgseal_conf::hba::Roles;
use pgseal_wire::Session;

use crate::sql::rows_of;

/// More roles than this are not asked for; the answer then hinges on them.
const MOST: usize = 100_000;

/// Roles and direct memberships, readable by everybody (pg_roles, pg_auth_members).
pub(crate) async fn roles(session: &Session) -> Result<Roles, String> {
    const ROLES: &str = "SELECT rolname::text FROM pg_roles LIMIT 100001";
    const MEMBERSHIPS: &str = "SELECT r.rolname::text, m.rolname::text FROM pg_auth_members \
                               JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member LIMIT 100001";
    let text = |row: &tokio_postgres::Row, at: usize| {
        row.try_get::<_, String>(at).map_err(|error| error.to_string())
    };
    let (names, memberships) =
        (rows_of(session, ROLES, &[]).await?, rows_of(session, MEMBERSHIPS, &[]).await?);
    if names.len() > MOST || memberships.len() > MOST {
        return Err("there are too many roles".to_owned());
    }
    let mut roles = Roles::new();
    for row in &names {
        roles.add(text(row, 0)?.as_str());
    }
    for row in &memberships {
        roles.grant(text(row, 0)?.as_str(), text(row, 1)?.as_str());
    }
    Ok(roles)
}

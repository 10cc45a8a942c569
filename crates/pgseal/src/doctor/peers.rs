//! Where the server itself is a client: a standby, subscriptions, foreign servers. Passwords in their connection strings
//! go nowhere.

use pgseal_conf::conninfo::Conninfo;
use pgseal_wire::Session;

use super::Notes;
use crate::sql::rows_of;

/// Everything of one database alone is looked at in the one that was logged in to.
const OTHERS: &str = "the same in each other database: -d DBNAME";

pub(super) async fn look(session: &Session, in_recovery: bool, notes: &mut Notes<'_>) {
    if in_recovery {
        standby(session, notes).await;
        return;
    }
    subscriptions(session, notes).await;
    foreign_servers(session, notes).await;
}

async fn standby(session: &Session, notes: &mut Notes<'_>) {
    const CONNINFO: &str = "SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'";
    let Some(text) = first(session, CONNINFO).await else {
        return notes.unseen("primary_conninfo", "it is not to be seen", "a superuser's login");
    };
    if let Some(mode) = unverified(&text) {
        notes.find("standby-unverified", format!("primary_conninfo has sslmode={mode}"));
    }
}

async fn subscriptions(session: &Session, notes: &mut Notes<'_>) {
    // The catalog is shared by all databases; the connection strings are for superusers.
    const ALL: &str = "SELECT subname::text, subconninfo FROM pg_subscription ORDER BY subname LIMIT 1000";
    match rows_of(session, ALL, &[]).await {
        Ok(rows) => {
            for row in &rows {
                let (Ok(name), Ok(text)) = (row.try_get::<_, String>(0), row.try_get::<_, String>(1)) else {
                    continue;
                };
                if let Some(mode) = unverified(&text) {
                    notes.find("subscription-unverified", format!("{name} has sslmode={mode}"));
                }
            }
        }
        Err(why) => notes.unseen("subscriptions", why, "a superuser's login"),
    }
}

async fn foreign_servers(session: &Session, notes: &mut Notes<'_>) {
    const ALL: &str = "SELECT s.srvname::text, coalesce(array_to_string(s.srvoptions, E'\\n'), '') \
         FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
         WHERE w.fdwname = 'postgres_fdw' ORDER BY 1 LIMIT 1000";
    const DATABASES: &str = "SELECT count(*)::text FROM pg_database WHERE datallowconn AND datname <> current_database() \
         AND datname NOT LIKE 'template_'";
    if let Ok(rows) = rows_of(session, ALL, &[]).await {
        for row in &rows {
            let (Ok(name), Ok(options)) = (row.try_get::<_, String>(0), row.try_get::<_, String>(1)) else {
                continue;
            };
            let mode = options.lines().find_map(|option| option.strip_prefix("sslmode=")).unwrap_or("prefer");
            let over_socket = options.lines().any(|option| option.starts_with("host=/"));
            if !mode.starts_with("verify-") && !over_socket {
                notes.find("foreign-server-unverified", format!("{name} has sslmode={mode}"));
            }
        }
    }
    if first(session, DATABASES).await.is_some_and(|count| count != "0") {
        notes.unseen("foreign servers of other databases", "they are each database's own", OTHERS);
    }
}

async fn first(session: &Session, query: &str) -> Option<String> {
    rows_of(session, query, &[]).await.ok()?.first()?.try_get(0).ok()
}

/// Its sslmode, where that lets somebody else answer. Over a socket nobody can.
fn unverified(text: &str) -> Option<String> {
    let conninfo = Conninfo::parse(text).ok()?;
    let local = conninfo.get("host").is_some_and(|host| host.starts_with('/'));
    let mode = conninfo.get("sslmode").unwrap_or("prefer");
    (!local && !mode.starts_with("verify-")).then(|| mode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_verifies_or_comes_over_a_socket_is_left_alone() {
        for (text, mode) in [
            ("host=a sslmode=verify-full password=secret", None),
            ("host=a sslmode=verify-ca", None),
            ("host=/run/postgresql", None),
            ("host=a password=secret", Some("prefer")),
            ("postgresql://u:secret@a/d?sslmode=require", Some("require")),
        ] {
            assert_eq!(unverified(text).as_deref(), mode, "{text}");
        }
    }
}

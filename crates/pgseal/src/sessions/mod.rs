//! Who is connected, and how: pg_stat_activity beside pg_stat_ssl of one moment, a ledger over time, and who of them
//! would be refused by other rules.

mod authorized;
pub(crate) mod client;
pub(crate) mod follow;
pub(crate) mod ledger;
mod logged;
pub(crate) use logged::csv_fields;
mod prefix;
pub(crate) mod record;
pub(crate) mod replay;

use std::net::IpAddr;

use pgseal_wire::Session;
use serde::Serialize;

use client::How;

use crate::sql::rows_of;

/// More sessions than this are not looked at; PostgreSQL's own ceiling is 262143.
const MOST: i64 = 20_000;

/// One session of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    pub(crate) pid: i32,
    pub(crate) user: Option<String>,
    /// None for physical replication.
    pub(crate) database: Option<String>,
    /// None for a Unix socket.
    pub(crate) address: Option<IpAddr>,
    pub(crate) application: String,
    /// `client backend`, `walsender` …
    pub(crate) backend_type: String,
    /// When it began, RFC 3339.
    pub(crate) since: String,
    /// How long ago that was by the server's clock, in seconds.
    pub(crate) age: i64,
    pub(crate) tls: Option<Tls>,
    /// Whether it is encrypted by GSSAPI.
    pub(crate) gss: bool,
    /// The principal that GSSAPI has authenticated.
    pub(crate) principal: Option<String>,
    /// Whether it is the session that looked.
    pub(crate) own: bool,
    /// Whether the role that looked may not see where it comes from and what is around it.
    pub(crate) hidden: bool,
}

/// What pg_stat_ssl says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Tls {
    pub(crate) version: String,
    pub(crate) suite: String,
    /// Of the key that encrypts.
    pub(crate) bits: i32,
    pub(crate) client_certificate: Option<String>,
}

impl Seen {
    /// Over TCP, with nothing around it.
    pub(crate) const fn is_plaintext(&self) -> bool {
        self.address.is_some() && self.tls.is_none() && !self.gss
    }

    pub(crate) fn how(&self) -> How {
        match (&self.tls, self.gss, self.address) {
            _ if self.hidden => How::Unknown,
            (Some(tls), ..) => How::Tls { version: tls.version.clone(), suite: tls.suite.clone() },
            (None, true, _) => How::Gss,
            (None, false, None) => How::Local,
            (None, false, Some(_)) => How::Plaintext,
        }
    }
}

/// Every session of a client, plaintext first. That not all may be seen is an error, not a guess.
pub(crate) async fn sessions(session: &Session) -> Result<Vec<Seen>, String> {
    let all = visible(session).await?;
    if all.iter().any(|seen| seen.hidden) {
        return Err("the role may not see the sessions of others (pg_read_all_stats may)".to_owned());
    }
    Ok(all)
}

/// The same, with as much of each as the role may see. Who is no superuser and not in pg_read_all_stats sees
/// others' rows without address, type and encryption (pgstatfuncs.c, HAS_PGSTAT_PERMISSIONS); the launcher of logical
/// replication, which has a user too, is told from them by its having neither database nor name. From 18 on
/// a client shows before it has authenticated, its encryption not yet told (backend_status.c,
/// pgstat_bestart_initial): that is no session yet.
pub(crate) async fn visible(session: &Session) -> Result<Vec<Seen>, String> {
    const SESSIONS: &str = "SELECT a.pid, a.usename::text, a.datname::text, host(a.client_addr), \
         coalesce(a.application_name, ''), coalesce(a.backend_type, ''), \
         to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
         coalesce(s.ssl, false), coalesce(s.version, ''), coalesce(s.cipher, ''), coalesce(s.bits, 0), s.client_dn, \
         coalesce(g.encrypted, false), g.principal::text, a.pid = pg_backend_pid(), \
         extract(epoch FROM clock_timestamp() - a.backend_start)::bigint \
         FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) LEFT JOIN pg_stat_gssapi g USING (pid) \
         WHERE (a.backend_type IN ('client backend', 'walsender') \
                OR (a.backend_type IS NULL AND a.usename IS NOT NULL \
                    AND (a.datname IS NOT NULL OR a.application_name <> ''))) \
         AND a.state IS DISTINCT FROM 'starting' \
         ORDER BY coalesce(s.ssl, false), a.usename, a.client_addr, a.backend_start LIMIT $1";
    let rows = rows_of(session, SESSIONS, &[&MOST]).await?;
    rows.iter().map(seen).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn seen(row: &tokio_postgres::Row) -> Result<Seen, tokio_postgres::Error> {
    let address: Option<String> = row.try_get(3)?;
    let encrypted: bool = row.try_get(7)?;
    let tls = if encrypted {
        Some(Tls {
            version: row.try_get(8)?,
            suite: row.try_get(9)?,
            bits: row.try_get(10)?,
            client_certificate: row.try_get(11)?,
        })
    } else {
        None
    };
    let backend_type: String = row.try_get(5)?;
    Ok(Seen {
        pid: row.try_get(0)?,
        user: row.try_get(1)?,
        database: row.try_get(2)?,
        address: address.and_then(|text| text.parse().ok()),
        application: row.try_get(4)?,
        hidden: backend_type.is_empty(),
        backend_type,
        since: row.try_get::<_, Option<String>>(6)?.unwrap_or_default(),
        age: row.try_get::<_, Option<i64>>(15)?.unwrap_or_default(),
        tls,
        gss: row.try_get(12)?,
        principal: row.try_get(13)?,
        own: row.try_get(14)?,
    })
}

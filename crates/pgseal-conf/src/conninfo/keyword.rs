//! The connection parameters that libpq knows, by version. Knows names, environment variables and compiled-in
//! defaults; refuses to know what a parameter does.

use crate::PgVersion::{self, V12, V13, V14, V16, V17, V18, V19};

/// One row of libpq's `PQconninfoOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The parameter's name, as written in a connection string.
    pub name: &'static str,
    /// The environment variable that supplies it when it is not given.
    pub environment: Option<&'static str>,
    /// What libpq takes when neither the string nor the environment say anything. Builds without GSSAPI default
    /// `gssencmode` to `disable`; Debian's and the project's own packages have it.
    pub default: Option<&'static str>,
    /// Whether the value is a secret, never to be shown.
    pub secret: bool,
    /// The first libpq that knows it (12 stands for 12 and before).
    pub since: PgVersion,
    /// The last libpq that knows it.
    pub until: PgVersion,
}

impl Keyword {
    /// The keyword of this name in the libpq of this version. Names are case-sensitive.
    pub fn find(name: &str, version: PgVersion) -> Option<&'static Self> {
        TABLE
            .iter()
            .find(|keyword| keyword.name == name && keyword.since <= version && version <= keyword.until)
    }

    /// Every keyword of any version, in libpq's order.
    pub fn all() -> &'static [Self] {
        &TABLE
    }
}

const fn row(name: &'static str, environment: Option<&'static str>, since: PgVersion) -> Keyword {
    Keyword { name, environment, default: None, secret: false, since, until: V19 }
}

const fn with_default(keyword: Keyword, default: &'static str) -> Keyword {
    Keyword { default: Some(default), ..keyword }
}

const fn secret(keyword: Keyword) -> Keyword {
    Keyword { secret: true, ..keyword }
}

const fn until(keyword: Keyword, until: PgVersion) -> Keyword {
    Keyword { until, ..keyword }
}

/// In the order of `PQconninfoOptions`, so that what is printed reads as libpq's own lists do.
static TABLE: [Keyword; 54] = [
    row("service", Some("PGSERVICE"), V12),
    row("servicefile", Some("PGSERVICEFILE"), V19),
    until(row("authtype", Some("PGAUTHTYPE"), V12), V13),
    row("user", Some("PGUSER"), V12),
    secret(row("password", Some("PGPASSWORD"), V12)),
    row("passfile", Some("PGPASSFILE"), V12),
    with_default(row("channel_binding", Some("PGCHANNELBINDING"), V13), "prefer"),
    row("connect_timeout", Some("PGCONNECT_TIMEOUT"), V12),
    row("dbname", Some("PGDATABASE"), V12),
    row("host", Some("PGHOST"), V12),
    row("hostaddr", Some("PGHOSTADDR"), V12),
    with_default(row("port", Some("PGPORT"), V12), "5432"),
    row("client_encoding", Some("PGCLIENTENCODING"), V12),
    until(row("tty", Some("PGTTY"), V12), V13),
    with_default(row("options", Some("PGOPTIONS"), V12), ""),
    row("application_name", Some("PGAPPNAME"), V12),
    row("fallback_application_name", None, V12),
    row("keepalives", None, V12),
    row("keepalives_idle", None, V12),
    row("keepalives_interval", None, V12),
    row("keepalives_count", None, V12),
    row("tcp_user_timeout", None, V12),
    with_default(row("sslmode", Some("PGSSLMODE"), V12), "prefer"),
    with_default(row("sslnegotiation", Some("PGSSLNEGOTIATION"), V17), "postgres"),
    with_default(row("sslcompression", Some("PGSSLCOMPRESSION"), V12), "0"),
    row("sslcert", Some("PGSSLCERT"), V12),
    row("sslkey", Some("PGSSLKEY"), V12),
    row("sslcertmode", Some("PGSSLCERTMODE"), V16),
    secret(row("sslpassword", None, V13)),
    row("sslrootcert", Some("PGSSLROOTCERT"), V12),
    row("sslcrl", Some("PGSSLCRL"), V12),
    row("sslcrldir", Some("PGSSLCRLDIR"), V14),
    with_default(row("sslsni", Some("PGSSLSNI"), V14), "1"),
    row("requirepeer", Some("PGREQUIREPEER"), V12),
    row("require_auth", Some("PGREQUIREAUTH"), V16),
    row("min_protocol_version", Some("PGMINPROTOCOLVERSION"), V18),
    row("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), V18),
    with_default(row("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION"), V13), "TLSv1.2"),
    row("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), V13),
    with_default(row("gssencmode", Some("PGGSSENCMODE"), V12), "prefer"),
    with_default(row("krbsrvname", Some("PGKRBSRVNAME"), V12), "postgres"),
    row("gsslib", Some("PGGSSLIB"), V12),
    with_default(row("gssdelegation", Some("PGGSSDELEGATION"), V16), "0"),
    row("replication", None, V12),
    with_default(row("target_session_attrs", Some("PGTARGETSESSIONATTRS"), V12), "any"),
    with_default(row("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), V16), "disable"),
    secret(row("scram_client_key", None, V18)),
    secret(row("scram_server_key", None, V18)),
    row("oauth_issuer", None, V18),
    row("oauth_client_id", None, V18),
    secret(row("oauth_client_secret", None, V18)),
    row("oauth_scope", None, V18),
    row("oauth_ca_file", Some("PGOAUTHCAFILE"), V19),
    row("sslkeylogfile", None, V18),
];

//! One SQL session that stays open, for questions by the thousand. Knows rows as text, not what they mean.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::cluster::Cluster;
use super::template::SUPERUSER;

/// One row: its columns as text, `None` for NULL.
pub(crate) type Row = Vec<Option<String>>;

/// A session of the superuser over the socket. It stays open when `pg_hba.conf` lets nobody in any more.
pub(crate) struct Sql {
    runtime: Runtime,
    client: Client,
}

impl Sql {
    #[track_caller]
    pub(crate) fn to(cluster: &Cluster) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
        let mut config = Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user(SUPERUSER).dbname("postgres");
        config.connect_timeout(Duration::from_secs(10));
        let connecting = config.connect(NoTls);
        let (client, connection) = runtime
            .block_on(connecting)
            .unwrap_or_else(|e| panic!("could not log in over the socket: {e:?}"));
        runtime.spawn(connection);
        Self { runtime, client }
    }

    /// The rows of a statement.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<Row> {
        self.try_rows(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"))
    }

    /// The same, for a statement that may fail; the server's message then.
    pub(crate) fn try_rows(&self, sql: &str) -> Result<Vec<Row>, String> {
        let messages = self.runtime.block_on(self.client.simple_query(sql));
        let messages = messages.map_err(|e| e.as_db_error().map_or(e.to_string(), ToString::to_string))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows
            .map(|row| (0..row.columns().len()).map(|column| row.get(column).map(str::to_owned)).collect())
            .collect())
    }
}

/// An expression for the bytes of a text, whatever encoding they are in, in hexadecimal.
pub(crate) fn hex_of(column: &str) -> String {
    format!("encode(textsend({column}), 'hex')")
}

/// The same for an array of texts: each in hexadecimal, with a comma behind it.
pub(crate) fn hex_of_all(column: &str) -> String {
    format!(
        "(SELECT string_agg(encode(textsend(e), 'hex') || ',', '' ORDER BY n) FROM unnest({column}) WITH ORDINALITY AS u(e, n))"
    )
}

/// The bytes of [`hex_of`].
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("the server wrote hexadecimal digits");
    let pair =
        |pair: &[u8]| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).expect("two digits are a byte");
    text.as_bytes().chunks_exact(2).map(pair).collect()
}

/// The texts of [`hex_of_all`].
pub(crate) fn unhex_all(text: &str) -> Vec<Vec<u8>> {
    text.split_terminator(',').map(unhex).collect()
}

//! Connections as a server's log tells of them: in JSON, CSV or plain text, fed in pieces. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::authorized::{Authorized, authorized, received};
use super::client::{Client, How};
use super::prefix::Prefix;

/// The longest record that is put together, in bytes; a longer one is passed over.
const LONGEST: usize = 1 << 20;
/// Connections of which the host is remembered until they are let in; a refused one never is.
const MOST_HOSTS: usize = 65_536;
/// What stands for a socket.
const LOCAL: &str = "[local]";

/// How the log is written.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// jsonlog.c, from 15 on.
    Json,
    /// csvlog.c.
    Csv,
    /// Plain text, by `log_line_prefix`.
    Text(String),
}

/// A connection that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) client: Client,
    /// Where the log says when.
    pub(crate) at: Option<OffsetDateTime>,
}

/// Puts records together and keeps what the connections are.
pub(crate) struct Reader {
    written: Written,
    prefix: Prefix,
    zone: UtcOffset,
    hosts: HashMap<i64, String>,
    pending: Vec<u8>,
}

#[derive(Deserialize)]
struct JsonLine {
    timestamp: Option<String>,
    remote_host: Option<String>,
    message: Option<String>,
}

impl Reader {
    /// Times in the log are in a zone `zone` away from UTC, where they do not say so in numbers.
    pub(crate) fn new(written: Written, zone: UtcOffset) -> Self {
        let prefix = match &written {
            Written::Text(prefix) => Prefix::parse(prefix),
            Written::Json | Written::Csv => Prefix::parse(""),
        };
        Self { written, prefix, zone, hosts: HashMap::new(), pending: Vec::new() }
    }

    /// Why such a log does not tell where connections come from, if so.
    pub(crate) fn is_blind(&self) -> Option<&'static str> {
        let text = matches!(self.written, Written::Text(_));
        let blind = text && !self.prefix.has_pid() && !self.prefix.has_host();
        blind.then_some("log_line_prefix has neither %p nor %h, so that lines of one connection cannot be told from others")
    }

    /// The next bytes of the log, as they stand; a record that is not whole yet is kept for the next time.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Logged> {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut found = Vec::new();
        let mut begin = 0;
        let mut quoted = false;
        for (at, byte) in pending.iter().enumerate() {
            match byte {
                b'"' if matches!(self.written, Written::Csv) => quoted = !quoted,
                b'\n' if !quoted => {
                    let record = String::from_utf8_lossy(pending.get(begin..at).unwrap_or_default());
                    found.extend(self.record(record.trim_end_matches('\r')));
                    begin = at + 1;
                }
                _ => {}
            }
        }
        let rest = pending.get(begin..).unwrap_or_default();
        if rest.len() <= LONGEST {
            self.pending = rest.to_vec();
        }
        found
    }

    fn record(&mut self, record: &str) -> Option<Logged> {
        match self.written {
            Written::Json => self.json(record),
            Written::Csv => self.csv(record),
            Written::Text(_) => self.text(record),
        }
    }

    fn json(&self, record: &str) -> Option<Logged> {
        let line: JsonLine = serde_json::from_str(record).ok()?;
        let said = authorized(line.message.as_deref()?)?;
        let at = line.timestamp.and_then(|text| moment(&text, self.zone));
        Some(logged(said, line.remote_host.as_deref(), at))
    }

    /// log_time, user_name, database_name, process_id, connection_from … message is the fourteenth.
    fn csv(&self, record: &str) -> Option<Logged> {
        let fields = csv_fields(record);
        let said = authorized(fields.get(13)?)?;
        let from = fields.get(4).map(|from| from.rsplit_once(':').map_or(from.as_str(), |(host, _)| host));
        let at = fields.first().and_then(|text| moment(text, self.zone));
        Some(logged(said, from, at))
    }

    fn text(&mut self, record: &str) -> Option<Logged> {
        if let Some(host) = received(record) {
            if let Some(pid) = self.prefix.read(record).pid {
                if self.hosts.len() >= MOST_HOSTS {
                    self.hosts.clear();
                }
                self.hosts.insert(pid, host.to_owned());
            }
            return None;
        }
        let said = authorized(record)?;
        let told = self.prefix.read(record);
        let host = told.pid.and_then(|pid| self.hosts.remove(&pid)).or(told.host);
        let at = told.time.and_then(|text| moment(&text, self.zone));
        Some(logged(said, host.as_deref(), at))
    }
}

fn logged(said: Authorized, from: Option<&str>, at: Option<OffsetDateTime>) -> Logged {
    let address = from.filter(|host| !host.is_empty() && *host != LOCAL);
    let how = match (said.how, from) {
        (How::Plaintext, Some(LOCAL)) => How::Local,
        // Without a place it may as well have come over the socket.
        (How::Plaintext, None | Some("")) => How::Unknown,
        (how, _) => how,
    };
    let client = Client {
        how,
        user: said.user,
        database: said.database,
        address: address.map(str::to_owned),
        application: said.application,
    };
    Logged { client, at }
}

/// The fields of one record; `""` in quotes is a quote (RFC 4180, 2).
pub(crate) fn csv_fields(record: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut rest = record.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                push(&mut fields, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => push(&mut fields, c),
        }
    }
    fields
}

fn push(fields: &mut [String], c: char) {
    if let Some(last) = fields.last_mut() {
        last.push(c);
    }
}

/// `2026-11-24 12:00:00.123 UTC`. A zone's letters mean what the server's zone is now: in a country with summer
/// time it may be an hour off.
fn moment(text: &str, zone: UtcOffset) -> Option<OffsetDateTime> {
    let seconds = text.get(..19)?;
    let read = PrimitiveDateTime::parse(
        seconds,
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second]"),
    )
    .ok()?;
    let utc = matches!(text.rsplit(' ').next(), Some("UTC" | "GMT"));
    Some(read.assume_offset(if utc { UtcOffset::UTC } else { zone }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(written: Written) -> Reader {
        Reader::new(written, UtcOffset::UTC)
    }

    fn client(how: How, address: Option<&str>) -> Client {
        Client {
            how,
            user: "app".to_owned(),
            database: Some("shop".to_owned()),
            address: address.map(str::to_owned),
            application: "a \"b\", c".to_owned(),
        }
    }

    const CSV: &str = "2026-11-24 12:00:00.123 CET,\"app\",\"shop\",42,\"::1:5000\",6744,2,\"authentication\",2026-11-24 12:00:00 CET,3/1,0,LOG,00000,\"connection authorized: user=app database=shop application_name=a \"\"b\"\", c\",,,,,,,,,\"\",\"client backend\",,0\n";

    #[test]
    fn a_line_of_csv_tells_all_wherever_it_is_cut() {
        let at = time::macros::datetime!(2026-11-24 12:00:00 +1);
        for cut in 0..CSV.len() {
            let mut reader = Reader::new(Written::Csv, UtcOffset::from_hms(1, 0, 0).unwrap());
            let (one, two) = CSV.as_bytes().split_at(cut);
            let mut found = reader.feed(one);
            found.extend(reader.feed(two));
            assert_eq!(
                found,
                [Logged { client: client(How::Plaintext, Some("::1")), at: Some(at) }],
                "{cut}"
            );
        }
    }

    #[test]
    fn a_line_of_json_tells_all() {
        let line = r#"{"timestamp":"2026-11-24 12:00:00.123 UTC","user":"app","dbname":"shop","pid":42,"remote_host":"[local]","error_severity":"LOG","message":"connection authorized: user=app database=shop application_name=a \"b\", c"}"#;
        let found = reader(Written::Json).feed(format!("{line}\nno json\n").as_bytes());
        assert_eq!(found.first().map(|logged| &logged.client), Some(&client(How::Local, None)));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn two_lines_of_text_tell_it_together() {
        let text = "2026-11-24 12:00:00 UTC [42] LOG:  connection received: host=10.0.0.31 port=4000\n\
                    2026-11-24 12:00:00 UTC [43] LOG:  connection received: host=10.0.0.99 port=4001\n\
                    2026-11-24 12:00:01 UTC [42] app@shop LOG:  connection authorized: user=app database=shop application_name=a \"b\", c\n";
        let mut reader = reader(Written::Text("%m [%p] %q%u@%d ".to_owned()));
        assert_eq!(reader.is_blind(), None);
        let found = reader.feed(text.as_bytes());
        assert_eq!(
            found.iter().map(|logged| &logged.client).collect::<Vec<_>>(),
            [&client(How::Plaintext, Some("10.0.0.31"))]
        );
    }

    #[test]
    fn without_process_and_host_it_is_not_known_how_somebody_came() {
        let text = "LOG:  connection authorized: user=app database=shop application_name=a \"b\", c\n";
        let mut reader = reader(Written::Text(String::new()));
        assert!(reader.is_blind().is_some());
        assert_eq!(reader.feed(text.as_bytes()).remove(0).client, client(How::Unknown, None));
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let mut reader = reader(Written::Csv);
        for _ in 0..3 {
            assert!(reader.feed(&vec![b'"'; LONGEST]).is_empty());
        }
        assert!(reader.pending.len() <= LONGEST);
    }
}

//! What was found out of one server, with what clients would make of it: everything that is judged and shown.

use std::net::IpAddr;
use std::time::Duration;

use pgseal_wire::scan::{Knowledge, Outcome, SslReply, StartupKey};
use time::OffsetDateTime;

use super::chain::Verdict;
use super::target::Named;

/// One server at one address.
#[derive(Clone, Debug)]
pub(crate) struct Scanned {
    pub(crate) target: Named,
    /// The address that was scanned; None where the name has none.
    pub(crate) address: Option<IpAddr>,
    /// Role and database of the startup packets.
    pub(crate) user: String,
    pub(crate) dbname: String,
    pub(crate) known: Knowledge,
    /// Why there was nothing to scan.
    pub(crate) unresolved: Option<String>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) took: Duration,
    pub(crate) at: OffsetDateTime,
}

/// What answers at the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// PostgreSQL, or something that answers exactly as it does.
    Postgres,
    /// PgBouncer, by its own words.
    PgBouncer,
    /// The protocol, without the fields that PostgreSQL puts into an error: a pooler or a proxy.
    Pooler,
    /// Something else, named as far as its first bytes name it.
    Other(String),
    /// Nobody.
    Nobody(String),
}

impl Scanned {
    /// Whether anything answered.
    pub(crate) fn reachable(&self) -> bool {
        matches!(self.known.reached, Some(Ok(())))
    }

    /// What answers.
    pub(crate) fn speaker(&self) -> Speaker {
        if let Some(why) = &self.unresolved {
            return Speaker::Nobody(why.clone());
        }
        match &self.known.reached {
            None => return Speaker::Nobody("it was not tried".to_owned()),
            Some(Err(why)) => return Speaker::Nobody(why.clone()),
            Some(Ok(())) => {}
        }
        if !self.known.speaks_postgres() {
            return Speaker::Other(self.something_else());
        }
        let errors: Vec<_> = self.errors().collect();
        if errors.iter().any(|error| error.file.is_some() && error.routine.is_some()) {
            return Speaker::Postgres;
        }
        let bouncer = [
            "unsupported startup parameter",
            "no such database",
            "no such user",
            "client_login_timeout",
            "SSL required",
        ];
        if errors.iter().any(|error| bouncer.iter().any(|words| error.message.contains(words))) {
            return Speaker::PgBouncer;
        }
        if errors.is_empty() { Speaker::Postgres } else { Speaker::Pooler }
    }

    fn errors(&self) -> impl Iterator<Item = &pgseal_wire::ServerError> {
        let inside = self.known.handshakes().map(|seen| &seen.outcome);
        self.known.startups.values().chain(inside).filter_map(|outcome| match outcome {
            Outcome::Refused(error) => Some(&**error),
            _ => None,
        })
    }

    /// Names what is no PostgreSQL.
    fn something_else(&self) -> String {
        let known = &self.known;
        if let Some(Ok(_)) = known.direct.get(&true) {
            return "a TLS port without PostgreSQL behind it".to_owned();
        }
        if known
            .direct
            .get(&true)
            .is_some_and(|result| result.as_ref().is_err_and(|failed| failed.speaks_tls))
        {
            return "a TLS port without PostgreSQL behind it".to_owned();
        }
        match &known.ssl {
            Some(SslReply::Stuffed(bytes) | SslReply::Other(bytes)) => by_first_bytes(bytes),
            Some(SslReply::Late(_)) | None => "something that takes connections and says nothing".to_owned(),
            Some(SslReply::Closed(why)) => format!("something that does not know SSLRequest ({why})"),
            Some(_) => "something that begins like PostgreSQL and goes on otherwise".to_owned(),
        }
    }

    /// What a startup packet in the clear met.
    pub(crate) fn plaintext(&self, key: StartupKey) -> Option<&Outcome> {
        self.known.startups.get(&key)
    }

    /// What a startup packet under TLS met.
    pub(crate) fn under_tls(&self, replication: bool) -> Option<Result<&Outcome, &str>> {
        self.known.under_tls(replication).map(|result| match result {
            Ok(seen) => Ok(&seen.outcome),
            Err(failed) => Err(failed.why.as_str()),
        })
    }
}

/// First bytes by which other services are known.
const SERVICES: [(&[u8], &str); 10] = [
    (b"HTTP/", "a web server"),
    (b"<!DOCTYPE", "a web server"),
    (b"<html", "a web server"),
    (b"SSH-", "an SSH server"),
    (b"220 ", "a mail or FTP server"),
    (b"220-", "a mail or FTP server"),
    (b"+OK", "a mail server"),
    (b"* OK", "a mail server"),
    (b"-ERR", "a Redis server"),
    (&[0x15, 0x03], "a TLS port without PostgreSQL behind it"),
];

fn by_first_bytes(bytes: &[u8]) -> String {
    let named = SERVICES.iter().find(|(begin, _)| bytes.starts_with(begin)).map(|(_, name)| *name);
    // A handshake packet of MySQL: three bytes of length, number 0, protocol 10.
    let mysql = matches!(bytes, [_, _, 0, 0, 10, ..]).then_some("a MySQL server");
    let shown = bytes.iter().take(16).copied().collect::<Vec<u8>>().escape_ascii().to_string();
    match named.or(mysql) {
        Some(name) => format!("{name}: it begins with \"{shown}\""),
        None if bytes.starts_with(b"S") || bytes.starts_with(b"N") => {
            format!("something that says more than one byte to SSLRequest: \"{shown}\"")
        }
        None => format!("no PostgreSQL: it begins with \"{shown}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_postgresql_is_named_by_its_first_bytes() {
        for (bytes, name) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "a web server: it begins with \"HTTP/1.1 400 Bad\""),
            (b"SSH-2.0-OpenSSH_9.2", "an SSH server: it begins with \"SSH-2.0-OpenSSH_\""),
            (b"\x4a\0\0\0\x0a8.0", "a MySQL server: it begins with \"J\\x00\\x00\\x00\\n8.0\""),
            (b"SJUNK", "something that says more than one byte to SSLRequest: \"SJUNK\""),
            (b"\x1b]52", "no PostgreSQL: it begins with \"\\x1b]52\""),
        ] {
            assert_eq!(by_first_bytes(bytes), name);
        }
    }
}

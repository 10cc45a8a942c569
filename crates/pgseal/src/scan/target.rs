//! Whom a word names: a host and a port, or several. Looks nothing up, and connects to nobody.

use std::net::IpAddr;
use std::path::Path;

use pgseal_conf::conninfo::{Conninfo, Endpoint, HostSpec, is_connection_string};

use crate::failure::{Failure, Result};

/// PostgreSQL's port.
pub(crate) const DEFAULT_PORT: u16 = 5432;
/// A role that exists nowhere: what pg_hba.conf makes of it, it makes of anybody.
pub(crate) const NOBODY: &str = "pgseal_no_such_role";
/// A database that exists nowhere.
pub(crate) const NOWHERE: &str = "pgseal_no_such_database";
/// Addresses of one network that are scanned: a /16 of IPv4.
const MOST_ADDRESSES: u128 = 1 << 16;
/// Longer words name nothing.
const LONGEST: usize = 4096;

/// One server to scan, as somebody named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// What it is called: `host:port`.
    pub(crate) label: String,
    /// What clients would verify, and what is sent as SNI.
    pub(crate) host: String,
    /// Where to go instead of looking the host up.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) dbname: Option<String>,
    pub(crate) sslrootcert: Option<String>,
}

impl Named {
    fn of(host: &str, port: u16) -> Self {
        let label = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Self {
            label,
            host: host.to_owned(),
            address: host.parse().ok(),
            port,
            user: None,
            dbname: None,
            sslrootcert: None,
        }
    }
}

/// How words are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The port where none is named.
    pub(crate) port: u16,
    /// Whether a network may be named.
    pub(crate) cidr: bool,
}

/// What a word names.
pub(crate) fn parse(word: &str, reading: Reading) -> Result<Vec<Named>> {
    if word.len() > LONGEST {
        return Err(Failure::usage("a target is longer than any host name or connection string"));
    }
    if is_connection_string(word) {
        return connection(word);
    }
    let (place, forced) = match word.strip_prefix("host:") {
        Some(place) => (place, true),
        None => (word, false),
    };
    if place.contains('/')
        && !place.starts_with('/')
        && place.split_once('/').is_some_and(|(a, _)| is_address(a))
    {
        return network(place, reading);
    }
    if !forced && Path::new(place).exists() {
        return Err(Failure::usage(format!(
            "{place} is a file or a folder here, and a scan looks from outside"
        ))
        .hint(format!("host:{place} for a host of that name, or pgseal verify {place}")));
    }
    let (host, port) = host_and_port(place, reading.port).ok_or_else(|| {
        Failure::usage(format!("\"{place}\" is no host, no HOST:PORT and no connection string"))
            .hint("pgseal scan db1.example.org, [::1]:5432 or postgresql://db1.example.org/mydb")
    })?;
    Ok(vec![Named::of(&host, port)])
}

fn is_address(text: &str) -> bool {
    text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

/// `host`, `host:port`, `::1`, `[::1]`, `[::1]:port`.
fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text.to_owned(), default));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<IpAddr>().ok()?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("")).map(str::to_owned)?)
        }
        None => match text.split_once(':') {
            Some((_, "")) => return None,
            Some((host, port)) => (host, port.to_owned()),
            None => (text, String::new()),
        },
    };
    let port = if port.is_empty() { default } else { port.parse().ok().filter(|port| *port > 0)? };
    let sane = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    (!host.is_empty() && host.chars().all(sane)).then(|| (host.to_owned(), port))
}

/// A URI or a conninfo string: every server that it names. Passwords in it are read by nobody.
fn connection(text: &str) -> Result<Vec<Named>> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("the connection string cannot be read: {error}"))
            .hint("postgresql://HOST:PORT/DBNAME")
    };
    let asked = Conninfo::parse(text).map_err(|error| bad(&error))?;
    let hosts = asked.hosts().map_err(|error| bad(&error))?;
    let named = |server: &HostSpec| {
        let host = match server.endpoint() {
            Endpoint::Address(address) => server.host.clone().unwrap_or_else(|| address.to_string()),
            Endpoint::Name(name) => name.to_owned(),
            Endpoint::Default => "localhost".to_owned(),
            Endpoint::Socket(path) => {
                return Err(Failure::usage(format!("{path} is a Unix socket, which never carries TLS"))
                    .hint("name the host that clients on the network use"));
            }
        };
        let word = |name: &str| asked.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let plain = Named::of(&host, server.port);
        Ok(Named {
            address: server.hostaddr.or(plain.address),
            user: word("user"),
            dbname: word("dbname"),
            sslrootcert: word("sslrootcert"),
            ..plain
        })
    };
    hosts.iter().map(named).collect()
}

/// `10.0.0.0/24` or `[fd00::]/120`, with `:port` behind it.
fn network(text: &str, reading: Reading) -> Result<Vec<Named>> {
    let bad = || Failure::usage(format!("\"{text}\" is no network")).hint("10.0.0.0/24 or 10.0.0.0/24:5433");
    if !reading.cidr {
        return Err(
            Failure::usage(format!("{text} names a whole network")).hint("--cidr says that this is meant")
        );
    }
    let (base, rest) = text.split_once('/').ok_or_else(bad)?;
    let base: IpAddr = base.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| bad())?;
    let (bits, port) = rest.split_once(':').map_or((rest, None), |(bits, port)| (bits, Some(port)));
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?,
        None => reading.port,
    };
    let (width, number) = match base {
        IpAddr::V4(v4) => (32_u32, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (128, u128::from(v6)),
    };
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= width).ok_or_else(bad)?;
    let size = 1_u128.checked_shl(width - bits).filter(|size| *size <= MOST_ADDRESSES).ok_or_else(|| {
        Failure::usage(format!("{text} has more than {MOST_ADDRESSES} addresses")).hint("scan it in parts")
    })?;
    let first = number & !(size - 1);
    // The network and its broadcast address are no hosts (RFC 1122), unless the network is too small to have them.
    let hosts = if width == 32 && size > 2 { 1..size - 1 } else { 0..size };
    let address = |offset: u128| match base {
        IpAddr::V4(_) => IpAddr::from(u32::try_from(first + offset).unwrap_or(0).to_be_bytes()),
        IpAddr::V6(_) => IpAddr::from((first + offset).to_be_bytes()),
    };
    Ok(hosts.map(|offset| Named::of(&address(offset).to_string(), port)).collect())
}

/// The targets of a file or of stdin: one a line, `#` begins a comment. Fails at the first line that names nobody.
pub(crate) fn parse_lines(text: &str, source: &str, reading: Reading) -> Result<Vec<Named>> {
    let mut all = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let word = line.split('#').next().unwrap_or_default().trim();
        if word.is_empty() {
            continue;
        }
        let named = parse(word, reading).map_err(|failure| {
            Failure::usage(format!("{source} line {}: {}", nth + 1, failure.sentence()))
        })?;
        all.extend(named);
    }
    if all.is_empty() {
        return Err(Failure::usage(format!("{source} names no target")).hint("one HOST:PORT a line"));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Reading = Reading { port: DEFAULT_PORT, cidr: false };

    fn labels(word: &str) -> Result<Vec<String>> {
        Ok(parse(word, Reading { cidr: true, ..USUAL })?.into_iter().map(|named| named.label).collect())
    }

    #[test]
    fn hosts_ports_and_addresses_are_read_in_every_spelling() {
        for (word, label) in [
            ("db1.example.org", "db1.example.org:5432"),
            ("db1:6432", "db1:6432"),
            ("::1", "[::1]:5432"),
            ("[::1]", "[::1]:5432"),
            ("[::1]:6432", "[::1]:6432"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("host:db1", "db1:5432"),
            ("postgresql://app@db1:6432/shop", "db1:6432"),
            ("host=db1 port=6432", "db1:6432"),
            ("host=db1 hostaddr=10.0.0.1", "db1:5432"),
        ] {
            assert_eq!(labels(word).unwrap(), [label], "{word}");
        }
        assert_eq!(labels("postgresql://a:1,b:2/x").unwrap(), ["a:1", "b:2"]);
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for word in [
            "",
            ":5432",
            "db1:",
            "db1:0",
            "db1:65536",
            "db1:x",
            "a b",
            "[::1",
            "[x]:1",
            "/run/postgresql",
            ".",
        ] {
            assert!(parse(word, USUAL).is_err(), "{word:?}");
        }
        let failure = parse("host=/run/postgresql", USUAL).unwrap_err();
        assert!(failure.to_string().contains("Unix socket"), "{failure}");
    }

    #[test]
    fn a_network_is_meant_only_when_it_is_said_to_be() {
        assert!(parse("10.0.0.0/30", USUAL).unwrap_err().to_string().contains("--cidr"));
        assert_eq!(labels("10.0.0.0/30").unwrap(), ["10.0.0.1:5432", "10.0.0.2:5432"]);
        assert_eq!(labels("10.0.0.7/32:6432").unwrap(), ["10.0.0.7:6432"]);
        assert_eq!(labels("[fd00::]/127").unwrap(), ["[fd00::]:5432", "[fd00::1]:5432"]);
        assert_eq!(labels("10.9.0.0/16").unwrap().len(), 65_534);
        for word in ["10.0.0.0/15", "10.0.0.0/33", "10.0.0.0/x", "fd00::/64", "::/0"] {
            assert!(labels(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_list_has_comments_and_says_the_line_that_is_wrong() {
        let all = parse_lines("# ours\ndb1\n\n  db2:6432 # the other\n", "list", USUAL).unwrap();
        assert_eq!(all.len(), 2);
        let wrong = parse_lines("db1\ndb2:x\n", "list", USUAL).unwrap_err().to_string();
        assert!(wrong.starts_with("list line 2: "), "{wrong}");
        assert!(
            parse_lines("# nothing\n", "list", USUAL).unwrap_err().to_string().contains("names no target")
        );
    }
}

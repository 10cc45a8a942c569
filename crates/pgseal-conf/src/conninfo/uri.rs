//! `postgresql://user:password@host:port,host:port/dbname?parameter=value`: libpq's `conninfo_uri_parse_options`.
//! Knows the places of a URI and percent-encoding; refuses to know what RFC 3986 allows beyond libpq.

use zeroize::Zeroizing;

use super::error::ConninfoError;
use super::keyword::Keyword;
use super::options::Conninfo;
use super::parse::uri_body;
use super::render::MASK;
use crate::PgVersion;

pub(super) fn parse(uri: &str, version: PgVersion) -> Result<Conninfo, ConninfoError> {
    let body = uri_body(uri).unwrap_or_default();
    let mut parser = Parser { uri, version, options: Conninfo::new() };
    let rest = parser.credentials(body)?;
    let rest = parser.hosts(rest)?;
    let query = match rest.strip_prefix('/') {
        Some(path) => {
            let (dbname, query) = split_before(path, &['?']);
            parser.store_unless_empty("dbname", dbname)?;
            query
        }
        None => rest,
    };
    if let Some(query) = query.strip_prefix('?') {
        parser.query(query)?;
    }
    Ok(parser.options)
}

struct Parser<'a> {
    uri: &'a str,
    version: PgVersion,
    options: Conninfo,
}

impl<'a> Parser<'a> {
    /// `user:password@`, when an `@` stands before the first `/`. Gives what follows.
    fn credentials(&mut self, body: &'a str) -> Result<&'a str, ConninfoError> {
        let Some((credentials, rest)) = split_credentials(body) else {
            return Ok(body);
        };
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        self.store_unless_empty("user", user)?;
        self.store_unless_empty("password", password)?;
        Ok(rest)
    }

    /// `host:port,[address]:port…`. Gives what follows, from its `/` or `?`.
    fn hosts(&mut self, text: &'a str) -> Result<&'a str, ConninfoError> {
        let mut hosts = String::new();
        let mut ports = String::new();
        let mut rest = text;
        loop {
            let host;
            (host, rest) = self.host(rest)?;
            hosts.push_str(host);
            if let Some(after_colon) = rest.strip_prefix(':') {
                let port;
                (port, rest) = split_before(after_colon, &['/', '?', ',']);
                ports.push_str(port);
            }
            let Some(next) = rest.strip_prefix(',') else {
                break;
            };
            rest = next;
            hosts.push(',');
            ports.push(',');
        }
        self.store_unless_empty("host", &hosts)?;
        self.store_unless_empty("port", &ports)?;
        Ok(rest)
    }

    fn host(&self, text: &'a str) -> Result<(&'a str, &'a str), ConninfoError> {
        let Some(bracketed) = text.strip_prefix('[') else {
            return Ok(split_before(text, &[':', '/', '?', ',']));
        };
        let Some((address, rest)) = bracketed.split_once(']') else {
            return Err(ConninfoError::UnclosedBracket(self.shown()));
        };
        if address.is_empty() {
            return Err(ConninfoError::EmptyBrackets(self.shown()));
        }
        match rest.chars().next() {
            None | Some(':' | '/' | '?' | ',') => Ok((address, rest)),
            Some(found) => Err(ConninfoError::AfterBracket {
                found,
                position: self.uri.len() - rest.len() + 1,
                uri: self.shown(),
            }),
        }
    }

    fn query(&mut self, query: &str) -> Result<(), ConninfoError> {
        let mut rest = query;
        while !rest.is_empty() {
            let pair;
            (pair, rest) = rest.split_once('&').unwrap_or((rest, ""));
            let mut parts = pair.splitn(3, '=');
            let name = parts.next().unwrap_or_default();
            let Some(value) = parts.next() else {
                return Err(ConninfoError::MissingSeparator(name.to_owned()));
            };
            if parts.next().is_some() {
                return Err(ConninfoError::ExtraSeparator(name.to_owned()));
            }
            let name = decode("", name, self.version)?;
            let value = decode(&name, value, self.version)?;
            let (name, value) = match (name.as_str(), value.as_str()) {
                // For strings written for JDBC.
                ("ssl", "true") => ("sslmode", "require"),
                pair => pair,
            };
            if !self.options.store(name, value, self.version) {
                return Err(ConninfoError::UnknownParameter(name.to_owned()));
            }
        }
        Ok(())
    }

    fn store_unless_empty(&mut self, name: &str, encoded: &str) -> Result<(), ConninfoError> {
        if encoded.is_empty() {
            return Ok(());
        }
        let value = decode(name, encoded, self.version)?;
        if self.options.store(name, &value, self.version) {
            Ok(())
        } else {
            Err(ConninfoError::UnknownOption(name.to_owned()))
        }
    }

    /// The URI for an error's text, without its password and without its query, where further secrets may stand.
    fn shown(&self) -> String {
        let body = uri_body(self.uri).unwrap_or_default();
        let scheme = self.uri.strip_suffix(body).unwrap_or_default();
        let (credentials, rest) = match split_credentials(body) {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, body),
        };
        let mut shown = scheme.to_owned();
        if let Some(credentials) = credentials {
            match credentials.split_once(':') {
                Some((user, _)) => {
                    shown.push_str(user);
                    shown.push(':');
                    shown.push_str(MASK);
                }
                None => shown.push_str(credentials),
            }
            shown.push('@');
        }
        match rest.split_once('?') {
            Some((before, query)) if mentions_secret(query) => {
                shown.push_str(before);
                shown.push('?');
                shown.push_str(MASK);
            }
            _ => shown.push_str(rest),
        }
        shown
    }
}

/// Whether a query may hold a secret: any name in it, encoded or not, could be one's.
fn mentions_secret(query: &str) -> bool {
    query.contains('%') || Keyword::all().iter().any(|keyword| keyword.secret && query.contains(keyword.name))
}

fn split_credentials(body: &str) -> Option<(&str, &str)> {
    let (before, from) = split_before(body, &['@', '/']);
    from.strip_prefix('@').map(|rest| (before, rest))
}

/// Splits before the first of these characters; all and nothing when none is there.
fn split_before<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// Percent-decodes the value of a parameter. From 18 spaces around it are dropped and spaces inside it refused.
fn decode(name: &str, encoded: &str, version: PgVersion) -> Result<Zeroizing<String>, ConninfoError> {
    let secret = Keyword::all().iter().any(|keyword| keyword.secret && keyword.name == name);
    // An open bracket takes the query into the host, and what is refused there is shown.
    let shown = || match encoded.split_once('?') {
        _ if secret => MASK.to_owned(),
        Some((before, query)) if mentions_secret(query) => format!("{before}?{MASK}"),
        _ => encoded.to_owned(),
    };
    let text = if version >= PgVersion::V18 {
        let trimmed = encoded.trim_matches(' ');
        // libpq decodes up to the space first, so a broken escape before it is what it reports.
        match trimmed.split_once(' ') {
            Some((before, _)) => {
                decode_bytes(before, &shown)?;
                return Err(ConninfoError::UnexpectedSpaces(shown()));
            }
            None => trimmed,
        }
    } else {
        encoded
    };
    let bytes = decode_bytes(text, &shown)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(ConninfoError::NotUtf8(name.to_owned())),
    }
}

fn decode_bytes(text: &str, shown: &impl Fn() -> String) -> Result<Zeroizing<Vec<u8>>, ConninfoError> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = bytes.next().and_then(hex_digit);
        let low = high.and_then(|_| bytes.next()).and_then(hex_digit);
        match (high, low) {
            (Some(0), Some(0)) => return Err(ConninfoError::PercentNul(shown())),
            (Some(high), Some(low)) => decoded.push(high << 4 | low),
            _ => return Err(ConninfoError::BadPercent(shown())),
        }
    }
    Ok(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
